package rest

import (
	"sync"
	"sync/atomic"
	"time"

	"resound/pusher"
	"resound/pusher/rest/shield"
)

const (
	// shieldShare is the part of the connections, one in so many, that may wait
	// for applications; the rest of the API keeps the others.
	shieldShare = 2

	// awayLogInterval is the least time between two lines that say that an
	// application does not answer.
	awayLogInterval = 10 * time.Second
)

// shields holds the shield of each app that has one. Safe for concurrent use.
type shields struct {
	counters shield.Counters
	waiting  atomic.Int64 // requests inside of a shield
	loggedAt atomic.Int64 // Unix nanoseconds

	mu    sync.Mutex
	byApp map[string]*shieldOf
}

// shieldOf is a shield with what it was made from. Immutable.
type shieldOf struct {
	key     string
	options pusher.AuthShield
	*shield.Shield
}

// of returns the shield of an app, a new one after its options have changed.
func (s *shields) of(app *pusher.App, now func() time.Time) (*shield.Shield, error) {
	o, key := app.Options().AuthShield, app.Key()
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.byApp[app.ID]; have != nil && have.options == o && have.key == key {
		return have.Shield, nil
	}
	made, err := shield.New(shield.Options{
		Upstream:    o.Upstream,
		Key:         key,
		CacheTTL:    o.CacheTTL,
		Timeout:     o.Timeout,
		MaxInFlight: o.MaxInFlight,
		Now:         now,
		Counters:    &s.counters,
	})
	if err != nil {
		return nil, err
	}
	if s.byApp == nil {
		s.byApp = make(map[string]*shieldOf)
	}
	s.byApp[app.ID] = &shieldOf{key, o, made}
	return made, nil
}

// enter reserves a place among those that wait, and reports false when there is
// none. Call leave after true.
func (s *shields) enter(maxConnections int) bool {
	if s.waiting.Add(1) <= int64(max(1, maxConnections/shieldShare)) {
		return true
	}
	s.waiting.Add(-1)
	return false
}

func (s *shields) leave() { s.waiting.Add(-1) }

// mayLog reports whether enough time has passed since the last line.
func (s *shields) mayLog(now time.Time) bool {
	last := s.loggedAt.Load()
	return now.UnixNano()-last >= int64(awayLogInterval) && s.loggedAt.CompareAndSwap(last, now.UnixNano())
}
