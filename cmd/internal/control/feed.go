package control

import (
	"context"
	"sync"
	"sync/atomic"
)

// What may wait for a reader.
const (
	feedEvents = 1024
	feedBytes  = 8 << 20 // of data
)

// Feed carries events to a reader that may be slow. Safe for concurrent use.
type Feed struct {
	events  chan Event
	bytes   atomic.Int64
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
	if len(f.events) < cap(f.events) && f.bytes.Load() < feedBytes {
		return false
	}
	f.dropped.Add(1)
	return true
}

// Offer passes an event on, or drops and counts it. It never waits.
func (f *Feed) Offer(e Event) {
	f.bytes.Add(int64(len(e.Data)))
	select {
	case f.events <- e:
	default:
		f.bytes.Add(-int64(len(e.Data)))
		f.dropped.Add(1)
	}
}

// Receive waits for the next event; ok is false when ctx ends first.
func (f *Feed) Receive(ctx context.Context) (e Event, ok bool) {
	select {
	case e = <-f.events:
		f.bytes.Add(-int64(len(e.Data)))
		return e, true
	case <-ctx.Done():
		return Event{}, false
	}
}

// Waiting is how many events wait.
func (f *Feed) Waiting() int { return len(f.events) }

// TakeDropped is how many events were dropped since it was asked last.
func (f *Feed) TakeDropped() uint64 { return f.dropped.Swap(0) }

// Close ends the feed.
func (f *Feed) Close() { f.once.Do(f.stop) }
