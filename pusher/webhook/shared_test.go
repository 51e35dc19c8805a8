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

// conditions returns those of the records that were put since.
func (n *noted) conditions() (list []Condition) {
	for _, r := range n.put {
		list = append(list, r.Condition)
	}
	n.put = nil
	return list
}

// TestASharedOutboxTellsACacheMissOnce: it is told of the interval, and of a miss in a
// quarter of it.
func TestASharedOutboxTellsACacheMissOnce(t *testing.T) {
	for _, row := range []struct {
		interval, want time.Duration
		puts           int // of 20 misses, each 100 ms after the one before
	}{
		{0, time.Second, 7}, // after 300 ms, not 250
		{8 * time.Second, 8 * time.Second, 1},
		{-1, 0, 20},
	} {
		synctest.Test(t, func(t *testing.T) {
			outbox := &noted{memory: newMemory(100, 10_000)}
			d := start(t, Options{Outbox: outbox, CacheMissInterval: row.interval}, &receiver{t: t}, testApp("a", Hook{URL: testURL}))
			for range 20 {
				d.Publish("a", Event{Type: CacheMiss, Channel: "cache-x"})
				time.Sleep(100 * time.Millisecond)
			}
			want := Condition{Subject: "cache-x", Once: row.want}
			if row.want == 0 {
				want = Condition{}
			}
			if got := outbox.conditions(); !slices.Equal(got, slices.Repeat([]Condition{want}, row.puts)) {
				t.Errorf("%s: got %+v, want %+v %d times", row.interval, got, want, row.puts)
			}
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestASharedOutboxIsToldWhatItMayLeaveOut, also of what waited in the Store.
func TestASharedOutboxIsToldWhatItMayLeaveOut(t *testing.T) {
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
		d.Publish("a", Event{ID: "1-2", Teller: "node:1", Type: MemberAdded, Channel: "presence-x", UserID: "u"})
		want := []Condition{{Subject: "news", Number: 7}, {}, {}, {Teller: "node:1"}}
		check := func(when string) {
			t.Helper()
			if got := outbox.conditions(); !slices.Equal(got, want) {
				t.Errorf("%s: got %+v, want %+v", when, got, want)
			}
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
