package channels

// left is a hold or, with a userID, a seat that ended while the cluster was out of
// reach. When it is back it may still have what was stated before.
type left struct{ name, userID string }

// maxLeft is how many of them an app remembers. The others end with the lease of
// the node's old registration, some seconds later.
const maxLeft = 1 << 17

func (d *Directory) leaves(s *stripe, name, userID string) {
	l := left{name, userID}
	if _, noted := s.left[l]; noted || !s.cut || d.left.Load() >= maxLeft {
		return
	}
	if s.left == nil {
		s.left = make(map[left]struct{})
	}
	s.left[l] = struct{}{}
	d.left.Add(1)
}

// takeBack states what ended while the cluster was out of reach.
func (d *Directory) takeBack(s *stripe) {
	for l := range s.left {
		c, ok := s.get(l.name)
		switch {
		case l.userID != "" && (!ok || c.replica.seats[l.userID] == nil):
			s.link.Unseat(l.name, l.userID)
		case l.userID == "" && !ok:
			s.link.Hold(l.name, 0)
		}
	}
	d.left.Add(-int64(len(s.left)))
	s.left = nil
}

// Cut makes the directory decide as a node alone does, until Restate: who waits
// waits no longer, and the members of other nodes stay. O(channels).
func (d *Directory) Cut() {
	d.each(func(s *stripe) { s.cut = true }, func(s *stripe, c *occupied) {
		r := c.replica
		r.settled, r.known = true, true
		r.keptHere(s, c.name)
		if r.late.since == 0 {
			r.late = lateEvent{} // who is answered now is welcomed with it
		}
		for _, p := range r.seats {
			switch {
			case p.connections == 0:
				d.unseat(s, c, p)
				d.remove(s, c, p.member.ID)
			case p.asked:
				d.seat(s, c, p)
				d.settleSeat(s, c, p)
			}
		}
		for id := range r.leaving {
			// The cluster may not have heard that the user left.
			if r.seats[id] == nil {
				d.remove(s, c, id)
				d.leaves(s, c.name, id)
			}
		}
		r.leaving = nil
		d.seatLater(s, c)
		d.settle(s, c)
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
		r.settled, r.gap, r.counted = false, false, 0
		if c.roster == nil {
			s.link.Watch(c.name)
		}
		s.link.Hold(c.name, int(c.subscriptions))
		for id, p := range r.seats {
			switch {
			case p.connections == 0:
				delete(r.seats, id)
			case p.asked:
				d.seat(s, c, p)
			}
		}
		for id := range r.leaving {
			if r.seats[id] != nil {
				delete(r.leaving, id)
				continue
			}
			r.leaving[id] = 1
			s.link.Unseat(c.name, id)
		}
		if c.roster != nil {
			// After the seats and what was taken back, so that the state knows of both.
			s.link.Watch(c.name)
		}
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
