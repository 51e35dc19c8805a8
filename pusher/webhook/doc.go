// Package webhook tells an app's own servers, by signed HTTP requests, what
// happens on its channels: channels occupied and vacated, members added and
// removed, client events, cache misses, subscription counts.
//
//	Dispatcher.Publish (any goroutine, never blocks)
//	        |
//	intake, one per app: filters, hold-back, cache misses told once
//	        |  Record: one encoded event
//	Outbox: one bounded Queue per Destination (app, URL)
//	        |
//	sender, one per Destination: batch, sign, POST, back off, retry
//	        |
//	client: no redirect, no proxy, bounded answer, refused addresses
//
// # Ownership
//
// A Dispatcher is safe for concurrent use. Each app has its own lock and each
// Destination its own queue, goroutine and connection: a receiver that is dead,
// slow or hanging delays its own events only. A sender has one request under way
// at a time and goes on to later events only when the earlier ones were taken or
// given up, so the events of a channel reach a URL in the order they were
// published. Requests carry many events, which is what makes up for that.
//
// Locks, outermost first: Dispatcher.mu, intake.releasing, intake.mu, memoryQueue.mu or dropLog.mu.
// No request runs under any of them; Options.Present is asked under
// intake.releasing alone, which no caller of Publish takes.
//
// # Limits
//
// Everything waiting is bounded: Options.MaxHeldEvents per app, MaxQueuedEvents
// and MaxQueuedBytes per Destination, MaxBatchEvents and MaxBatchBytes per
// request, maxAnswerBytes and maxAnswerTime of a response. What does not fit is
// counted in Stats and logged, at most one line per Destination in
// Options.DropLogInterval.
//
// # Errors
//
// Delivery is at least once: a receiver that took a request and failed to say so
// gets the same body again. Anything but a 2xx answer is a failure. With an Outbox
// that nodes share, events carry ids and are sent on by another node when theirs
// dies.
//
// The package never blocks its callers, never follows a redirect, never writes a
// secret to a log or to the Store, and never sends an app's events anywhere but
// to that app's URLs.
package webhook
