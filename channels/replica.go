package channels

import "time"

// replica is what a node of a cluster knows of one channel's state in the
// cluster, and what it awaits. Guarded by its stripe's lock.
//
//	           Watch            Watched
//	channel: ------------> asked ---------> settled
//	                         ^                 |
//	                         +- Restate, or ---+
//	                            Missing
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
	since   uint64 // who was answered since the state came has this number or a later one; 0: nobody was
	gap     bool   // messages may have been missed since it was settled the last time
	counted uint64 // number of the last count that was told here
	seen    uint64 // edges and kept publications of the cluster up to here are in
	kept    uint64 // the highest number of a kept publication that subscribers have

	// own is the kept publications of this node that have no place in the cluster's
	// order yet, oldest first. Those made before it was known are not among them, and of
	// those made while it is not settled only the last is.
	own  []*CachedEvent
	late lateEvent

	seats      map[string]*present // users present through this node
	leaving    map[string]int      // who was present, by the answers that are awaited to Unseat
	later      []*present          // joined before the roster was known, in their order
	maxMembers int                 // as the last joiner had it; 0 is no limit
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

// owed reports whether the cluster owes an answer about a channel without
// subscriptions.
func (r *replica) owed() bool { return !r.settled || len(r.seats) > 0 }

// follows returns a channel about which the cluster is listened to.
func (s *stripe) follows(name string) (c *occupied, ok bool) {
	c, ok = s.occupied[name]
	return c, ok && c.replica != nil && !s.cut
}

// state states a subscription that was just counted.
func (d *Directory) state(s *stripe, c *occupied) {
	if c.replica == nil {
		c.replica = &replica{settled: s.cut, known: s.cut}
		if s.cut {
			c.replica.keptHere(s, c.name)
		} else {
			s.link.Watch(c.name)
		}
	}
	// After the watch, so that the subscriber waits no longer when it is counted.
	s.link.Hold(c.name, int(c.subscriptions))
}

// settle tells those who waited for the channel that they wait no longer.
func (d *Directory) settle(s *stripe, c *occupied) {
	if c.replica.waits {
		c.replica.waits = false
		s.link.Settled(c.name, "", c.interest)
	}
}

// Missing notes that publications and edges of a channel may be missed: who
// subscribes waits until Watched is called.
func (d *Directory) Missing(name string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.follows(name); ok {
		r := c.replica
		r.settled, r.since, r.gap = false, 0, true
		r.unplaced()
	}
}

// State is a channel's state in the cluster after everything up to Seq.
type State struct {
	Seq     uint64
	Members []*Member    // in the order of joining; presence channels only
	Kept    *CachedEvent // cache channels only; nil when there is none
	Own     bool         // this node published Kept
	Expires time.Time    // of it
	Partial bool         // who is not in it may be present, what own has may be newer

	// Missed is called, as by Publish, when subscribers here have missed Kept.
	Missed Emit
}

// Watched is the cluster's answer to Link.Watch. state is nil for a channel that
// has none to speak of. O(members).
func (d *Directory) Watched(name string, state *State) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.follows(name)
	if !ok {
		return
	}
	r := c.replica
	r.settled = true
	if state != nil && state.Kept != nil {
		switch {
		case r.missed(state):
			state.Missed(c.interest, s.nextSeq())
			r.kept = state.Kept.Seq
		case !r.known:
			r.kept = max(r.kept, state.Kept.Seq)
		}
	}
	if state == nil || !state.Partial {
		r.unplaced()
	}
	if state != nil {
		r.seen = state.Seq
		if c.roster != nil {
			d.takeRoster(s, c, state)
		}
		if state.Kept != nil {
			r.placed(state.Kept)
			if r.late.is(state.Kept) {
				r.late = lateEvent{}
			}
		}
		if len(r.own) == 0 {
			d.keep(s, c.name, state.Kept, state.Expires, state.Own)
		}
	}
	gap := r.gap
	r.known, r.gap, r.since = true, false, s.nextSeq()
	if r.late.since == 0 {
		r.late.since = r.since
	}
	if c.subscriptions == 0 {
		d.release(s, c)
		return
	}
	d.settle(s, c)
	if gap && c.roster == nil {
		s.link.Recount(c.name, int(c.subscriptions))
	}
}
