package simulation

import (
	"bytes"
	"strings"

	wire "resound/frame"
	"resound/pusher"
)

// reactor plays an event loop with its sockets. Mail waits until it is taken.
type reactor struct {
	world   *world
	index   int
	shard   *pusher.Shard
	now     uint32
	mail    []any
	posted  int // items ever posted
	taken   int // items ever finished
	clients []*client
	free    []int32 // handles of closed connections, reused as the real ones are
}

const never = ^uint32(0)

// maxUnread is how many bytes a client may leave unread.
const maxUnread = 3000

// Post is called by the node.
func (r *reactor) Post(item any) {
	r.mail = append(r.mail, item)
	r.posted++
}

// Pending is what overload is measured by.
func (r *reactor) Pending() int { return len(r.mail) }

// PendingBytes is too.
func (r *reactor) PendingBytes() (n int64) {
	for _, item := range r.mail {
		if p, ok := item.(*pusher.Publication); ok {
			n += int64(p.PostedBytes())
		}
	}
	return n
}

// Now is in seconds.
func (r *reactor) Now() uint32 { return r.now }

// Deflates is asked for every delivery of some worlds.
func (r *reactor) Deflates(conn int32) bool { return r.clients[conn].deflates }

// SetReadLimit has nothing to limit here: the schedules send short messages.
func (r *reactor) SetReadLimit(int32, uint32) {}

// SetDeadline is looked at by sweep.
func (r *reactor) SetDeadline(conn int32, at uint32) {
	if c := r.clients[conn]; c != nil && c.open {
		c.deadline = at
	}
}

// SendCopy sends frames in memory that is used again afterwards.
func (r *reactor) SendCopy(conn int32, frames []byte) { r.send(conn, bytes.Clone(frames)) }

// Send sends shared frames. Those that a client has not read must not change.
func (r *reactor) Send(conn int32, frames []byte) {
	if c := r.clients[conn]; c != nil && c.stalled {
		c.unread = append(c.unread, unread{frames, string(frames)})
	}
	r.send(conn, frames)
}

func (r *reactor) send(conn int32, frames []byte) {
	c := r.clients[conn]
	if c == nil || !c.open {
		return
	}
	if c.stalled {
		if c.unreadBytes += len(frames); c.unreadBytes > maxUnread {
			r.world.totals.Slow++
			r.end(c, pusher.ErrSlow.Code)
			return
		}
	}
	for rest := frames; len(rest) > 0 && c.open; {
		var e wire.Event
		compressed := rest[0]&0x40 != 0
		switch e, rest = wire.Next(rest); e.Kind {
		case wire.Message:
			payload := e.Payload
			if compressed {
				payload = r.world.inflate(c, payload)
			}
			r.world.received(c, payload)
		case wire.Ping:
			c.onPing(true)
		default:
			r.world.fail("%s got a frame of kind %d", c, e.Kind)
		}
	}
}

// Close is called by the shard.
func (r *reactor) Close(conn int32, code int, _ string) {
	if c := r.clients[conn]; c != nil && c.open {
		r.world.closedByServer(c, code)
		r.end(c, code)
	}
}

// connect takes a client in and tells the shard.
func (r *reactor) connect(c *client, key string) {
	if n := len(r.free); n > 0 {
		c.handle, r.free = r.free[n-1], r.free[:n-1]
		r.clients[c.handle] = c
	} else {
		c.handle = int32(len(r.clients))
		r.clients = append(r.clients, c)
	}
	c.open, c.deadline = true, never
	path := []byte("/app/" + key)
	r.shard.OnOpen(c.handle, &wire.Request{Path: path, Query: []byte("protocol=7")})
	mangle(path)
}

// end closes a connection, whoever wants it.
func (r *reactor) end(c *client, code int) {
	c.open, c.code = false, code
	r.shard.OnClosed(c.handle)
	r.free = append(r.free, c.handle)
	r.clients[c.handle] = nil
	r.world.gone(c)
}

// message is the client's: the bytes die with the turn.
func (r *reactor) message(c *client, text string) {
	b := []byte(text)
	c.heard, c.pinged = r.now, 0
	r.shard.OnMessage(c.handle, true, b)
	mangle(b)
}

func mangle(b []byte) { copy(b, strings.Repeat("X", len(b))) }

// take handles some of the mail, as a turn does.
func (r *reactor) take(most int) {
	for most > 0 && len(r.mail) > 0 {
		n := r.shard.OnMail(r.mail[:min(most, len(r.mail))])
		r.mail = r.mail[n:]
		r.taken += n
		most -= max(1, n)
		r.world.checkDue(r)
	}
}

// sweep calls OnDeadline where it is time.
func (r *reactor) sweep() {
	for conn := range r.clients {
		if c := r.clients[conn]; c != nil && c.deadline <= r.now {
			c.deadline = never
			r.shard.OnDeadline(c.handle)
		}
	}
}
