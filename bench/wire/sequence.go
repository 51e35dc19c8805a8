package wire

// windowEvents is how far back a late event can be told from a repeated one.
const windowEvents = 64

// Outcome says how an event stands to those received before it.
type Outcome uint8

// The outcomes of Sequence.Observe.
const (
	InOrder    Outcome = iota // the next one, or a later one with a gap before it
	Duplicated                // received before, or too old to know
	Reordered                 // fills a gap: it came after a later one
)

// Sequence follows the numbers of the events that one connection receives. The
// zero value waits for number 1. Owned by one connection.
type Sequence struct {
	seen uint64 // bit i: last-i was received
	last uint32 // highest number received
}

// Observe takes the number of a received event, 1 or more, and returns how it
// stands to the earlier ones. Each number counts once as InOrder or Reordered,
// so the sum of the two is the number of distinct events. O(1).
func (s *Sequence) Observe(number uint32) Outcome {
	if number > s.last {
		// A shift by the width or more leaves nothing, as it should.
		s.seen = s.seen<<(number-s.last) | 1
		s.last = number
		return InOrder
	}
	back := s.last - number
	if back >= windowEvents || s.seen&(1<<back) != 0 {
		return Duplicated
	}
	s.seen |= 1 << back
	return Reordered
}

// Seen reports whether a number was received. It takes numbers too old to know for
// received.
func (s *Sequence) Seen(number uint32) bool {
	if number > s.last {
		return false
	}
	back := s.last - number
	return back >= windowEvents || s.seen&(1<<back) != 0
}
