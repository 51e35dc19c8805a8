package local

import (
	"cmp"
	"slices"
	"time"

	"resound/channels/cluster"
)

// channel is what the nodes stated of a channel. Guarded by Hub.mu.
type channel struct {
	holds map[*Adapter]hold
	total int
	seats map[string]*seat
	kept  kept
}

type hold struct {
	incarnation   int
	subscriptions int
}

// seat is a user and the nodes through which it is present.
type seat struct {
	member cluster.Member
	seq    uint64 // of MemberAdded
	by     map[*Adapter]int
}

type kept struct {
	event cluster.Kept
	from  *Adapter // nil when it was inherited
	until time.Time
}

func (c *channel) empty(now time.Time) bool {
	return len(c.holds) == 0 && len(c.seats) == 0 && !now.Before(c.kept.until)
}

// of returns the state of c, made when there is none.
func (h *Hub) of(c cluster.Channel) *channel {
	s, ok := h.channels[c]
	if !ok {
		s = &channel{holds: make(map[*Adapter]hold), seats: make(map[string]*seat)}
		h.channels[c] = s
	}
	return s
}

func (h *Hub) drop(c cluster.Channel) {
	if s, ok := h.channels[c]; ok && s.empty(time.Now()) {
		delete(h.channels, c)
	}
}

func (h *Hub) hold(a *Adapter, c cluster.Channel, subscriptions int, decider *Adapter) (total int) {
	s := h.of(c)
	before := s.total
	s.total += subscriptions - s.holds[a].subscriptions
	if subscriptions == 0 {
		delete(s.holds, a)
	} else {
		s.holds[a] = hold{a.incarnation, subscriptions}
	}
	switch {
	case before == 0 && s.total > 0:
		h.edge(decider, cluster.Edge{Channel: c, Kind: cluster.Occupied})
	case before > 0 && s.total == 0:
		h.edge(decider, cluster.Edge{Channel: c, Kind: cluster.Vacated})
	}
	h.drop(c)
	return s.total
}

// seat returns the number of the user's MemberAdded.
func (h *Hub) seat(a *Adapter, c cluster.Channel, m cluster.Member, decider *Adapter) uint64 {
	s := h.of(c)
	u, ok := s.seats[m.ID]
	if !ok {
		u = &seat{member: m, by: make(map[*Adapter]int)}
		s.seats[m.ID] = u
		u.seq = h.edge(decider, cluster.Edge{Channel: c, Kind: cluster.MemberAdded, Member: m})
	}
	u.by[a] = a.incarnation
	return u.seq
}

// inherit is hold, seat and publish of what was decided before.
func (h *Hub) inherit(a *Adapter, c cluster.Channel, in cluster.Inherited) {
	if s := h.of(c); in.Kept != nil && s.keptEvent() == nil { // what others published since is newer
		s.kept = kept{*in.Kept, nil, time.Now().Add(in.Kept.For)}
	}
	h.hold(a, c, in.Subscriptions, nil)
	for _, m := range in.Members {
		seq := h.seat(a, c, m, nil)
		a.out(c, func(d cluster.Deliverer) { d.Seated(c, m.ID, seq) })
	}
}

func (h *Hub) unseat(a *Adapter, c cluster.Channel, userID string, decider *Adapter) {
	s, ok := h.channels[c]
	if !ok {
		return
	}
	u, ok := s.seats[userID]
	if !ok {
		return
	}
	delete(u.by, a)
	if len(u.by) == 0 {
		delete(s.seats, userID)
		h.edge(decider, cluster.Edge{Channel: c, Kind: cluster.MemberRemoved, Member: u.member})
	}
	h.drop(c)
}

// edge numbers e and tells it.
func (h *Hub) edge(decider *Adapter, e cluster.Edge) (seq uint64) {
	h.seq++
	e.Seq = h.seq
	for _, a := range h.adapters {
		if _, ok := a.watched[e.Channel]; ok {
			a.out(e.Channel, func(d cluster.Deliverer) { d.Edge(e) })
		}
	}
	if decider != nil {
		decider.decided(e)
	}
	return h.seq
}

// publish tells p to those who watch, to its publisher only when it is kept.
func (h *Hub) publish(from *Adapter, p cluster.Publication) {
	from.stats.Published++
	if p.Keep > 0 || p.Forget {
		h.seq++
		p.Seq = h.seq
	}
	if p.Keep > 0 {
		h.sweep(time.Now())
		event := cluster.Kept{Payload: p.Payload, Name: p.Name, Data: p.Data, Seq: p.Seq, Except: p.Except}
		h.of(p.Channel).kept = kept{event, from, time.Now().Add(p.Keep)}
	}
	if p.Forget {
		h.of(p.Channel).kept = kept{}
		h.drop(p.Channel)
	}
	for _, a := range h.adapters {
		mine := a == from
		if _, ok := a.watched[p.Channel]; !ok || mine && p.Seq == 0 {
			continue
		}
		if !mine {
			a.stats.Received++
		}
		a.out(p.Channel, func(d cluster.Deliverer) { d.Deliver(p, mine) })
	}
}

// sweep forgets events whose time has passed, once a minute.
func (h *Hub) sweep(now time.Time) {
	if now.Sub(h.swept) < time.Minute {
		return
	}
	h.swept = now
	for c, s := range h.channels {
		if s.empty(now) {
			delete(h.channels, c)
		}
	}
}

func (h *Hub) snapshot(a *Adapter, c cluster.Channel) *cluster.Snapshot {
	out := &cluster.Snapshot{Seq: h.seq, Partial: h.back}
	if s, ok := h.channels[c]; ok {
		out.Occupied, out.Members, out.Kept = s.total > 0, s.members(), s.keptEvent()
		if out.Kept != nil {
			out.Kept.Mine = s.kept.from == a
		}
	}
	return out
}

func (c *channel) members() []cluster.Member {
	seats := make([]*seat, 0, len(c.seats))
	for _, u := range c.seats {
		seats = append(seats, u)
	}
	slices.SortFunc(seats, func(a, b *seat) int { return cmp.Compare(a.seq, b.seq) })
	var members []cluster.Member
	for _, u := range seats {
		members = append(members, u.member)
	}
	return members
}

func (c *channel) keptEvent() *cluster.Kept {
	left := time.Until(c.kept.until)
	if left <= 0 {
		return nil
	}
	event := c.kept.event
	event.For = left
	return &event
}

// purge ends what a stated as one of the incarnations that stale reports, and
// tells the edges and counts to decider.
func (h *Hub) purge(a, decider *Adapter, stale func(incarnation int) bool) {
	for c, s := range h.channels {
		for _, member := range s.members() {
			if incarnation, ok := s.seats[member.ID].by[a]; ok && stale(incarnation) {
				h.unseat(a, c, member.ID, decider)
			}
		}
		if held, ok := s.holds[a]; ok && stale(held.incarnation) {
			if total := h.hold(a, c, 0, decider); total > 0 && decider != nil {
				decider.counted(c, total)
			}
		}
	}
}
