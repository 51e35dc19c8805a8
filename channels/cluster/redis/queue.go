package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"resound/channels/cluster"
)

const (
	// readInterval is how often the node that sends looks for events of others.
	readInterval = 200 * time.Millisecond

	maxAdded = 64 // events in one call of outboxScript
)

// Queue holds the events of one Destination. Put is called from any goroutine,
// the others from one.
type Queue struct {
	outbox *Outbox
	key    string
	work   chan struct{} // has a value when there is something to add or delete
	stop   chan struct{} // closed by Close
	done   chan struct{} // run has returned
	turn   chan struct{} // a call of outboxScript is under way while it has a value

	mu       sync.Mutex
	changed  sync.Cond // on mu: added became shorter, or closed
	closed   bool
	ended    bool     // Close has returned
	puts     uint64   // events that Put took
	added    []Record // waits to be added, oldest first
	bytes    int      // of added
	removed  []Record // sent, waits to be deleted
	peeked   []Record // the last answer of Peek
	inEvents int      // in Redis, as last told
	inBytes  int
	wanted   bool // Peek was called: this node may send

	// Owned by whoever has turn.
	call     uint64   // number of the last call that added
	adding   int      // how many of added that call carries
	deleting []Record // those a call has told and Redis may not have heard
}

// Put adds r at the end. It does no I/O. ErrQueueFull and ErrQueueClosed mean that
// r was not taken.
func (q *Queue) Put(r Record) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	o := &q.outbox.options
	switch {
	case q.closed:
		return ErrQueueClosed
	case len(q.added)+q.inEvents >= o.MaxEvents || q.bytes+q.inBytes+len(r.Event) > o.MaxBytes:
		q.ring() // others may have sent what fills it
		return ErrQueueFull
	}
	q.added = append(q.added, r)
	q.puts++
	q.bytes += len(r.Event)
	q.ring()
	return nil
}

func (q *Queue) ring() {
	select {
	case q.work <- struct{}{}:
	default:
	}
}

// Peek returns the oldest events, at most maxEvents, and after the first only as
// many as keep them within maxBytes. It waits until there is one and this node is
// the one that sends, or until ctx ends; a ctx that has ended asks once. The slice
// is valid until the next call.
func (q *Queue) Peek(ctx context.Context, maxEvents, maxBytes int) ([]Record, error) {
	q.mu.Lock()
	q.wanted = true
	q.mu.Unlock()
	for {
		ended := ctx.Err() // what was put before it ended is found
		// Without a deadline of ctx: its end must not leave the answer unknown.
		records, err := q.exchange(context.WithoutCancel(ctx), "own", maxEvents)
		if err == nil && len(records) > 0 {
			return q.within(records, maxBytes), nil
		}
		if ended != nil {
			return nil, ended
		}
		timer := time.NewTimer(readInterval)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-q.stop:
			timer.Stop()
			return nil, ErrQueueClosed
		case <-timer.C:
		}
	}
}

func (q *Queue) within(records []Record, maxBytes int) []Record {
	n, bytes := 0, 0
	for n < len(records) && (n == 0 || bytes+len(records[n].Event) <= maxBytes) {
		bytes += len(records[n].Event)
		n++
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.peeked = records[:n]
	return q.peeked
}

// Remove forgets the n oldest events, which Peek has returned.
func (q *Queue) Remove(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removed = append(q.removed, q.peeked[:n]...)
	q.peeked = q.peeked[n:]
	q.ring()
}

// Size returns what waits, in this process and, as last heard, in Redis.
func (q *Queue) Size() (events, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.added) + q.inEvents, q.bytes + q.inBytes
}

// Close ends the queue, lets another node send at once, and returns the events
// that only this process holds.
func (q *Queue) Close() []Record {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	q.mu.Unlock()
	close(q.stop)
	<-q.done
	for {
		q.mu.Lock()
		before := len(q.added)
		q.mu.Unlock()
		if _, err := q.exchange(context.Background(), "release", 0); err != nil {
			break
		}
		q.mu.Lock()
		left := len(q.added)
		q.mu.Unlock()
		if left == 0 || left == before {
			break
		}
	}
	q.outbox.adapter.queues.remove(q)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.changed.Broadcast()
	for i := range q.added {
		q.added[i].Teller = "" // what counts as stored must not be left out later
	}
	return q.added
}

// flush waits until what was put before is in Redis, or in the hands of who closed
// the queue.
func (q *Queue) flush(s *session) error {
	q.mu.Lock()
	upTo := q.puts
	q.mu.Unlock()
	return waitUntil(s.ctx, s, &q.changed, func() bool { return q.ended || q.puts-uint64(len(q.added)) >= upTo })
}

// run adds and deletes what waits, and keeps the lease while a sender is at work
// with what Peek gave it.
func (q *Queue) run() {
	defer close(q.done)
	keep := time.NewTicker(q.outbox.adapter.options.Lease / 3)
	defer keep.Stop()
	for attempt := 0; ; {
		select {
		case <-q.stop:
			return
		case <-q.work:
		case <-keep.C:
			q.mu.Lock()
			idle := !q.wanted && len(q.added) == 0
			q.mu.Unlock()
			if idle {
				continue
			}
		}
		_, err := q.exchange(context.Background(), "keep", 0)
		if err == nil {
			attempt = 0
			q.mu.Lock()
			if len(q.added) > 0 {
				q.ring()
			}
			q.mu.Unlock()
			continue
		}
		// Redis is lost or slow; what waits stays.
		timer := time.NewTimer(spread(min(100*time.Millisecond<<min(attempt, 5), q.outbox.adapter.options.MaxBackoff)))
		select {
		case <-q.stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		attempt++
		q.ring()
	}
}

// exchange runs outboxScript once: it adds and deletes what waits, says whether
// this node wants to send, and reads up to count events if it is the one. A call
// that failed is repeated by the next with the same number and events.
func (q *Queue) exchange(ctx context.Context, what string, count int) ([]Record, error) {
	q.turn <- struct{}{}
	defer func() { <-q.turn }()
	a := q.outbox.adapter
	s := a.session.Load()
	if s == nil {
		return nil, cluster.ErrDegraded
	}
	args := q.args(what, count)
	results, err := s.eval(ctx, []call{{outboxScript, q.key, args}})
	if err != nil {
		return nil, err
	}
	answer, err := results[0].ToArray()
	if err != nil {
		return nil, err
	}
	if len(answer)%4 != 1 || len(answer) < 5 {
		return nil, fmt.Errorf("an answer of %d values is not understood", len(answer))
	}
	fenced, err := answer[4].AsStrSlice()
	if err != nil {
		return nil, err
	}
	// Before what they told counts as stored.
	for _, teller := range fenced {
		_, number, _ := strings.Cut(teller, ":")
		a.journal.disown(seqOf(number))
	}
	q.heard(int(int64Of(answer[1])), int(int64Of(answer[2])), uint64(int64Of(answer[3])))
	var records []Record
	for i := 5; i < len(answer); i += 4 {
		entry, _ := answer[i].ToString()
		id, _ := answer[i+3].ToString()
		if id == "" {
			id = entry
		}
		event, err := answer[i+2].ToString()
		if err != nil {
			return nil, err
		}
		records = append(records, Record{ID: id, entry: entry, Event: []byte(event), At: time.UnixMilli(int64Of(answer[i+1]))})
	}
	return records, nil
}

func (q *Queue) args(what string, count int) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	a, o := q.outbox.adapter, &q.outbox.options
	if q.adding == 0 && len(q.added) > 0 {
		q.adding = min(len(q.added), maxAdded)
		q.call = a.calls.Add(1)
	}
	q.deleting = append(q.deleting, q.removed...)
	q.removed = nil
	args := []string{
		a.node, strconv.FormatInt(a.options.Lease.Milliseconds(), 10), what, strconv.Itoa(count),
		strconv.Itoa(o.MaxEvents), strconv.Itoa(o.MaxBytes), decimal(q.call), strconv.Itoa(len(q.deleting)),
	}
	for _, r := range q.deleting {
		args = append(args, r.entry, strconv.Itoa(len(r.Event)))
	}
	for _, r := range q.added[:q.adding] {
		args = append(args, strconv.FormatInt(r.At.UnixMilli(), 10), string(r.Event), r.ID)
		args = append(args, r.Condition.args()...)
	}
	return args
}

// args says it to outboxScript.
func (c *Condition) args() []string {
	switch {
	case c.Number != 0:
		return []string{"newer", c.Subject, decimal(c.Number)}
	case c.Once > 0:
		return []string{"once", c.Subject, strconv.FormatInt(c.Once.Milliseconds(), 10)}
	case c.Teller != "":
		return []string{"by", c.Teller}
	default:
		return []string{""}
	}
}

func (q *Queue) heard(events, bytes int, refused uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.added[:q.adding] {
		q.bytes -= len(r.Event)
	}
	q.added = q.added[q.adding:]
	q.adding, q.deleting = 0, nil
	q.changed.Broadcast()
	q.inEvents, q.inBytes = events, bytes
	q.outbox.dropped.Add(refused)
}
