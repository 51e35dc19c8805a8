package webhook

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// sender delivers the queue of one destination, one request at a time. accept is
// safe for concurrent use; the rest belongs to the goroutine in run.
type sender struct {
	d      *Dispatcher
	to     Destination
	queue  Queue
	target atomic.Pointer[target]
	log    *slog.Logger
	drops  dropLog
	counts counts

	failing atomic.Bool
	backoff backoff
	told    failureLog

	accepting context.Context    // ends when the Dispatcher drains, or with the sender
	life      context.Context    // ends with the sender, breaks a request off
	cancel    context.CancelFunc // of both

	left []Record      // what was not sent; to be read after done
	done chan struct{} // closed when run has returned
}

func newSender(d *Dispatcher, to Destination, queue Queue, t *target) *sender {
	o := &d.options
	s := &sender{d: d, to: to, queue: queue, backoff: backoff{first: o.FirstRetry, most: o.MaxRetryDelay}, done: make(chan struct{})}
	s.log = o.Logger.With("app", to.AppID, "url", t.shown)
	s.drops = dropLog{log: s.log, interval: o.DropLogInterval, counts: []*counts{&s.counts, &d.counts}}
	s.told = failureLog{log: s.log, interval: o.DropLogInterval}
	s.target.Store(t)
	s.life, s.cancel = context.WithCancel(d.life)
	var stopAccepting context.CancelFunc
	s.accepting, stopAccepting = context.WithCancel(d.accepting)
	context.AfterFunc(s.life, stopAccepting)
	return s
}

// accept takes r for delivery, or counts it as dropped.
func (s *sender) accept(r Record) {
	switch err := s.queue.Put(r); {
	case errors.Is(err, ErrQueueClosed):
		s.drops.add(dropUnconfigured, 1)
	case err != nil:
		s.drops.add(dropFull, 1)
	}
}

// run delivers until the sender's life ends, or until the Dispatcher drains and
// the queue is empty.
func (s *sender) run() {
	defer close(s.done)
	defer s.cancel()
	for s.deliver() {
	}
	s.left = s.queue.Close()
}

// deliver sends one batch, however often it takes, and reports whether to go on.
func (s *sender) deliver() bool {
	batch, err := s.nextBatch()
	if err != nil {
		return false
	}
	if n := s.expired(batch); n > 0 {
		s.queue.Remove(n)
		s.drops.add(dropExpired, n)
		return s.life.Err() == nil
	}
	// The same bytes at each attempt: a receiver that took them without saying so
	// can tell.
	body, ids := appendBody(nil, batch), joinIDs(batch)
	for s.expired(batch) == 0 {
		err := s.d.client.post(s.life, s.target.Load(), body, ids)
		if err == nil {
			s.succeeded(len(batch))
			s.queue.Remove(len(batch))
			return true
		}
		if s.life.Err() != nil || !s.failed(err) {
			return false
		}
	}
	return true
}

// nextBatch waits for an event and then, unless there is a backlog, BatchInterval
// for others.
func (s *sender) nextBatch() ([]Record, error) {
	o := &s.d.options
	batch, err := s.queue.Peek(s.accepting, o.MaxBatchEvents, o.MaxBatchBytes)
	if err != nil || len(batch) == o.MaxBatchEvents {
		return batch, err
	}
	wait := o.BatchInterval - time.Since(batch[0].At)
	if wait <= 0 {
		return batch, nil
	}
	select {
	case <-time.After(wait):
	case <-s.accepting.Done():
	}
	return s.queue.Peek(s.accepting, o.MaxBatchEvents, o.MaxBatchBytes)
}

// expired returns how many of batch, from the oldest, are given up: none unless
// the receiver fails.
func (s *sender) expired(batch []Record) int {
	if s.backoff.failures == 0 {
		return 0
	}
	for i, r := range batch {
		since := r.At
		if since.Before(s.d.startedAt) {
			since = s.d.startedAt // what an earlier process left has not been tried yet
		}
		if time.Since(since) < s.d.options.RetryFor {
			return i
		}
	}
	return len(batch)
}

func (s *sender) succeeded(events int) {
	s.told.succeeded(s.backoff.failures)
	s.backoff.failures = 0
	s.failing.Store(false)
	for _, c := range []*counts{&s.counts, &s.d.counts} {
		c.sentEvents.Add(uint64(events))
		c.sentRequests.Add(1)
	}
}

// failed waits before the next attempt and reports whether there is one: a drain
// does not wait for a receiver that fails when the Store can keep its events.
func (s *sender) failed(err error) bool {
	delay := s.backoff.next()
	s.failing.Store(true)
	for _, c := range []*counts{&s.counts, &s.d.counts} {
		c.failedRequests.Add(1)
	}
	s.told.failed(err, delay)
	var draining <-chan struct{}
	if s.d.options.Store != nil {
		draining = s.accepting.Done()
	}
	select {
	case <-time.After(delay):
		return true
	case <-draining:
	case <-s.life.Done():
	}
	return false
}

// appendBody appends the body that carries batch. Its time is that of the oldest
// event, so that a receiver sees how late it is.
//
// Pusher: webhooks, "Webhook format".
func appendBody(dst []byte, batch []Record) []byte {
	size := 64
	for _, r := range batch {
		size += len(r.Event) + 1
	}
	if dst == nil {
		dst = make([]byte, 0, size)
	}
	dst = append(dst, `{"time_ms":`...)
	dst = strconv.AppendInt(dst, batch[0].At.UnixMilli(), 10)
	dst = append(dst, `,"events":[`...)
	for i, r := range batch {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, r.Event...)
	}
	return append(dst, "]}"...)
}

// joinIDs returns the ids of batch in its order, or nothing when it has none.
func joinIDs(batch []Record) string {
	if batch[0].ID == "" {
		return ""
	}
	ids := make([]string, len(batch))
	for i, r := range batch {
		ids[i] = r.ID
	}
	return strings.Join(ids, ",")
}

func (s *sender) stats() DestinationStats {
	out := DestinationStats{Destination: s.to, Counts: s.counts.load(), Failing: s.failing.Load()}
	out.QueuedEvents, out.QueuedBytes = s.queue.Size()
	return out
}
