package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
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

func count(channel string, number uint64) Record {
	r := record(fmt.Sprint(channel, " ", number))
	r.Subject, r.Number = channel, number
	return r
}

// exchanged has what was put added to the stream.
func exchanged(t *testing.T, q *Queue) {
	t.Helper()
	for n := 1; n > 0; {
		if _, err := q.exchange(t.Context(), "keep", 0); err != nil {
			t.Fatal(err)
		}
		q.mu.Lock()
		n = len(q.added)
		q.mu.Unlock()
	}
}

func putRecords(t *testing.T, q *Queue, list ...Record) {
	t.Helper()
	for _, r := range list {
		if err := q.Put(r); err != nil {
			t.Fatalf("put %s: %v", r.Event, err)
		}
	}
	exchanged(t, q)
}

// TestOutboxLeavesOutWhatWasOvertaken: a node brings its count after a later one of
// another node, be that sent already and the sending node another.
func TestOutboxLeavesOutWhatWasOvertaken(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	b, _ := join(t, s.options(t))
	q, r := openQueue(t, a, OutboxOptions{}), openQueue(t, b, OutboxOptions{})
	// Numbers as they are: only in 16 digits do these differ.
	const n = 1_796_074_000_000_000
	putRecords(t, q, count("news", n+2), count("chat", n+5))
	putRecords(t, r, count("news", n+1), record("other"), count("news", n+3))
	putRecords(t, q, count("news", n+2), count("chat", n+6))
	want := []string{fmt.Sprint("news ", n+2), fmt.Sprint("chat ", n+5), "other", fmt.Sprint("news ", n+3), fmt.Sprint("chat ", n+6)}
	if got := events(drain(t, q, len(want))); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	q.Close()
	putRecords(t, r, count("news", n), count("news", n+4))
	if got, want := events(drain(t, r, 1)), []string{fmt.Sprint("news ", n+4)}; !slices.Equal(got, want) {
		t.Errorf("sent by another: got %v, want %v", got, want)
	}
	if got := q.outbox.Dropped() + r.outbox.Dropped(); got != 0 {
		t.Errorf("%d count as dropped, want none", got)
	}
}

// TestOutboxThatIsFullForgetsNoCount: one that did not fit has overtaken nothing.
func TestOutboxThatIsFullForgetsNoCount(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	b, _ := join(t, s.options(t))
	q, r := openQueue(t, a, OutboxOptions{MaxEvents: 1}), openQueue(t, b, OutboxOptions{MaxEvents: 1})
	putRecords(t, r, record("first"))
	putRecords(t, q, count("news", 2))
	if got := q.outbox.Dropped(); got != 1 {
		t.Fatalf("%d were dropped, want 1", got)
	}
	drain(t, q, 1)
	exchanged(t, q) // which deletes it
	putRecords(t, q, count("news", 1))
	if got, want := events(drain(t, q, 1)), []string{"news 1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestOutboxRemembersABoundedNumberOfSubjects: at least the latest 8,192.
func TestOutboxRemembersABoundedNumberOfSubjects(t *testing.T) {
	const most = 8192 // maxSubjects of outboxScript
	s := startServer(t)
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{MaxEvents: 1 << 20})
	subjects := func() (n int) {
		for _, key := range []string{":s0", ":s1"} {
			n += len(s.list("HKEYS", q.key+key))
		}
		return n
	}
	for i := range 5 * most {
		if err := q.Put(count(fmt.Sprint("chat", i), 2)); err != nil {
			t.Fatal(err)
		}
		if i%most == most/2 { // whichever is being filled
			exchanged(t, q)
			for _, old := range []int{i, max(0, i-most+1)} {
				before, _ := q.Size()
				putRecords(t, q, count(fmt.Sprint("chat", old), 1))
				if after, _ := q.Size(); after != before {
					t.Errorf("after %d, the count of %d was forgotten", i, old)
				}
			}
		}
	}
	exchanged(t, q)
	if n := subjects(); n < most || n > 2*most {
		t.Errorf("%d subjects are remembered, want %d to %d", n, most, 2*most)
	}
	for _, key := range []string{":s0", ":s1"} {
		ttl := s.list("EVAL", "return {tostring(redis.call('TTL', KEYS[1]))}", "1", q.key+key)[0]
		if seconds, _ := strconv.Atoi(ttl); seconds == -1 || seconds > 3600 {
			t.Errorf("%s expires in %s s, want an hour at most", key, ttl)
		}
	}
}

// TestOutboxCallThatIsRepeatedChangesNothing: its answer was lost.
func TestOutboxCallThatIsRepeatedChangesNothing(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	b, _ := join(t, s.options(t))
	q, r := openQueue(t, a, OutboxOptions{}), openQueue(t, b, OutboxOptions{})
	lost := func(list ...Record) (repeat func()) {
		t.Helper()
		q.turn <- struct{}{}
		for _, r := range list {
			if err := q.Put(r); err != nil {
				t.Fatal(err)
			}
		}
		session := a.session.Load()
		if _, err := session.eval(t.Context(), []call{{outboxScript, q.key, q.args("keep", 0)}}); err != nil {
			t.Fatal(err)
		}
		return func() {
			<-q.turn
			exchanged(t, q)
		}
	}
	repeat := lost(count("news", 2), count("news", 1), record("other"))
	putRecords(t, r, count("news", 3))
	repeat()
	repeat = lost(count("chat", 1))
	putRecords(t, r, count("chat", 3), count("chat", 2))
	repeat()
	want := []string{"news 2", "other", "news 3", "chat 1", "chat 3"}
	if got := events(drain(t, q, len(want))); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	exchanged(t, q) // which deletes them
	if n, _ := q.Size(); n != 0 {
		t.Errorf("%d more are there", n)
	}
}

func miss(text, channel string, once time.Duration) Record {
	r := record(text)
	r.Subject, r.Once = channel, once
	return r
}

// aged has the outbox believe that what it has noted happened that much earlier.
func (s *server) aged(q *Queue, age time.Duration) {
	s.t.Helper()
	s.list("EVAL", `for _, key in ipairs({KEYS[1] .. ':s0', KEYS[1] .. ':s1'}) do
		for _, subject in ipairs(redis.call('HKEYS', key)) do redis.call('HINCRBY', key, subject, -ARGV[1]) end
	end
	return {}`, "1", q.key, strconv.FormatInt(age.Milliseconds(), 10))
}

// TestOutboxTakesACacheMissOnce: in an hour that begins with one that was taken, from
// whichever node.
func TestOutboxTakesACacheMissOnce(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	b, _ := join(t, s.options(t))
	q, r := openQueue(t, a, OutboxOptions{}), openQueue(t, b, OutboxOptions{})
	slow := miss("first", "x", time.Hour)
	slow.At = slow.At.Add(-24 * time.Hour) // clocks of hosts do not matter
	putRecords(t, q, slow)
	putRecords(t, r, miss("second", "x", time.Hour), miss("other", "y", time.Hour), record("event"))
	putRecords(t, q, miss("third", "x", time.Hour), count("x", 1)) // a count is another subject
	s.aged(q, 59*time.Minute)
	putRecords(t, r, miss("fourth", "x", time.Hour))
	s.aged(q, time.Minute)
	putRecords(t, q, miss("fifth", "x", time.Hour))
	putRecords(t, r, miss("sixth", "x", time.Hour))
	s.aged(q, -2*time.Hour) // the clock of Redis steps back
	putRecords(t, r, miss("seventh", "x", time.Hour))
	putRecords(t, q, miss("eighth", "x", time.Hour))
	want := []string{"first", "other", "event", "x 1", "fifth", "seventh"}
	if got := events(drain(t, q, len(want))); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := q.outbox.Dropped() + r.outbox.Dropped(); got != 0 {
		t.Errorf("%d count as dropped, want none", got)
	}
}
