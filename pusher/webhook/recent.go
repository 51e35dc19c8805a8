package webhook

import (
	"strings"
	"time"
)

// maxRecentMisses bounds the channels whose last cache_miss is remembered for one
// app. Above it the oldest is forgotten and may be told again.
const maxRecentMisses = 10_000

// recent remembers which channels missed lately. It reads no clock and is owned
// by its intake.
type recent struct {
	at    map[string]time.Time
	order []string // of at, oldest first
}

// first reports whether channel did not miss within the interval before now, and
// remembers it then. Amortized O(1).
func (r *recent) first(channel string, now time.Time, interval time.Duration) bool {
	for len(r.order) > 0 && now.Sub(r.at[r.order[0]]) >= interval {
		r.forgetOldest()
	}
	if len(r.at) == 0 {
		r.at, r.order = make(map[string]time.Time), nil // neither shrinks by itself
	}
	if _, known := r.at[channel]; known {
		return false
	}
	if len(r.order) >= maxRecentMisses {
		r.forgetOldest()
	}
	channel = strings.Clone(channel)
	r.at[channel] = now
	r.order = append(r.order, channel)
	return true
}

func (r *recent) forgetOldest() {
	delete(r.at, r.order[0])
	r.order[0] = ""
	r.order = r.order[1:]
}
