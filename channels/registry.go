package channels

import "resound/channels/slab"

// Registry records which connections of one reactor subscribe to which
// channels of one app. Both directions are kept, each knowing its position in
// the other, so that subscribing, unsubscribing and closing cost O(1) for each
// subscription touched, however many connections and channels there are.
//
//	channel "news"  entries [ {conn 7, at 0} {conn 9, at 2} ... ]
//	                             |                 |
//	conn 7          refs    [ {news, pos 0} ]      |
//	conn 9          refs    [ ... ... {news, pos 1} ]
//
// Owned by one reactor.
type Registry struct {
	byName   map[string]int32
	channels slab.Slab[channel]
	side     func(conn int32) *Subscriptions
	walk     walk
}

// walk is a pass over one channel's subscribers that may pause: those at
// positions below left are still to be visited.
type walk struct {
	channel int32 // slab handle + 1; 0 means no walk
	left    int32
}

type channel struct {
	name    string
	entries []entry
	// since holds, parallel to entries, the Directory number at which each
	// subscriber joined. It is nil for channels without numbered publications.
	since []uint64
}

type entry struct {
	conn int32
	at   int32 // position in the connection's Subscriptions
}

// NewRegistry returns an empty registry. side returns a connection's own list;
// it is called only for connections that are subscribed or subscribing.
func NewRegistry(side func(conn int32) *Subscriptions) *Registry {
	return &Registry{byName: make(map[string]int32), side: side}
}

// Subscribed reports whether conn subscribes to name. name is not retained.
func (r *Registry) Subscribed(conn int32, name string) bool {
	h, ok := r.byName[name]
	return ok && r.side(conn).find(h+1) >= 0
}

// Waits reports whether conn subscribes to name with the number Waiting. name is
// not retained.
func (r *Registry) Waits(conn int32, name string) bool {
	h, ok := r.byName[name]
	if !ok || r.channels.At(h).since == nil {
		return false
	}
	subs := r.side(conn)
	i := subs.find(h + 1)
	return i >= 0 && r.channels.At(h).since[subs.at(i).pos] == Waiting
}

// Subscribe adds conn to name and reports whether it is the first subscriber
// in this registry. Subscribing twice changes only the number since. name is
// retained when the channel is new: pass a string that may be kept.
//
// since matters for channels with numbered publications (see Directory), and for
// who gets nothing yet: Waiting or Held. Pass 0 otherwise.
func (r *Registry) Subscribe(conn int32, name string, since uint64) (first bool) {
	h, ok := r.byName[name]
	if !ok {
		h = r.channels.Alloc()
		r.channels.At(h).name = name
		r.byName[name] = h
	}
	c := r.channels.At(h)
	subs := r.side(conn)
	if i := subs.find(h + 1); i >= 0 {
		c.setSince(subs.at(i).pos, since)
		return false
	}
	pos := int32(len(c.entries))
	at := subs.add(ref{channel: h + 1, pos: pos})
	c.entries = append(c.entries, entry{conn: conn, at: at})
	if c.since != nil {
		c.since = append(c.since, 0)
	}
	c.setSince(pos, since)
	if invariants {
		r.check(conn)
	}
	return pos == 0
}

func (c *channel) setSince(pos int32, since uint64) {
	if since == 0 && c.since == nil {
		return
	}
	if c.since == nil {
		c.since = make([]uint64, len(c.entries), cap(c.entries))
	}
	c.since[pos] = since
	if since == 0 && len(c.since) == 1 {
		c.since = nil // of a channel without numbers, whose first subscriber waited
	}
}

// Unsubscribe removes conn from name. removed is false when it was not
// subscribed; last is true when the channel has no subscriber left here. name
// is not retained.
func (r *Registry) Unsubscribe(conn int32, name string) (last, removed bool) {
	h, ok := r.byName[name]
	if !ok {
		return false, false
	}
	subs := r.side(conn)
	i := subs.find(h + 1)
	if i < 0 {
		return false, false
	}
	last = r.remove(subs, i)
	if invariants {
		r.check(conn)
	}
	return last, true
}

// UnsubscribeAny removes one subscription of conn, whichever is cheapest, and
// returns its channel. ok is false when none is left. Call it until then to
// close a connection: O(1) for each subscription.
func (r *Registry) UnsubscribeAny(conn int32) (name string, last, ok bool) {
	subs := r.side(conn)
	n := subs.Len()
	if n == 0 {
		return "", false, false
	}
	i := int32(n - 1)
	name = r.channels.At(subs.at(i).channel - 1).name
	last = r.remove(subs, i)
	if invariants {
		r.check(conn)
	}
	return name, last, true
}

func (r *Registry) remove(subs *Subscriptions, i int32) (last bool) {
	gone := *subs.at(i)
	h := gone.channel - 1
	c := r.channels.At(h)

	hole := gone.pos
	if r.walk.channel == gone.channel && hole < r.walk.left {
		// Filling the hole from the end would put a visited subscriber among
		// those to visit: fill it with the last unvisited one instead, and
		// the place that leaves with the last of all.
		r.walk.left--
		r.move(c, r.walk.left, hole)
		hole = r.walk.left
	}
	end := int32(len(c.entries)) - 1
	r.move(c, end, hole)
	c.entries = c.entries[:end]
	if c.since != nil {
		c.since = c.since[:end]
	}

	if moved := subs.remove(i); moved.channel != 0 {
		r.channels.At(moved.channel - 1).entries[moved.pos].at = i
	}

	if end == 0 {
		if r.walk.channel == gone.channel {
			r.walk = walk{}
		}
		delete(r.byName, c.name)
		r.channels.Free(h)
		return true
	}
	c.shrink()
	return false
}

// shrink gives memory back after most subscribers of a large channel left.
func (c *channel) shrink() {
	if cap(c.entries) > 64 && len(c.entries) < cap(c.entries)/4 {
		c.entries = append(make([]entry, 0, 2*len(c.entries)), c.entries...)
		if c.since != nil {
			c.since = append(make([]uint64, 0, 2*len(c.since)), c.since...)
		}
	}
}

// move puts the entry at from into to, which nobody needs any more.
func (r *Registry) move(c *channel, from, to int32) {
	if from == to {
		return
	}
	e := c.entries[from]
	c.entries[to] = e
	r.side(e.conn).at(e.at).pos = to
	if c.since != nil {
		c.since[to] = c.since[from]
	}
}

// Walk begins a walk over the subscribers that name has now and forgets an
// unfinished one. name is not retained.
func (r *Registry) Walk(name string) {
	r.walk = walk{}
	if h, ok := r.byName[name]; ok {
		r.walk = walk{channel: h + 1, left: int32(len(r.channels.At(h).entries))}
	}
}

// Step returns the next subscribers of the walk, at most limit of them, and
// none at its end. Between steps the registry may change: nobody is visited
// twice, nobody who stays is left out, and who subscribes later is not visited.
//
// The view is valid until the registry changes, with one exception: a loop over
// it from the last index to the first may remove the subscriber it stands on.
func (r *Registry) Step(limit int) Subscribers {
	if r.walk.channel == 0 {
		return Subscribers{}
	}
	c := r.channels.At(r.walk.channel - 1)
	to := r.walk.left
	from := max(0, to-int32(limit))
	r.walk.left = from
	if from == 0 {
		r.walk = walk{}
	}
	s := Subscribers{entries: c.entries[from:to]}
	if c.since != nil {
		s.since = c.since[from:to]
	}
	return s
}

// Subscribers is a view of one channel's subscribers in a Registry.
type Subscribers struct {
	entries []entry
	since   []uint64
}

// Len is the number of subscribers.
func (s Subscribers) Len() int { return len(s.entries) }

// Conn returns the connection at i.
func (s Subscribers) Conn(i int) int32 { return s.entries[i].conn }

// Wants reports whether the subscriber at i joined before publication seq was
// numbered. Publications without a number (0) are for everybody who neither
// waits nor is held.
func (s Subscribers) Wants(i int, seq uint64) bool {
	return s.since == nil || s.since[i] < seq || seq == 0 && s.since[i] < Held
}

// Joined reports whether the subscriber at i has the number since or a later one,
// as everybody has when it is 0.
func (s Subscribers) Joined(i int, since uint64) bool {
	return since == 0 || s.since != nil && s.since[i] >= since
}

// Waits reports whether the subscriber at i has the number Waiting.
func (s Subscribers) Waits(i int) bool { return s.since != nil && s.since[i] == Waiting }

// Names calls yield with the channels conn subscribes to until it returns
// false. yield must not change the registry.
func (r *Registry) Names(conn int32, yield func(name string) bool) {
	subs := r.side(conn)
	for i := range int32(subs.Len()) {
		if !yield(r.channels.At(subs.at(i).channel - 1).name) {
			return
		}
	}
}

// Channels is the number of channels with a subscriber here.
func (r *Registry) Channels() int { return r.channels.Len() }
