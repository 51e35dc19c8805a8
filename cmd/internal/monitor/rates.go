package monitor

import (
	"sync"
	"time"
)

// Rates are averages over the last seconds.
type Rates struct {
	Over     float64 `json:"over_seconds"`           // 0: nothing is known yet
	Received float64 `json:"messages_received"`      // a second
	Sent     float64 `json:"messages_sent"`          // a second
	Opened   float64 `json:"connections_opened"`     // a second
	CPU      float64 `json:"cpu_percent"`            // 100 is one core
	Errors   float64 `json:"errors"`                 // told to clients, a second
	Requests float64 `json:"http_requests_answered"` // a second
}

// Reading is what rates are made of: counters at one moment.
type Reading struct {
	At                               time.Time
	Received, Sent, Opened, Requests uint64
	Errors                           uint64
	CPUSeconds                       float64
}

// window is how many readings rates look back.
const window = 10

// Meter turns readings into rates. The zero value is ready. Safe for concurrent
// use.
type Meter struct {
	mu       sync.Mutex
	readings []Reading // oldest first, at most window and one
}

// Observe takes the next reading, about a second after the last.
func (m *Meter) Observe(r Reading) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.readings) > window {
		copy(m.readings, m.readings[1:])
		m.readings = m.readings[:window]
	}
	m.readings = append(m.readings, r)
}

// Rates are those between the oldest reading and the last.
func (m *Meter) Rates() Rates {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.readings) < 2 {
		return Rates{}
	}
	a, b := m.readings[0], m.readings[len(m.readings)-1]
	over := b.At.Sub(a.At).Seconds()
	if over <= 0 {
		return Rates{}
	}
	// Counters of an app that was removed are gone: no rate is below zero.
	rate := func(from, to uint64) float64 { return max(0, float64(to)-float64(from)) / over }
	return Rates{
		Over:     over,
		Received: rate(a.Received, b.Received),
		Sent:     rate(a.Sent, b.Sent),
		Opened:   rate(a.Opened, b.Opened),
		Errors:   rate(a.Errors, b.Errors),
		Requests: rate(a.Requests, b.Requests),
		CPU:      100 * (b.CPUSeconds - a.CPUSeconds) / over,
	}
}
