package channels

import "time"

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

// wait is replica.wait for a user's connection; userID is empty where there is no
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

// seated reports whether a user's connections can be welcomed.
func (c *occupied) seated(p *present) bool {
	return c.replica.settled && p.answered && c.roster.has(p.member.ID)
}

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

// joinCluster and leaveCluster are what Join and Leave do in a cluster.
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
		d.leaves(s, c.name, p.member.ID)
	default:
		if c.replica.leaving == nil {
			c.replica.leaving = make(map[string]int)
		}
		c.replica.leaving[p.member.ID]++
		s.link.Unseat(c.name, p.member.ID)
	}
}

// Unseated is the cluster's answer to RosterLink.Unseat.
func (d *Directory) Unseated(name, userID string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.follows(name)
	if !ok {
		return
	}
	if r := c.replica; r.leaving[userID] > 1 {
		r.leaving[userID]--
	} else {
		delete(r.leaving, userID)
	}
}

// Seated is the cluster's answer to RosterLink.Seat.
func (d *Directory) Seated(name, userID string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.follows(name)
	if !ok {
		return
	}
	p, ok := c.replica.seats[userID]
	if !ok || !p.asked {
		return
	}
	p.answered = true
	if p.connections > 0 {
		d.settleSeat(s, c, p)
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
		s.link.Seat(c.name, p.member)
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
			d.settleSeat(s, c, p)
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
		s.edges.MemberAdded(c.name, m, c.interest, s.nextSeq())
		if p != nil {
			d.settleSeat(s, c, p)
		}
	}
}

func (d *Directory) remove(s *stripe, c *occupied, userID string) {
	if p := c.replica.seats[userID]; p != nil && p.welcomed {
		p.absent = true // its seat was stated: the edge is on its way
		return
	}
	if gone := c.roster.leave(userID); gone != nil {
		s.edges.MemberRemoved(c.name, gone, c.interest, s.nextSeq())
	}
}

// settleSeat tells those who waited for a seat that they wait no longer.
func (d *Directory) settleSeat(s *stripe, c *occupied, p *present) {
	if p.waits && (p.refused || c.seated(p)) {
		p.waits = false
		s.link.Settled(c.name, p.member.ID, c.interest)
	}
}

// takeRoster makes the roster that of the cluster. What differs from an earlier
// one is announced.
func (d *Directory) takeRoster(s *stripe, c *occupied, state *State) {
	r, members := c.replica, state.Members
	if r.known {
		in := make(map[string]bool, len(members))
		for _, m := range members {
			in[m.ID] = true
		}
		for _, m := range c.roster.appendMembers(nil) {
			if !in[m.ID] && !state.Partial {
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
		d.settleSeat(s, c, p)
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
	c, ok := s.follows(name)
	if !ok || !c.replica.settled || seq <= c.replica.seen || c.roster == nil {
		return
	}
	c.replica.seen = seq
	apply(s, c)
}
