package rest

import (
	"math"
	"sync"
	"time"
)

// budgets holds what each app may still spend, by app id. Apps without a limit
// have none. Safe for concurrent use.
type budgets struct {
	events, reads sync.Map // string -> *budget
}

// spend takes n from a budget that grows by limit a second. It returns 0, or how
// many seconds to wait; limit 0 or less means no limit.
func spend(from *sync.Map, app string, limit, n int, now time.Time) (retryAfter int) {
	if limit <= 0 {
		return 0
	}
	b, ok := from.Load(app)
	if !ok {
		b, _ = from.LoadOrStore(app, &budget{left: float64(limit), at: now})
	}
	return b.(*budget).spend(limit, n, now)
}

// budget is a token bucket as deep as one second. What is larger than the whole
// bucket passes when it is full and leaves a debt. Safe for concurrent use.
type budget struct {
	mu   sync.Mutex
	left float64 // may be negative
	at   time.Time
}

func (b *budget) spend(limit, n int, now time.Time) (retryAfter int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := float64(limit)
	if passed := now.Sub(b.at); passed > 0 {
		b.left = math.Min(rate, b.left+passed.Seconds()*rate)
		b.at = now
	}
	if missing := math.Min(rate, float64(n)) - b.left; missing > 0 {
		return max(1, int(math.Ceil(missing/rate)))
	}
	b.left -= float64(n)
	return 0
}

// spendEvents charges n publications to the app.
func (r *request) spendEvents(n int) error {
	s, limit := r.server, r.app.Options().MaxBackendEventsPerSecond
	if after := spend(&s.budgets.events, r.app.ID, limit, n, s.options.Node.Now()); after > 0 {
		s.counters.rateLimited.Add(1)
		return tooMany("events", limit, after)
	}
	return nil
}

// spendRead charges a query to the app.
func (r *request) spendRead() error {
	s, limit := r.server, r.app.Options().MaxReadRequestsPerSecond
	if after := spend(&s.budgets.reads, r.app.ID, limit, 1, s.options.Node.Now()); after > 0 {
		s.counters.rateLimited.Add(1)
		return tooMany("read requests", limit, after)
	}
	return nil
}
