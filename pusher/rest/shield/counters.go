package shield

import (
	"errors"
	"sync/atomic"
)

// Stats counts what became of questions.
type Stats struct {
	Asked       uint64 // questions that the application got
	Shared      uint64 // answered with the answer to another's question in flight
	Cached      uint64 // answered with a grant that was kept
	Refused     uint64 // questions that the application said no to
	Unavailable uint64 // questions without a usable answer, or without a turn
	Evicted     uint64 // grants forgotten before they expired, for want of room
}

// Counters count for one or many Shields. The zero value is ready. Safe for
// concurrent use.
type Counters struct {
	asked, shared, cached, refused, unavailable, evicted atomic.Uint64
}

// Stats returns the counts of this moment.
func (c *Counters) Stats() Stats {
	return Stats{
		Asked:       c.asked.Load(),
		Shared:      c.shared.Load(),
		Cached:      c.cached.Load(),
		Refused:     c.refused.Load(),
		Unavailable: c.unavailable.Load(),
		Evicted:     c.evicted.Load(),
	}
}

// count files the outcome of one question.
func (c *Counters) count(err error) {
	var no *Refusal
	switch {
	case err == nil:
	case errors.As(err, &no):
		c.refused.Add(1)
	default:
		c.unavailable.Add(1)
	}
}
