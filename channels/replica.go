package channels

import (
	"bytes"
	"time"
)

// replica is what a node of a cluster knows of one channel's state in the
// cluster, and what it awaits. Guarded by its stripe's lock.
//
//	           Watch            Watched
//	channel: ------------> asked ---------> settled
//	                         ^                 |
//	                         +---- Restate ----+
//
//	          roster known      Seat            Seated, and in the roster
//	user:    ------------> or  ------> asked ------------> seated
//	          later, refused              ^                   |
//	                                      +----- Restate -----+
//
// A subscription waits until its channel is settled, a joiner also until its user
// is seated: from then on another connection of the user may leave without
// anybody being told that the user left.
//
// The roster beside it is what subscribers here have been told: that of the
// cluster, and the users with a connection here that was welcomed.
//
// Neither Unwatch nor Unseat is stated while an answer is owed, so that an answer
// always belongs to the last question. While the cluster is out of reach
// (stripe.cut) nothing is asked, and everything is settled and seated at once.
type replica struct {
	settled bool   // nothing from now on is missed, and the state is known
	waits   bool   // a subscription waits for settled
	known   bool   // it was settled before: the roster is that of the cluster, or was
	fresh   bool   // nobody was told anything before it was settled the last time
	seen    uint64 // edges and kept publications of the cluster up to here are in

	// own is the kept publications of this node that have no place in the cluster's
	// order yet, oldest first. Those made before it was settled are not among them.
	own []*CachedEvent

	seats      map[string]*present // users present through this node
	later      []*present          // joined before the roster was known, in their order
	maxMembers int                 // as the last joiner had it; 0 is no limit
}

// present is a user who is present through this node.
type present struct {
	member      *Member
	connections int32
	asked       bool // the seat was stated
	refused     bool // the roster was full
	answered    bool // the seat is taken
	waits       bool // a connection waits for all of that
	welcomed    bool // a connection was told that the user is a member
	absent      bool // though welcomed, the user is not in the cluster's roster
}

// wait reports whether a subscription that was just counted must wait, and if so
// notes that it does. A node alone never waits.
func (r *replica) wait() bool {
	if r == nil || r.settled {
		return false
	}
	r.waits = true
	return true
}

// wait is the same for a user's connection; userID is empty where there is no
// roster.
func (c *occupied) wait(userID string) bool {
	r := c.replica
	p := r.seats[userID]
	switch {
	case p == nil:
		return r.wait()
	case p.refused:
		return false
	case c.seated(p):
		p.welcomed = true
		return false
	}
	p.waits = true
	return true
}

func (c *occupied) seated(p *present) bool {
	return c.replica.settled && p.answered && c.roster.has(p.member.ID)
}

// owed reports whether the cluster owes an answer about a channel without
// subscriptions.
func (r *replica) owed() bool { return !r.settled || len(r.seats) > 0 }

func (r *replica) refused(userID string) bool {
	p := r.seats[userID]
	return p != nil && p.refused
}

// full is occupied.full in a cluster. It cannot tell before the roster is known.
// Seats that are asked for count too.
func (r *replica) full(roster *roster, userID string, maxMembers int) bool {
	if p := r.seats[userID]; p != nil && (p.asked || p.refused) {
		return p.refused
	}
	n := len(roster.byID)
	if maxMembers == 0 || !r.known || roster.has(userID) || n+len(r.seats) < maxMembers {
		return false // Fast path.
	}
	for id, p := range r.seats {
		if p.asked && !roster.has(id) {
			n++
		}
	}
	return n >= maxMembers
}

// published notes a kept publication of this node.
func (r *replica) published(event *CachedEvent, cut bool) {
	if r != nil && r.settled && !cut {
		r.own = append(r.own, event)
	}
}

// placed forgets an own publication that came back, and those before it, which
// did not. False means that it is none of those that are awaited.
func (r *replica) placed(event *CachedEvent) bool {
	for i, own := range r.own {
		if bytes.Equal(own.Frame, event.Frame) {
			clear(r.own[:i+1])
			r.own = r.own[i+1:]
			return true
		}
	}
	return false
}

// Connect makes the directory that of one node of a cluster. Call it before
// anything else.
func (d *Directory) Connect(link RosterLink) { d.link = link }

// state states a subscription that was just counted.
func (d *Directory) state(s *stripe, c *occupied) {
	if c.replica == nil {
		c.replica = &replica{settled: s.cut, known: s.cut}
		if !s.cut {
			d.link.Watch(c.name)
		}
	}
	// After the watch, so that the subscriber waits no longer when it is counted.
	d.link.Hold(c.name, int(c.subscriptions))
}

func (d *Directory) joinCluster(s *stripe, c *occupied, m *Member, members []*Member, now time.Time) (Subscribed, []*Member, error) {
	r := c.replica
	p, ok := r.seats[m.ID]
	if !ok {
		if r.seats == nil {
			r.seats = make(map[string]*present)
		}
		p = &present{member: m}
		r.seats[m.ID] = p
		if r.known {
			d.seat(s, c, p)
		} else {
			r.later = append(r.later, p)
		}
	}
	p.connections++
	out := s.subscribed(c, now)
	out.First = !ok
	if out.Waiting = c.wait(m.ID); !out.Waiting {
		members = c.roster.appendMembers(members)
	}
	return out, members, nil
}

func (d *Directory) leaveCluster(s *stripe, c *occupied, userID string) {
	p, ok := c.replica.seats[userID]
	if !ok {
		return
	}
	if p.connections--; p.connections > 0 {
		return
	}
	p.welcomed = false
	if s.cut && p.asked || p.absent {
		d.remove(s, c, userID)
	}
	if p.answered || !p.asked { // otherwise the answer ends it
		d.unseat(s, c, p)
	}
}

func (d *Directory) unseat(s *stripe, c *occupied, p *present) {
	delete(c.replica.seats, p.member.ID)
	switch {
	case !p.asked:
	case s.cut:
		s.leaves(c.name, p.member.ID)
	default:
		d.link.Unseat(c.name, p.member.ID)
	}
}

// left is a hold or, with a userID, a seat that ended while the cluster was out of
// reach. When it is back it may still have what was stated before.
type left struct{ name, userID string }

// maxLeft is how many of them a stripe remembers. The others end with the lease of
// the node's old registration, some seconds later.
const maxLeft = 1024

func (s *stripe) leaves(name, userID string) {
	if !s.cut || len(s.left) == maxLeft {
		return
	}
	if s.left == nil {
		s.left = make(map[left]struct{})
	}
	s.left[left{name, userID}] = struct{}{}
}

// takeBack states what ended while the cluster was out of reach.
func (d *Directory) takeBack(s *stripe) {
	for l := range s.left {
		c, ok := s.get(l.name)
		switch {
		case l.userID != "" && (!ok || c.replica.seats[l.userID] == nil):
			d.link.Unseat(l.name, l.userID)
		case l.userID == "" && !ok:
			d.link.Hold(l.name, 0)
		}
	}
	s.left = nil
}

// Seated is the cluster's answer to RosterLink.Seat.
func (d *Directory) Seated(name, userID string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok || s.cut {
		return
	}
	p, ok := c.replica.seats[userID]
	if !ok || !p.asked {
		return
	}
	p.answered = true
	if p.connections > 0 {
		d.settleSeat(c, p)
		return
	}
	d.unseat(s, c, p)
	if c.subscriptions == 0 {
		d.release(s, c)
	}
}

// seat asks the cluster for a seat, or takes it while that is out of reach.
func (d *Directory) seat(s *stripe, c *occupied, p *present) {
	p.asked, p.answered = true, s.cut
	if s.cut {
		d.add(s, c, p.member)
	} else {
		d.link.Seat(c.name, p.member)
	}
}

// seatLater seats those who joined before the roster was known.
func (d *Directory) seatLater(s *stripe, c *occupied) {
	r := c.replica
	for _, p := range r.later {
		switch {
		case r.seats[p.member.ID] != p: // left
		case r.full(c.roster, p.member.ID, r.maxMembers):
			p.refused = true
			d.settleSeat(c, p)
		default:
			d.seat(s, c, p)
		}
	}
	r.later = nil
}

// add and remove change the roster that subscribers here are told.
func (d *Directory) add(s *stripe, c *occupied, m *Member) {
	p := c.replica.seats[m.ID]
	if p != nil {
		p.absent = false
	}
	if !c.roster.has(m.ID) {
		c.roster.join(m)
		d.edges.MemberAdded(c.name, m, c.interest, s.nextSeq())
		if p != nil {
			d.settleSeat(c, p)
		}
	}
}

func (d *Directory) remove(s *stripe, c *occupied, userID string) {
	if p := c.replica.seats[userID]; p != nil && p.welcomed {
		p.absent = true // its seat was stated: the edge is on its way
		return
	}
	if gone := c.roster.leave(userID); gone != nil {
		d.edges.MemberRemoved(c.name, gone, c.interest, s.nextSeq())
	}
}

// settle and settleSeat tell those who waited that they wait no longer.
func (d *Directory) settle(c *occupied) {
	if c.replica.waits {
		c.replica.waits = false
		d.link.Settled(c.name, "", c.interest)
	}
}

func (d *Directory) settleSeat(c *occupied, p *present) {
	if p.waits && (p.refused || c.seated(p)) {
		p.waits = false
		d.link.Settled(c.name, p.member.ID, c.interest)
	}
}

// State is a channel's state in the cluster after everything up to Seq.
type State struct {
	Seq     uint64
	Members []*Member    // in the order of joining; presence channels only
	Kept    *CachedEvent // cache channels only; nil when there is none
	Expires time.Time    // of Kept
}

// Watched is the cluster's answer to Link.Watch. state is nil for a channel that
// has none to speak of. O(members).
func (d *Directory) Watched(name string, state *State) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok || s.cut {
		return
	}
	r := c.replica
	r.settled, r.fresh, r.own = true, !r.known, nil
	if state != nil {
		r.seen = state.Seq
		if c.roster != nil {
			d.takeRoster(s, c, state.Members)
		}
		s.keep(c.name, state.Kept, state.Expires)
	}
	r.known = true
	if c.subscriptions == 0 {
		d.release(s, c)
		return
	}
	d.settle(c)
}

// takeRoster makes the roster that of the cluster. What differs from an earlier
// one is announced.
func (d *Directory) takeRoster(s *stripe, c *occupied, members []*Member) {
	r := c.replica
	if r.known {
		in := make(map[string]bool, len(members))
		for _, m := range members {
			in[m.ID] = true
		}
		for _, m := range c.roster.appendMembers(nil) {
			if !in[m.ID] {
				d.remove(s, c, m.ID)
			}
		}
		for _, m := range members {
			d.add(s, c, m)
		}
	} else {
		r.known = true // to seat
		for _, m := range members {
			if !c.roster.has(m.ID) {
				c.roster.join(m)
			}
		}
		d.seatLater(s, c)
	}
	for _, p := range r.seats {
		d.settleSeat(c, p)
	}
}

// MemberAdded and MemberRemoved are edges of the cluster. Those that are part of
// the state known already are ignored. A user whom a connection here was told to
// be present stays.
func (d *Directory) MemberAdded(name string, m *Member, seq uint64) {
	d.edge(name, seq, func(s *stripe, c *occupied) { d.add(s, c, m) })
}

// MemberRemoved is described at MemberAdded.
func (d *Directory) MemberRemoved(name, userID string, seq uint64) {
	d.edge(name, seq, func(s *stripe, c *occupied) { d.remove(s, c, userID) })
}

func (d *Directory) edge(name string, seq uint64, apply func(s *stripe, c *occupied)) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok || s.cut || !c.replica.settled || seq <= c.replica.seen || c.roster == nil {
		return
	}
	c.replica.seen = seq
	apply(s, c)
}

// Keep takes a kept publication of the cluster over. One of another node goes to
// the subscribers here: emit is called as by Publish. mine is one of this node; it
// now has its place in the cluster's order, whose last one is kept.
//
// Subscribers have those of this node, which Publish gave them; the last of them
// is kept, and as long as they have no place yet, theirs is behind everything that
// arrives. One that was made before anybody here was answered is new to all.
func (d *Directory) Keep(name string, seq uint64, event *CachedEvent, expires time.Time, mine bool, emit Emit) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok {
		return
	}
	r := c.replica
	placed := mine && r.placed(event)
	if r.settled && !s.cut && seq <= r.seen || placed {
		r.seen = max(r.seen, seq)
		return
	}
	if r.settled {
		r.seen = seq
	}
	behind := len(r.own) > 0
	if !mine || r.fresh && !behind {
		emit(c.interest, s.nextSeq())
	}
	if !behind {
		s.keep(c.name, event, expires)
	}
}

// keep sets the last event of a channel, or forgets it.
func (s *stripe) keep(name string, event *CachedEvent, expires time.Time) {
	if event == nil {
		delete(s.cached, name)
		return
	}
	if s.cached == nil {
		s.cached = make(map[string]cached)
	}
	s.cached[name] = cached{event: event, expires: expires}
}

// Cut makes the directory decide as a node alone does, until Restate: who waits
// waits no longer, and the members of other nodes stay. O(channels).
func (d *Directory) Cut() {
	d.each(func(s *stripe) { s.cut = true }, func(s *stripe, c *occupied) {
		r := c.replica
		r.settled, r.known, r.fresh, r.own = true, true, false, nil
		for _, p := range r.seats {
			switch {
			case p.connections == 0:
				d.unseat(s, c, p)
			case p.asked:
				d.seat(s, c, p)
				d.settleSeat(c, p)
			}
		}
		d.seatLater(s, c)
		d.settle(c)
	})
}

// Restate states everything again, because the cluster forgets what this node
// stated, and asks for the state anew. O(channels).
func (d *Directory) Restate() {
	d.each(func(s *stripe) {
		s.cut = false
		d.takeBack(s)
	}, func(s *stripe, c *occupied) {
		r := c.replica
		r.settled, r.own = false, nil
		d.link.Hold(c.name, int(c.subscriptions))
		for id, p := range r.seats {
			switch {
			case p.connections == 0:
				delete(r.seats, id)
			case p.asked:
				d.seat(s, c, p)
			}
		}
		// After the seats, so that the state has them.
		d.link.Watch(c.name)
	})
}

// each calls begin for each stripe, and with for each of its channels that has a
// subscriber. Those without, which only awaited an answer, are forgotten.
func (d *Directory) each(begin func(s *stripe), with func(s *stripe, c *occupied)) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		begin(s)
		for name, c := range s.occupied {
			if c.subscriptions == 0 {
				delete(s.occupied, name)
				continue
			}
			with(s, c)
		}
		s.mu.Unlock()
	}
}
