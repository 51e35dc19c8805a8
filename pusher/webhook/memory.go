package webhook

import (
	"context"
	"slices"
	"sync"
)

// memory is the Outbox of one node.
type memory struct{ maxEvents, maxBytes int }

func newMemory(maxEvents, maxBytes int) *memory { return &memory{maxEvents, maxBytes} }

func (m *memory) Open(Destination) (Queue, error) {
	return &memoryQueue{limit: *m, ready: make(chan struct{}, 1)}, nil
}

// memoryQueue is a bounded queue. Safe for concurrent use.
type memoryQueue struct {
	limit  memory
	ready  chan struct{} // holds a token when a Peek may find more than before
	peeked []Record      // owned by the sender

	mu      sync.Mutex
	records []Record // the waiting ones are records[head:]
	head    int
	bytes   int
	closed  bool
}

func (q *memoryQueue) Put(r Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return ErrQueueClosed
	case len(q.records)-q.head >= q.limit.maxEvents || q.bytes+len(r.Event) > q.limit.maxBytes:
		return ErrQueueFull
	}
	q.records = append(q.records, r)
	q.bytes += len(r.Event)
	if len(q.records)-q.head == 1 {
		select {
		case q.ready <- struct{}{}:
		default:
		}
	}
	return nil
}

func (q *memoryQueue) Peek(ctx context.Context, maxEvents, maxBytes int) ([]Record, error) {
	for {
		if q.peek(maxEvents, maxBytes); len(q.peeked) > 0 {
			return q.peeked, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			// A Put may have come between the look and the end.
			if q.peek(maxEvents, maxBytes); len(q.peeked) > 0 {
				return q.peeked, nil
			}
			return nil, ctx.Err()
		}
	}
}

func (q *memoryQueue) peek(maxEvents, maxBytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.peeked = q.peeked[:0]
	bytes := 0
	for _, r := range q.records[q.head:min(len(q.records), q.head+maxEvents)] {
		if bytes += len(r.Event); bytes > maxBytes && len(q.peeked) > 0 {
			return
		}
		q.peeked = append(q.peeked, r)
	}
}

func (q *memoryQueue) Remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.peeked) // what was sent is garbage now
	gone := q.records[q.head : q.head+n]
	for _, r := range gone {
		q.bytes -= len(r.Event)
	}
	clear(gone)
	q.head += n
	switch waiting := len(q.records) - q.head; {
	case waiting == 0:
		// A burst must not leave its array behind.
		q.records, q.head = nil, 0
	case q.head > waiting:
		// Moving less than was removed since the last move: constant per record.
		q.records = slices.Clone(q.records[q.head:])
		q.head = 0
	}
}

func (q *memoryQueue) Size() (events, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.records) - q.head, q.bytes
}

func (q *memoryQueue) Close() []Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	left := q.records[q.head:]
	q.records, q.head, q.bytes, q.closed = nil, 0, 0, true
	return left
}
