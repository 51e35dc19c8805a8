package control

import (
	"sync"
	"sync/atomic"
)

// feedEvents is how many events may wait for a reader.
const feedEvents = 1024

// Feed carries events to a reader that may be slow. Safe for concurrent use.
type Feed struct {
	events  chan Event
	dropped atomic.Uint64
	stop    func()
	once    sync.Once
}

// NewFeed returns an empty feed. Close calls stop.
func NewFeed(stop func()) *Feed {
	return &Feed{events: make(chan Event, feedEvents), stop: stop}
}

// Full reports whether an event would be dropped now, and counts it as dropped if
// so: making it can then be saved.
func (f *Feed) Full() bool {
	if len(f.events) < cap(f.events) {
		return false
	}
	f.dropped.Add(1)
	return true
}

// Offer passes an event on, or drops and counts it. It never waits.
func (f *Feed) Offer(e Event) {
	select {
	case f.events <- e:
	default:
		f.dropped.Add(1)
	}
}

// Events are those that were offered.
func (f *Feed) Events() <-chan Event { return f.events }

// TakeDropped is how many events were dropped since it was asked last.
func (f *Feed) TakeDropped() uint64 { return f.dropped.Swap(0) }

// Close ends the feed.
func (f *Feed) Close() { f.once.Do(f.stop) }
