package webhook

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Options of a Dispatcher. Every zero value is the documented default. Negative
// values are refused except where they mean "off".
type Options struct {
	// BatchInterval is how long an event may wait for others to go in the same
	// request. Zero means 50 ms, a negative value sends at once.
	//
	// Pusher: batches are on by default, 250 ms or 20 events.
	BatchInterval  time.Duration
	MaxBatchEvents int // events of one request; zero means 100, 1 turns batching off
	MaxBatchBytes  int // events of one request in bytes; a larger event goes alone; zero means 65,536

	// MaxQueuedEvents and MaxQueuedBytes bound what waits for one URL of one app;
	// later events are dropped. Zero means 10,000 and 8 MiB. An Outbox of one's own
	// has limits of its own.
	MaxQueuedEvents int
	MaxQueuedBytes  int

	// HoldBack is how long channel_vacated and member_removed wait for the client
	// to come back. Zero means 3 s, negative means off: for nodes that share an Outbox,
	// as clients come back to others.
	//
	// Pusher: webhooks, "delayed by up to three seconds".
	HoldBack time.Duration

	// MaxHeldEvents bounds what is held back for one app; above it the oldest are
	// sent early. Zero means 100,000.
	MaxHeldEvents int

	// CacheMissInterval is the time in which a channel's cache_miss is told once,
	// however many clients miss, and in an Outbox that nodes share whichever nodes they
	// are on. Zero means 1 s, negative means off.
	CacheMissInterval time.Duration

	Timeout time.Duration // of one request, from the dial to the answer's header; zero means 10 s

	// A failed request is repeated after FirstRetry, then after twice the time
	// before, at most MaxRetryDelay; each wait is shortened at random by up to
	// half. An event is dropped when it has waited RetryFor and its receiver still
	// fails. Zero means 1 s, 60 s and 5 min.
	//
	// Pusher: webhooks, "exponential backoff, for 5 minutes".
	FirstRetry    time.Duration
	MaxRetryDelay time.Duration
	RetryFor      time.Duration

	// DenyPrivateAddresses refuses receivers outside the public internet, by the
	// address dialled and not by the name.
	DenyPrivateAddresses bool

	// UserAgent is sent with each request. Empty means "resound".
	UserAgent string

	// Present, if set, is asked before a channel_vacated (userID empty) or a
	// member_removed that was held back is sent. True drops it: the client is
	// there, whatever order the news came in. It is called without any lock and
	// may take the caller's own; while it thinks, what else was held back for the
	// app waits.
	Present func(appID, channel, userID string) bool

	// Outbox holds accepted events until they are sent, shared with other nodes.
	// Nil means in memory.
	Outbox Outbox

	// Store keeps what could not be sent before Close. Nil means that Close tries
	// for as long as it may and drops the rest.
	Store Store

	DropLogInterval time.Duration // between two log lines about drops of one URL; zero means 1 min

	// Logger gets drops and failing receivers at warn. Nil means slog.Default().
	Logger *slog.Logger

	missPause time.Duration     // in which one node puts no second cache_miss of a channel
	transport http.RoundTripper // of tests
}

func (o Options) withDefaults() (Options, error) {
	for _, n := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"MaxBatchEvents", &o.MaxBatchEvents, 100},
		{"MaxBatchBytes", &o.MaxBatchBytes, 64 << 10},
		{"MaxQueuedEvents", &o.MaxQueuedEvents, 10_000},
		{"MaxQueuedBytes", &o.MaxQueuedBytes, 8 << 20},
		{"MaxHeldEvents", &o.MaxHeldEvents, 100_000},
	} {
		if *n.value < 0 {
			return o, fmt.Errorf("%s is %d, want at least 0", n.name, *n.value)
		}
		if *n.value == 0 {
			*n.value = n.zero
		}
	}
	for _, d := range []struct {
		name   string
		value  *time.Duration
		zero   time.Duration
		canOff bool
	}{
		{"BatchInterval", &o.BatchInterval, 50 * time.Millisecond, true},
		{"HoldBack", &o.HoldBack, 3 * time.Second, true},
		{"CacheMissInterval", &o.CacheMissInterval, time.Second, true},
		{"Timeout", &o.Timeout, 10 * time.Second, false},
		{"FirstRetry", &o.FirstRetry, time.Second, false},
		{"MaxRetryDelay", &o.MaxRetryDelay, time.Minute, false},
		{"RetryFor", &o.RetryFor, 5 * time.Minute, false},
		{"DropLogInterval", &o.DropLogInterval, time.Minute, false},
	} {
		switch {
		case *d.value == 0:
			*d.value = d.zero
		case *d.value < 0 && !d.canOff:
			return o, fmt.Errorf("%s is %s, want at least 0", d.name, *d.value)
		}
	}
	if o.FirstRetry > o.MaxRetryDelay {
		return o, fmt.Errorf("FirstRetry %s exceeds MaxRetryDelay %s", o.FirstRetry, o.MaxRetryDelay)
	}
	if o.UserAgent == "" {
		o.UserAgent = "resound"
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.missPause = o.CacheMissInterval
	if o.Outbox == nil {
		o.Outbox = newMemory(o.MaxQueuedEvents, o.MaxQueuedBytes)
	} else {
		// It has the last word, and here only a flood is kept away: after a miss that
		// the Outbox leaves out this node must not be silent for another interval.
		o.missPause /= 4
	}
	return o, nil
}
