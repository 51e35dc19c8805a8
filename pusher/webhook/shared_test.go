package webhook

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// numbered is an Outbox that names its events, as one that nodes share does.
type numbered struct{ *memory }

func (n numbered) Open(to Destination) (Queue, error) {
	q, err := n.memory.Open(to)
	return &numberedQueue{Queue: q}, err
}

type numberedQueue struct {
	Queue
	gone int
}

func (q *numberedQueue) Peek(ctx context.Context, maxEvents, maxBytes int) ([]Record, error) {
	records, err := q.Queue.Peek(ctx, maxEvents, maxBytes)
	named := slices.Clone(records)
	for i := range named {
		named[i].ID = strconv.Itoa(q.gone + i)
	}
	return named, err
}

func (q *numberedQueue) Remove(n int) {
	q.gone += n
	q.Queue.Remove(n)
}

// noted is an Outbox that notes what is put.
type noted struct {
	*memory
	put []Record
}

func (n *noted) Open(to Destination) (Queue, error) {
	q, err := n.memory.Open(to)
	return &notedQueue{q, n}, err
}

type notedQueue struct {
	Queue
	outbox *noted
}

func (q *notedQueue) Put(r Record) error {
	q.outbox.put = append(q.outbox.put, r)
	return q.Queue.Put(r)
}

// TestASharedOutboxIsToldTheNumbersOfCounts, also of those that waited in the Store.
func TestASharedOutboxIsToldTheNumbersOfCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		outbox, store := &noted{memory: newMemory(10, 1000)}, &fakeStore{}
		r := &receiver{t: t, answer: func(request, int) (int, error) { return http.StatusInternalServerError, nil }}
		o := Options{Outbox: outbox, Store: store}
		d := start(t, o, r, testApp("a", Hook{URL: testURL}))
		channel := []byte("news")
		d.Publish("a", Event{Type: SubscriptionCount, Channel: unsafe.String(&channel[0], len(channel)), Count: 5, Number: 7})
		copy(channel, "gone")
		d.Publish("a", Event{Type: SubscriptionCount, Channel: "alone", Count: 5})
		d.Publish("a", occupied("news"))
		want := []Record{{Subject: "news", Number: 7}, {}, {}}
		check := func(when string) {
			t.Helper()
			if !slices.EqualFunc(outbox.put, want, func(a, b Record) bool { return a.Subject == b.Subject && a.Number == b.Number }) {
				t.Errorf("%s: got %+v, want %+v", when, outbox.put, want)
			}
			outbox.put = nil
		}
		check("at once")
		if err := closeNow(d); err != nil {
			t.Error(err)
		}
		d = start(t, o, r, testApp("a", Hook{URL: testURL}))
		check("from the store")
		if err := closeNow(d); err != nil {
			t.Error(err)
		}
	})
}

func TestEventsOfASharedOutboxCarryTheirIDs(t *testing.T) {
	for _, row := range []struct {
		name   string
		outbox Outbox
		want   [][]string // of each request
	}{
		{"shared", numbered{newMemory(10, 1000)}, [][]string{{"0,1"}, {"0,1"}, {"2"}}},
		{"in memory", nil, [][]string{nil, nil, nil}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{t: t, answer: func(_ request, n int) (int, error) {
					if n == 0 {
						return http.StatusInternalServerError, nil
					}
					return http.StatusOK, nil
				}}
				d := start(t, Options{Outbox: row.outbox, BatchInterval: time.Millisecond, MaxBatchEvents: 2}, r, testApp("a", Hook{URL: testURL}))
				for _, channel := range []string{"x", "y", "z"} {
					d.Publish("a", occupied(channel))
				}
				time.Sleep(time.Minute)
				var got [][]string
				for _, q := range r.all() {
					got = append(got, q.header["X-Resound-Event-Ids"])
				}
				if !slices.EqualFunc(got, row.want, slices.Equal) {
					t.Errorf("ids %q, want %q", got, row.want)
				}
				if err := d.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
