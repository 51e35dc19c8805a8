package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{BatchInterval: 50 * time.Millisecond, MaxBatchEvents: 3}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		begin := time.Now()
		publish := func(channels ...string) {
			for _, c := range channels {
				d.Publish("a", occupied(c))
			}
		}
		publish("1")
		time.Sleep(40 * time.Millisecond)
		publish("2")
		time.Sleep(20 * time.Millisecond)
		publish("3")
		synctest.Wait()
		publish("4", "5", "6")
		time.Sleep(time.Second)
		var got []string
		for _, q := range r.all() {
			got = append(got, fmt.Sprint(q.at.Sub(begin), " ", strings.Join(q.words(), ",")))
		}
		wantEvents(t, got,
			"50ms channel_occupied 1,channel_occupied 2",
			"110ms channel_occupied 3,channel_occupied 4,channel_occupied 5",
			"110ms channel_occupied 6",
		)
		if got, want := r.all()[0].timeMS, begin.UnixMilli(); got != want {
			t.Errorf("time_ms %d, want %d, when the oldest event came", got, want)
		}
	})
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{BatchInterval: 50 * time.Millisecond, MaxBatchBytes: 100}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		long := strings.Repeat("x", 200)
		for _, c := range []string{"1", "2", "3", long, "4"} { // 41 bytes each but one
			d.Publish("a", occupied(c))
		}
		time.Sleep(time.Second)
		var got []string
		for _, q := range r.all() {
			got = append(got, strings.Join(q.words(), ","))
		}
		wantEvents(t, got,
			"channel_occupied 1,channel_occupied 2",
			"channel_occupied 3",
			"channel_occupied "+long,
			"channel_occupied 4")
	})
}

func TestBatchingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t}
		d := start(t, Options{BatchInterval: time.Hour, MaxBatchEvents: 1}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		d.Publish("a", occupied("1"))
		d.Publish("a", occupied("2"))
		synctest.Wait()
		wantEvents(t, []string{fmt.Sprint(len(r.all()))}, "2")
	})
}

func TestFailuresAreRetriedWithTheSameBodyInOrder(t *testing.T) {
	const failures = 9
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		r := &receiver{t: t, answer: func(_ request, n int) (int, error) {
			switch {
			case n >= failures:
				return http.StatusNoContent, nil
			case n%3 == 0:
				return 0, errors.New("connection refused")
			case n%3 == 1:
				return http.StatusFound, nil
			default:
				return http.StatusInternalServerError, nil
			}
		}}
		d := start(t, Options{Logger: log.logger()}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		d.Publish("a", occupied("first"))
		synctest.Wait()
		d.Publish("a", occupied("second"))
		if s := d.Stats(); !s.Destinations[0].Failing || s.Destinations[0].QueuedEvents != 2 {
			t.Errorf("failing %v, queued %d, want true and 2", s.Destinations[0].Failing, s.Destinations[0].QueuedEvents)
		}
		time.Sleep(10 * time.Minute)
		all := r.all()
		if len(all) != failures+2 {
			t.Fatalf("%d requests, want %d", len(all), failures+2)
		}
		for n := range failures {
			if all[n].body != all[0].body || all[n+1].body != all[0].body {
				t.Errorf("attempt %d has another body", n+1)
			}
			full := min(time.Second<<n, time.Minute)
			if waited := all[n+1].at.Sub(all[n].at); waited < full/2 || waited > full {
				t.Errorf("waited %s before attempt %d, want %s to %s", waited, n+2, full/2, full)
			}
		}
		wantEvents(t, all[failures].words(), "channel_occupied first")
		wantEvents(t, all[failures+1].words(), "channel_occupied second")
		s := d.Stats()
		if s.FailedRequests != failures || s.SentRequests != 2 || s.SentEvents != 2 || s.Dropped() != 0 || s.Destinations[0].Failing {
			t.Errorf("got %+v", s)
		}
		if got := len(log.lines("webhook receiver fails")); got != 1 {
			t.Errorf("%d log lines tell of the failures, want 1", got)
		}
		if got := len(log.lines("webhook receiver is back")); got != 1 {
			t.Errorf("%d log lines tell of the return, want 1", got)
		}
	})
}

func TestRetriesHaveJitter(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for range 20 {
		b := backoff{first: time.Second, most: time.Minute}
		seen[b.next()] = true
	}
	if len(seen) < 2 {
		t.Errorf("20 first waits have %d values", len(seen))
	}
}

func TestWaitsDoNotOverflow(t *testing.T) {
	for _, first := range []time.Duration{1, time.Second, 24 * time.Hour} {
		b := backoff{first: first, most: 24 * time.Hour}
		for n := range 200 {
			if d := b.next(); d < 0 || d > b.most || n > 60 && d < b.most/2 {
				t.Fatalf("wait %d from %s is %s", n, first, d)
			}
		}
	}
}

func TestEventsAreGivenUpAfterRetryFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		alive := false
		r := &receiver{t: t, answer: func(request, int) (int, error) {
			if alive {
				return 200, nil
			}
			return 500, nil
		}}
		d := start(t, Options{Logger: log.logger()}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		begin := time.Now()
		d.Publish("a", occupied("old"))
		time.Sleep(4 * time.Minute)
		d.Publish("a", occupied("young"))
		time.Sleep(2*time.Minute + time.Second)
		if s := d.Stats(); s.DroppedExpired != 1 || s.Destinations[0].QueuedEvents != 1 {
			t.Errorf("after 6 min dropped %d, queued %d, want 1 and 1", s.DroppedExpired, s.Destinations[0].QueuedEvents)
		}
		alive = true
		before := len(r.all())
		time.Sleep(time.Minute)
		for _, q := range r.all()[before:] {
			wantEvents(t, q.words(), "channel_occupied young")
		}
		if got := len(r.all()) - before; got != 1 {
			t.Errorf("%d requests after the return, want 1", got)
		}
		for _, q := range r.all() {
			if q.words()[0] == "channel_occupied old" && q.at.Sub(begin) > 6*time.Minute {
				t.Errorf("an event of %s ago was tried", q.at.Sub(begin))
			}
		}
		if got := len(log.lines("retries_ended=1")); got != 1 {
			t.Errorf("%d log lines tell of the drop, want 1", got)
		}
	})
}

func TestSlowReceiverLosesNothingToTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(request, int) (int, error) {
			time.Sleep(9 * time.Second)
			return 200, nil
		}}
		d := start(t, Options{MaxBatchEvents: 1}, r, testApp("a", Hook{URL: testURL}))
		defer d.Close(t.Context())
		var want []string
		for i := range 60 { // 9 min
			d.Publish("a", occupied(fmt.Sprint(i)))
			want = append(want, fmt.Sprint("channel_occupied ", i))
		}
		time.Sleep(10 * time.Minute)
		wantEvents(t, r.events(), want...)
	})
}

func TestHangingReceiverDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{t: t, answer: func(q request, _ int) (int, error) {
			if strings.Contains(q.url, "hangs") {
				return hang, nil
			}
			return 200, nil
		}}
		d := start(t, Options{MaxQueuedEvents: 10}, r,
			testApp("a", Hook{URL: "http://hangs.test"}, Hook{URL: "http://lives.test"}),
			testApp("b", Hook{URL: "http://lives.test"}))
		begin := time.Now()
		for i := range 100 {
			d.Publish("a", occupied(fmt.Sprint(i)))
			d.Publish("b", occupied(fmt.Sprint(i)))
			synctest.Wait()
		}
		arrived := 0
		for _, q := range r.all() {
			if q.at != begin {
				t.Errorf("a request came %s late", q.at.Sub(begin))
			}
			if strings.Contains(q.url, "lives") {
				arrived += len(q.events)
			}
		}
		if arrived != 200 {
			t.Errorf("%d events arrived at the living receivers, want 200", arrived)
		}
		for _, s := range d.Stats().Destinations {
			switch {
			case s.URL == "http://lives.test" && (s.Dropped() != 0 || s.QueuedEvents != 0):
				t.Errorf("a living receiver has %+v", s)
			case s.URL == "http://hangs.test" && (s.DroppedFull != 90 || s.QueuedEvents != 10):
				t.Errorf("the hanging receiver dropped %d and queues %d, want 90 and 10", s.DroppedFull, s.QueuedEvents)
			}
		}
		// The timeout ends it.
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := d.Stats().FailedRequests; got != 1 {
			t.Errorf("%d requests failed after the timeout, want 1", got)
		}
		if err := closeNow(d); err == nil || !strings.Contains(err.Error(), "10 events") {
			t.Errorf("Close = %v, want an error with 10 events", err)
		}
		if got := d.Stats().DroppedClosed; got != 10 {
			t.Errorf("%d events dropped by Close, want 10", got)
		}
	})
}

func TestOverflowIsCountedAndLoggedOnceInAWhile(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		kept    int
	}{
		{"in events", Options{MaxQueuedEvents: 5}, 5},
		{"in bytes", Options{MaxQueuedBytes: 300}, 7}, // 41 bytes each
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log logBuffer
				tt.options.Logger = log.logger()
				r := &receiver{t: t, answer: func(request, int) (int, error) { return hang, nil }}
				d := start(t, tt.options, r, testApp("a", Hook{URL: "http://u:hush@receiver.test/hook?token=hush"}))
				defer closeNow(d)
				for i := range 10 {
					d.Publish("a", occupied(fmt.Sprint(i)))
				}
				synctest.Wait()
				want := 10 - tt.kept
				if got := d.Stats(); got.DroppedFull != uint64(want) || got.Destinations[0].DroppedFull != uint64(want) {
					t.Errorf("dropped %d and %d, want %d", got.DroppedFull, got.Destinations[0].DroppedFull, want)
				}
				for range 1000 {
					d.Publish("a", occupied("x"))
				}
				synctest.Wait()
				first := len(log.lines("queue_full="))
				time.Sleep(time.Minute)
				synctest.Wait()
				lines := log.lines("queue_full=")
				if first != 1 || len(lines) != 2 {
					t.Fatalf("%d and %d lines, want 1 at once and a second after a minute: %q", first, len(lines), lines)
				}
				for _, line := range log.lines("") {
					if strings.Contains(line, "hush") {
						t.Errorf("a secret is logged: %s", line)
					}
				}
				if !strings.Contains(lines[0], "app=a") || !strings.Contains(lines[0], "url=http://receiver.test/hook") {
					t.Errorf("line %q does not name app and URL", lines[0])
				}
			})
		})
	}
}

func TestQueueGivesItsMemoryBack(t *testing.T) {
	q, _ := newMemory(10_000, 1<<20).Open(Destination{})
	m := q.(*memoryQueue)
	for range 5000 {
		if err := q.Put(Record{Event: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	for waiting := 5000; waiting > 0; waiting -= 100 {
		batch, err := q.Peek(t.Context(), 100, 1<<20)
		if err != nil || len(batch) != 100 {
			t.Fatalf("Peek = %d records, %v", len(batch), err)
		}
		q.Remove(100)
		if waste := cap(m.records); waste > 3*waiting+200 {
			t.Fatalf("%d records have room for %d", waiting-100, waste)
		}
	}
	if events, bytes := q.Size(); events != 0 || bytes != 0 || m.records != nil {
		t.Errorf("the empty queue has %d events, %d bytes, room for %d", events, bytes, cap(m.records))
	}
}

func TestQueueAnswersFromWhatIsThere(t *testing.T) {
	q, _ := newMemory(10, 100).Open(Destination{})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Peek(ended, 1, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Peek of nothing = %v, want the context's error", err)
	}
	if err := q.Put(Record{Event: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Peek(ended, 1, 1); err != nil || len(got) != 1 {
		t.Errorf("Peek = %d records, %v, want the one, although larger than maxBytes", len(got), err)
	}
	if left := q.Close(); len(left) != 1 {
		t.Errorf("Close returned %d records, want 1", len(left))
	}
	if err := q.Put(Record{}); !errors.Is(err, ErrQueueClosed) {
		t.Errorf("Put = %v, want ErrQueueClosed", err)
	}
}

func TestManyPublishersKeepTheOrderOfEachChannel(t *testing.T) {
	r := &receiver{t: t}
	d := start(t, Options{BatchInterval: time.Millisecond}, r, testApp("a", Hook{URL: testURL}))
	const publishers, each = 8, 500
	done := make(chan struct{})
	for p := range publishers {
		go func() {
			for i := range each {
				d.Publish("a", Event{Type: SubscriptionCount, Channel: fmt.Sprint(p), Count: i})
			}
			done <- struct{}{}
		}()
	}
	for range publishers {
		<-done
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make(map[string][]int)
	for _, q := range r.all() {
		for _, e := range q.events {
			c := e["channel"].(string)
			got[c] = append(got[c], int(e["subscription_count"].(float64)))
		}
	}
	for p := range publishers {
		counts := got[fmt.Sprint(p)]
		if len(counts) != each || !slices.IsSorted(counts) {
			t.Errorf("channel %d got %d events, want %d in order", p, len(counts), each)
		}
	}
}
