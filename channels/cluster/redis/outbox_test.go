package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func record(event string) Record {
	return Record{Event: []byte(event), At: time.UnixMilli(1_700_000_000_123)}
}

func events(records []Record) (out []string) {
	for _, r := range records {
		out = append(out, string(r.Event))
	}
	return out
}

var receiver = Destination{AppID: "1", URL: "https://example.com/hook?token=x"}

func openQueue(t *testing.T, a *Adapter, o OutboxOptions) *Queue {
	t.Helper()
	q := a.Outbox(o).Open(receiver)
	t.Cleanup(func() { q.Close() })
	return q
}

func put(t *testing.T, q *Queue, list ...string) {
	t.Helper()
	for _, event := range list {
		if err := q.Put(record(event)); err != nil {
			t.Fatalf("put %s: %v", event, err)
		}
	}
}

// peek returns events, as soon as there is one.
func peek(t *testing.T, q *Queue, maxEvents, maxBytes int) []Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	records, err := q.Peek(ctx, maxEvents, maxBytes)
	if err != nil {
		t.Fatalf("peek: %v", err)
	}
	return records
}

// drain reads and removes n events.
func drain(t *testing.T, q *Queue, n int) (got []Record) {
	t.Helper()
	for len(got) < n {
		records := slices.Clone(peek(t, q, 10, 1<<20))
		q.Remove(len(records))
		got = append(got, records...)
	}
	return got
}

func TestOutboxGivesEventsInTheirOrderUntilTheyAreRemoved(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	put(t, q, "one", "two", "three", "four")
	for len(peek(t, q, 10, 100)) < 4 { // they are added in one or more calls
	}
	if got, want := events(peek(t, q, 3, 100)), []string{"one", "two", "three"}; !slices.Equal(got, want) {
		t.Errorf("by number: got %v, want %v", got, want)
	}
	if got, want := events(peek(t, q, 3, 6)), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("by bytes: got %v, want %v", got, want)
	}
	if got, want := events(peek(t, q, 3, 1)), []string{"one"}; !slices.Equal(got, want) {
		t.Errorf("the first always: got %v, want %v", got, want)
	}
	first := peek(t, q, 2, 100)
	if !first[0].At.Equal(record("").At) || first[0].ID == "" || first[0].ID == first[1].ID {
		t.Errorf("time and ids: got %+v", first)
	}
	q.Remove(2)
	if got, want := events(drain(t, q, 2)), []string{"three", "four"}; !slices.Equal(got, want) {
		t.Errorf("after Remove: got %v, want %v", got, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := q.Peek(ended, 1, 1); len(got) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("of an empty queue: got %v, %v", got, err)
	}
	if n, bytes := q.Size(); n != 0 || bytes != 0 {
		t.Errorf("size: got %d events of %d bytes, want none", n, bytes)
	}
}

// The stream is deleted from and empty between the two, however short the time.
func TestOutboxNeverGivesAnIDTwice(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	put(t, q, "one")
	one := drain(t, q, 1)[0]
	if _, err := q.exchange(t.Context(), "keep", 0); err != nil { // which deletes it
		t.Fatal(err)
	}
	eval := fmt.Sprintf("return redis.call('XINFO', 'STREAM', '%s')[8]", q.key)
	last, err := a.session.Load().client.Do(t.Context(), a.session.Load().client.B().Eval().Script(eval).Numkeys(0).Build()).ToString()
	if err != nil || last != one.ID {
		t.Errorf("the last id that Redis knows is %q, %v, want %q", last, err, one.ID)
	}
}

func TestOutboxGoesOnWhenItsNodeHasLeft(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	if err := a.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, q, "one", "two")
	if got, want := events(drain(t, q, 2)), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOutboxOfADeadNodeIsTakenOver(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease, o.Timeout = 6*time.Second, 3*time.Second // a busy test host is no outage
	sender, _ := join(t, o)
	other, _ := join(t, o)
	q, r := openQueue(t, sender, OutboxOptions{}), openQueue(t, other, OutboxOptions{})
	put(t, q, "one")
	first := slices.Clone(peek(t, q, 10, 100))
	put(t, r, "two")
	// While the sender works, longer than a lease, nobody else sends.
	busy, cancel := context.WithTimeout(t.Context(), o.Lease*3/2)
	defer cancel()
	if got, err := r.Peek(busy, 10, 100); err == nil {
		t.Fatalf("another node sends too: %v", events(got))
	}
	sender.stop()
	<-sender.finished
	records := peek(t, r, 10, 100)
	if got, want := events(records), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("taken over: got %v, want %v", got, want)
	}
	if records[0].ID != first[0].ID {
		t.Errorf("id: got %s, want %s as before", records[0].ID, first[0].ID)
	}
}

func TestOutboxThatClosesLetsAnotherNodeSendAtOnce(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease = time.Hour // nothing is taken over by its end
	a, _ := join(t, o)
	b, _ := join(t, o)
	q, r := openQueue(t, a, OutboxOptions{}), openQueue(t, b, OutboxOptions{})
	put(t, q, "one")
	peek(t, q, 1, 100)
	put(t, q, "two")
	if left := q.Close(); len(left) != 0 {
		t.Errorf("only here: got %v, want none", events(left))
	}
	if err := q.Put(record("late")); !errors.Is(err, ErrQueueClosed) {
		t.Errorf("put after close: got %v", err)
	}
	if got, want := events(drain(t, r, 2)), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestOutboxLosesAndRepeatsNothingWhenConnectionsAreCut(t *testing.T) {
	s := startServer(t)
	p := newProxy(t, s.address())
	o := s.options(t)
	o.Addresses = []string{p.address()}
	a, _ := join(t, o)
	q := openQueue(t, a, OutboxOptions{})
	const n = 500
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for range 20 {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond): // between two cuts
				p.cut()
			}
		}
	})
	for i := 0; i < n; i += 10 {
		put(t, q, want[i:i+10]...)
		peek(t, q, 1, 1)
	}
	got := events(drain(t, q, n))
	close(stop)
	group.Wait()
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func TestOutboxIsBoundedAndWaitsForRedis(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.options(t))
	s.kill()
	l.until(t, "degraded", func() bool { return l.degraded })
	box := a.Outbox(OutboxOptions{MaxEvents: 3, MaxBytes: 100})
	q := box.Open(receiver)
	t.Cleanup(func() { q.Close() })
	put(t, q, "one", "two", "three")
	if err := q.Put(record("four")); !errors.Is(err, ErrQueueFull) {
		t.Errorf("the fourth: got %v, want ErrQueueFull", err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if got, want := events(drain(t, q, 3)), []string{"one", "two", "three"}; !slices.Equal(got, want) {
		t.Errorf("after the outage: got %v, want %v", got, want)
	}
	l.until(t, "what was removed is deleted", func() bool { n, _ := q.Size(); return n == 0 })
	// Two nodes put more than fits: what one does not know of yet is refused by Redis.
	b, _ := join(t, s.options(t))
	r := b.Outbox(OutboxOptions{MaxEvents: 3, MaxBytes: 100}).Open(receiver)
	t.Cleanup(func() { r.Close() })
	refused := uint64(0)
	for _, to := range []*Queue{r, r, q, q} {
		if err := to.Put(record("x")); errors.Is(err, ErrQueueFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	l.until(t, "one too many is counted", func() bool { return refused+box.Dropped()+r.outbox.Dropped() == 1 })
	drain(t, q, 3)
	if err := q.Put(record(string(make([]byte, 101)))); !errors.Is(err, ErrQueueFull) {
		t.Errorf("too large: got %v, want ErrQueueFull", err)
	}
}

func TestOutboxThatClosesInAnOutageReturnsWhatItHolds(t *testing.T) {
	s := startServer(t)
	s.kill()
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	put(t, q, "one", "two")
	if got, want := events(q.Close()), []string{"one", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
