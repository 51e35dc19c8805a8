package redis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestHoldsThatWaitBecomeOne(t *testing.T) {
	for _, test := range []struct{ name, made, sent string }{
		{"the latest number stands", "h1 h2 h3", "h3"},
		{"an end right behind a hold replaces it", "h1 h0", "h0"},
		{"a hold takes the place of one before a seat", "h1 s h2", "h2 s"},
		{"an end stays behind what was said before it", "h1 s u h0", "h1 s u h0"},
		{"a hold replaces the end before it", "h1 s u h0 h2", "h1 s u h2"},
		{"seats and their ends stay as they are", "s u s", "s u s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &statements{hold: -1}
			for _, m := range strings.Fields(test.made) {
				st := statement{op: m[:1]}
				if st.op == opHold {
					st.subscriptions = int(m[1] - '0')
				}
				w.add(st)
			}
			var sent []string
			for _, st := range w.list {
				if st.op == opHold {
					sent = append(sent, fmt.Sprint(st.op, st.subscriptions))
				} else {
					sent = append(sent, st.op)
				}
			}
			if want := strings.Fields(test.sent); !slices.Equal(sent, want) {
				t.Errorf("got %v, want %v", sent, want)
			}
		})
	}
	w := &statements{hold: -1}
	w.add(statement{op: opHold, subscriptions: 1, counted: true})
	w.add(statement{op: opHold, subscriptions: 2})
	if !w.list[0].counted {
		t.Error("a hold that asked to be counted is not answered")
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string // part of the error, empty for none
	}{
		{"none at all", Options{}, ""},
		{"an address without a port", Options{Addresses: []string{"redis"}}, "not HOST:PORT"},
		{"two standalone servers", Options{Addresses: []string{"a:1", "b:1"}}, "2 addresses"},
		{"sentinel without a master", Options{Mode: Sentinel}, "master set"},
		{"a master without sentinel", Options{Master: "main"}, "master set"},
		{"a database in a cluster", Options{Mode: Cluster, Database: 1}, "database 1"},
		{"a brace in the prefix", Options{Prefix: "a{b"}, "brace"},
		{"topics that are no power of two", Options{Topics: 5000}, "5000 topics"},
		{"a lease too short", Options{Lease: 1}, "lease 1ns"},
		{"a negative limit", Options{SpoolBytes: -1}, "negative"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.o)
			if got := fmt.Sprint(err); (err == nil) != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestWhatANodeHasIsNoOverflow: a node states again what it has however much that
// is; what ended may pile up only so far.
func TestWhatANodeHasIsNoOverflow(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.accepting.Store(true)
	f := &a.flushers[0]
	state := func(subscriptions, channels int) {
		for i := range channels {
			f.put(named(fmt.Sprint("chat", i)), 0, statement{op: opHold, subscriptions: subscriptions})
		}
	}
	const channels = maxPendingEnds + 1
	state(1, channels)
	if f.overflow {
		t.Fatalf("%d holds of as many channels are too many", channels)
	}
	state(0, channels-1)
	state(2, 1)
	state(0, 1)
	if f.overflow {
		t.Fatalf("%d ends are too many", channels-1)
	}
	state(0, channels)
	if !f.overflow {
		t.Errorf("%d ends are not too many", channels)
	}
}

func TestABatchIsBounded(t *testing.T) {
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	a.accepting.Store(true)
	f := &a.flushers[0]
	const channels = 3*maxBatchStatements/2 + 1
	for i := range channels {
		f.put(named(fmt.Sprint("chat", i)), 0, statement{op: opHold})
		f.put(named(fmt.Sprint("chat", i)), 0, statement{op: opSeat, user: "ann"})
	}
	var got []int
	for len(f.order) > 0 {
		b, ok := f.take(t.Context())
		if !ok {
			t.Fatal("nothing was taken")
		}
		got = append(got, len(b.list))
	}
	if want := []int{maxBatchStatements / 2, maxBatchStatements / 2, maxBatchStatements / 2, 1}; !slices.Equal(got, want) {
		t.Errorf("channels of each batch: got %v, want %v", got, want)
	}
	if f.ends != 0 || len(f.pending) != 0 {
		t.Errorf("%d ends and %d channels are left", f.ends, len(f.pending))
	}
}
