package floor

import "sync"

// channelTable says which threads have a subscriber of a channel. Safe for
// concurrent use.
type channelTable struct {
	mu     sync.Mutex
	byName map[string]*channel
}

// channel is one name, for ever: the bare server forgets none.
type channel struct {
	name    string
	threads uint64 // one bit each; under the table's lock
}

// named returns the channel of that name, which it adds when nobody has named it.
func (t *channelTable) named(name []byte) *channel {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.byName[string(name)]
	if c == nil {
		c = &channel{name: string(name)}
		t.byName[c.name] = c
	}
	return c
}

func (t *channelTable) interest(name string) (*channel, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.byName[name]; c != nil {
		return c, c.threads
	}
	return nil, 0
}

func (t *channelTable) show(c *channel, thread int, interested bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if interested {
		c.threads |= 1 << thread
	} else {
		c.threads &^= 1 << thread
	}
}

// subscription is one connection on one channel, in the lists of both. They are
// numbered from 1; 0 ends a list.
type subscription struct {
	channel        *channel
	fd             int32
	next, previous int32 // of the channel, on this thread
	nextOfConn     int32
}

// subscribe puts a connection on a channel. Owned by the thread.
func (t *thread) subscribe(fd int, name []byte) {
	c := t.server.channels.named(name)
	for i := t.conns[fd].subscriptions; i != 0; i = t.subscriptions[i].nextOfConn {
		if t.subscriptions[i].channel == c {
			return
		}
	}
	i := t.unused
	if i != 0 {
		t.unused = t.subscriptions[i].next
	} else {
		i = int32(len(t.subscriptions))
		t.subscriptions = append(t.subscriptions, subscription{})
	}
	head := t.heads[c]
	t.subscriptions[i] = subscription{channel: c, fd: int32(fd), next: head, nextOfConn: t.conns[fd].subscriptions}
	if head != 0 {
		t.subscriptions[head].previous = i
	} else {
		t.server.channels.show(c, t.number, true)
	}
	t.heads[c], t.conns[fd].subscriptions = i, i
}

// unsubscribeAll takes a connection from its channels.
func (t *thread) unsubscribeAll(fd int) {
	for i := t.conns[fd].subscriptions; i != 0; {
		s := &t.subscriptions[i]
		if s.next != 0 {
			t.subscriptions[s.next].previous = s.previous
		}
		switch {
		case s.previous != 0:
			t.subscriptions[s.previous].next = s.next
		case s.next != 0:
			t.heads[s.channel] = s.next
		default:
			delete(t.heads, s.channel)
			t.server.channels.show(s.channel, t.number, false)
		}
		next := s.nextOfConn
		*s = subscription{next: t.unused}
		t.unused, i = i, next
	}
	t.conns[fd].subscriptions = 0
}

// broadcast writes b to all subscribers of a channel on this thread.
func (t *thread) broadcast(c *channel, b []byte) {
	for i := t.heads[c]; i != 0; {
		s := t.subscriptions[i] // the write may drop it
		t.write(int(s.fd), b)
		i = s.next
	}
}
