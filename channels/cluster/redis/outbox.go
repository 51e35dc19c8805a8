package redis

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const maxFenceCalls = 64 // in one pipeline

var (
	// ErrQueueFull is Put's answer when an event would cross the queue's limits.
	ErrQueueFull = errors.New("the queue is full")

	// ErrQueueClosed is Put's answer after Close.
	ErrQueueClosed = errors.New("the queue is closed")
)

// Destination is a URL of an app that is told of events.
type Destination struct{ AppID, URL string }

// Record is an event that waits for a Destination.
type Record struct {
	// ID is the same however often and from whichever node the event is sent. When
	// Put gives none Peek sets it.
	ID    string
	entry string    // its place in the stream
	Event []byte    // immutable
	At    time.Time // to the millisecond
	Condition
}

// Condition says when a record is left out. The zero value is never; at most one of
// Number, Once and Teller is set. Number and Once are about the last record of a Subject
// that whichever node added, known for an hour and of 8,192 subjects of a Destination or
// more.
type Condition struct {
	Subject string
	Number  uint64        // left out after a higher number: it was overtaken
	Once    time.Duration // left out within that time after another, by Redis' clock

	// Teller is that of the cluster.Edge that the record tells: left out once another
	// node begins to clean up after it, which then tells the edge.
	Teller string
}

// OutboxOptions bound an Outbox.
type OutboxOptions struct {
	// MaxEvents and MaxBytes bound what waits for one Destination in Redis, and
	// again in this process while Redis is lost. Zero means 10,000 and 16 MiB.
	MaxEvents int
	MaxBytes  int
}

// Outbox keeps events in Redis until they were sent: a stream for each
// Destination, which one node at a time reads in its order and deletes from. When
// that node is not heard of for Options.Lease another goes on. Safe for concurrent
// use. What nobody reads for an hour is forgotten.
type Outbox struct {
	adapter *Adapter
	options OutboxOptions
	dropped atomic.Uint64
}

// Outbox returns an outbox over the adapter's connections. Its queues must be
// closed before the adapter is.
func (a *Adapter) Outbox(o OutboxOptions) *Outbox {
	if o.MaxEvents == 0 {
		o.MaxEvents = 10_000
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 16 << 20
	}
	return &Outbox{adapter: a, options: o}
}

// Dropped is how many events were taken by Put and then did not fit in Redis.
func (o *Outbox) Dropped() uint64 { return o.dropped.Load() }

// Open returns the queue of to. Only one may be open at a time in this process.
func (o *Outbox) Open(to Destination) *Queue {
	// The URL may hold a secret of its receiver: its name is a digest.
	sum := sha256.Sum256([]byte(to.URL))
	a := o.adapter
	q := &Queue{
		outbox: o,
		key:    "{" + a.options.Prefix + ":" + strconv.Itoa(a.options.Database) + ":w:" + to.AppID + "}:" + hex.EncodeToString(sum[:12]),
		work:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		turn:   make(chan struct{}, 1),
	}
	q.changed.L = &q.mu
	a.queues.add(q)
	go q.run()
	return q
}

// queues are those that are open.
type queues struct {
	mu   sync.Mutex
	open map[*Queue]bool
}

func (o *queues) add(q *Queue) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = make(map[*Queue]bool)
	}
	o.open[q] = true
}

func (o *queues) remove(q *Queue) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, q)
}

func (o *queues) all() []*Queue {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.open))
}

// fence has the outboxes leave out what an incarnation had to tell, which is about to be
// cleaned up: were it only slow, its webhook of an edge could come after that of a later
// one. What it has brought there before comes before everything that is told from now on.
// It may be repeated, and the calls may change places.
func (a *Adapter) fence(s *session, i incarnationName) error {
	for open := range slices.Chunk(a.queues.all(), maxFenceCalls) {
		calls := make([]call, len(open))
		for j, q := range open {
			calls[j] = call{fenceScript, q.key, []string{i.String()}}
		}
		if _, err := s.eval(s.ctx, calls); err != nil {
			return err
		}
	}
	return nil
}

// flushQueues returns when everything that was put before is in Redis.
func (a *Adapter) flushQueues(s *session) error {
	for _, q := range a.queues.all() {
		if err := q.flush(s); err != nil {
			return err
		}
	}
	return nil
}
