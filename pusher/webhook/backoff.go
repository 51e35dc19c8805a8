package webhook

import (
	"math/rand/v2"
	"time"
)

// backoff counts the failures of one destination since its last success. Owned
// by its sender.
type backoff struct {
	first, most time.Duration
	failures    int
}

// next counts a failure and returns how long to wait: first, twice as long after
// each further failure up to most, and of that at least half, at random, so that
// nodes that lost a receiver together do not come back together.
func (b *backoff) next() time.Duration {
	delay := b.most
	doublings := min(b.failures, 62)
	if d := b.first << doublings; d>>doublings == b.first { // otherwise it overflowed
		delay = min(d, b.most)
	}
	b.failures++
	return delay - rand.N(delay/2+1)
}
