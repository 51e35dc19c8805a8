package channels

import (
	"bytes"
	"time"
)

// published notes a kept publication of this node. While nothing comes back, in an
// outage too, the last one stands for all.
func (r *replica) published(event *CachedEvent, cut bool) {
	if r == nil {
		return
	}
	if !r.known {
		r.late = lateEvent{event: event}
		return
	}
	if cut || !r.settled {
		clear(r.own)
		r.own = r.own[:0]
	}
	r.own = append(r.own, event)
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

// lateEvent is the last publication of this node that may come back after a state that
// lacks it: who was answered with such a state does not have it.
type lateEvent struct {
	event *CachedEvent // nil when there is none
	since uint64       // who was answered has this number or a later one; 0: nobody was yet
}

// is reports whether a publication that came back is that one.
func (l *lateEvent) is(event *CachedEvent) bool {
	return l.event != nil && bytes.Equal(l.event.Frame, event.Frame)
}

// unplaced awaits none of the own publications any more.
func (r *replica) unplaced() {
	if n := len(r.own); n > 0 {
		r.late = lateEvent{event: r.own[n-1]}
	}
	r.own = nil
}

// missed reports whether subscribers were told what happens in a channel before, and not
// of its last event. A state that is partial may lack own events on their way, which are
// later; the whole one says.
func (r *replica) missed(state *State) bool {
	onTheirWay := state.Partial && (len(r.own) > 0 || r.late.event != nil)
	return r.known && !state.Own && state.Kept.Seq > r.kept && !onTheirWay
}

// keptHere notes the event that subscribers are welcomed with while nobody knows better.
func (r *replica) keptHere(s *stripe, name string) {
	if hit, ok := s.cached[name]; ok {
		r.kept = max(r.kept, hit.event.Seq)
	}
}

// Keep takes a publication of the cluster over that is kept until expires, or that is not
// kept, nor what was before it, where expires is zero. One of another node goes to
// the subscribers here: emit is called as by Publish. mine is one of this node; it
// now has its place in the cluster's order, whose last one is kept.
//
// Subscribers have those of this node, which Publish gave them; the last of them
// is kept, and as long as they have no place yet, theirs is behind everything that
// arrives. One that was made before the state was known, and is not part of it, is
// new to who was answered with that state: to those who subscribed with the number
// since or a later one. since is 0 for everybody.
func (d *Directory) Keep(name string, seq uint64, event *CachedEvent, expires time.Time, mine bool, emit func(to Interest, since, seq uint64)) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok || c.replica == nil {
		return
	}
	r := c.replica
	placed, late := mine && r.placed(event), lateEvent{since: r.since}
	if mine && r.late.is(event) {
		late, r.late = r.late, lateEvent{}
	}
	known := r.settled && !s.cut && seq <= r.seen // it is part of the state
	r.kept = max(r.kept, seq)
	if r.settled {
		r.seen = max(r.seen, seq)
	}
	kept, behind := !expires.IsZero(), len(r.own) > 0
	switch {
	case known || placed && kept:
		return
	case !mine:
		emit(c.interest, 0, s.nextSeq())
	case kept && late.since != 0 && !behind:
		emit(c.interest, late.since, s.nextSeq())
	}
	if behind {
		return
	}
	if !kept {
		event = nil
	}
	d.keep(s, c.name, event, expires, mine)
}
