package webhook

import "sync/atomic"

// Stats are counts since the Dispatcher was made, except where they say now.
type Stats struct {
	Counts               // of all destinations, removed ones included
	Cancelled     uint64 // events that cancelled each other within HoldBack
	Deduplicated  uint64 // cache misses told before, and edges held already
	ReleasedEarly uint64 // events held back too briefly because of MaxHeldEvents
	HeldEvents    int    // held back now

	Destinations []DestinationStats // configured now, in no order
}

// Counts are what happened to accepted events. An event that goes to two URLs
// counts twice.
type Counts struct {
	SentEvents     uint64
	SentRequests   uint64 // answered with 2xx
	FailedRequests uint64

	DroppedFull         uint64 // MaxQueuedEvents or MaxQueuedBytes
	DroppedExpired      uint64 // RetryFor
	DroppedUnconfigured uint64 // the app or the URL is configured no more
	DroppedClosed       uint64 // published after Close, or neither sent nor kept by it
}

// Dropped is the sum of all drops.
func (c Counts) Dropped() uint64 {
	return c.DroppedFull + c.DroppedExpired + c.DroppedUnconfigured + c.DroppedClosed
}

// DestinationStats are one URL's.
type DestinationStats struct {
	Destination
	Counts
	QueuedEvents int  // now
	QueuedBytes  int  // now
	Failing      bool // now: the last request failed
}

// dropReason says why an event is dropped.
type dropReason uint8

const (
	dropFull dropReason = iota
	dropExpired
	dropUnconfigured
	dropClosed
	dropReasons
)

var reasonNames = [dropReasons]string{
	dropFull:         "queue_full",
	dropExpired:      "retries_ended",
	dropUnconfigured: "not_configured",
	dropClosed:       "shutdown",
}

// counts is Counts as it grows. Safe for concurrent use.
type counts struct {
	sentEvents, sentRequests, failedRequests atomic.Uint64
	dropped                                  [dropReasons]atomic.Uint64
}

func (c *counts) load() Counts {
	return Counts{
		SentEvents:          c.sentEvents.Load(),
		SentRequests:        c.sentRequests.Load(),
		FailedRequests:      c.failedRequests.Load(),
		DroppedFull:         c.dropped[dropFull].Load(),
		DroppedExpired:      c.dropped[dropExpired].Load(),
		DroppedUnconfigured: c.dropped[dropUnconfigured].Load(),
		DroppedClosed:       c.dropped[dropClosed].Load(),
	}
}
