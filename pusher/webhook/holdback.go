package webhook

import (
	"encoding/json"
	"time"
)

// edge names what was vacated or who left.
type edge struct {
	channel string
	userID  string // of member_removed; a pair's other half has the same edge
	member  bool   // whether it is about a member or about the channel
}

// held is an event that waits for its opposite.
type held struct {
	edge       edge
	event      json.RawMessage
	due        time.Time
	prev, next *held
}

// holdback is the events held back for one app, oldest first. It reads no clock
// and is owned by its intake. Every operation is O(1).
type holdback struct {
	byEdge        map[edge]*held
	first, latest *held
}

func (b *holdback) len() int { return len(b.byEdge) }

func (b *holdback) holds(e edge) bool { return b.byEdge[e] != nil }

// add holds event until due, which must not be before that of earlier ones. e
// must not be held.
func (b *holdback) add(e edge, event json.RawMessage, due time.Time) {
	if b.byEdge == nil {
		b.byEdge = make(map[edge]*held)
	}
	h := &held{edge: e, event: event, due: due, prev: b.latest}
	if b.latest != nil {
		b.latest.next = h
	} else {
		b.first = h
	}
	b.latest, b.byEdge[e] = h, h
}

// cancel forgets what is held for e and reports whether there was something.
func (b *holdback) cancel(e edge) bool {
	h := b.byEdge[e]
	if h != nil {
		b.remove(h)
	}
	return h != nil
}

// remove takes h out and reports whether it was still in.
func (b *holdback) remove(h *held) bool {
	if b.byEdge[h.edge] != h {
		return false
	}
	delete(b.byEdge, h.edge)
	if len(b.byEdge) == 0 {
		b.byEdge = nil // a map never shrinks
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else {
		b.first = h.next
	}
	if h.next != nil {
		h.next.prev = h.prev
	} else {
		b.latest = h.prev
	}
	return true
}

// due returns up to limit events whose time has come, oldest first, and leaves
// them in.
func (b *holdback) due(now time.Time, limit int) (all []*held) {
	for h := b.first; h != nil && len(all) < limit && !h.due.After(now); h = h.next {
		all = append(all, h)
	}
	return all
}

func (e *Event) edge() edge {
	switch e.Type {
	case MemberAdded, MemberRemoved:
		return edge{channel: e.Channel, userID: e.UserID, member: true}
	default:
		return edge{channel: e.Channel}
	}
}

// leaves returns the type of the event that is held for e.
func (e edge) leaves() EventType {
	if e.member {
		return MemberRemoved
	}
	return ChannelVacated
}
