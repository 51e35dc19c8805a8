package simulation

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "play this seed alone and print its schedule")
	seedsFlag = flag.Uint64("seeds", 300, "number of seeds to play")
	firstFlag = flag.Uint64("first", 1, "the first of them")
)

// steps is the length of a schedule.
const steps = 400

// shownSteps is how much of the schedule of a failed seed is printed.
const shownSteps = 40

func TestSchedules(t *testing.T) {
	if *seedFlag != 0 {
		w := newWorld(*seedFlag)
		w.play()
		t.Log("schedule:\n" + strings.Join(w.schedule, "\n"))
		if w.failure != "" {
			t.Fatal(w.failure)
		}
		return
	}
	began := time.Now()
	var done totals
	for seed := *firstFlag; seed < *firstFlag+*seedsFlag; seed++ {
		w := newWorld(seed)
		w.play()
		done.add(&w.totals)
		if w.failure != "" {
			shown := w.schedule[max(0, len(w.schedule)-shownSteps):]
			t.Fatalf("seed %d: %s\nthe end of its schedule:\n%s\nplay it again: go test ./pusher/simulation -seed %d",
				seed, w.failure, strings.Join(shown, "\n"), seed)
		}
	}
	t.Logf("%d seeds, %.0f a second: %+v", *seedsFlag, float64(*seedsFlag)/time.Since(began).Seconds(), done)
	done.check(t)
}

// totals says what schedules came across: a simulation in which nothing happens
// shows nothing.
type totals struct {
	Deliveries, Skipped, Joins, Leaves, CacheHits, CacheMisses, Slow, PongTimeouts, Terminated, Overloads, Refused, Watched, Drained, Inflated int
}

func (s *totals) add(o *totals) {
	s.Deliveries += o.Deliveries
	s.Skipped += o.Skipped
	s.Joins += o.Joins
	s.Leaves += o.Leaves
	s.CacheHits += o.CacheHits
	s.CacheMisses += o.CacheMisses
	s.Slow += o.Slow
	s.PongTimeouts += o.PongTimeouts
	s.Terminated += o.Terminated
	s.Overloads += o.Overloads
	s.Refused += o.Refused
	s.Watched += o.Watched
	s.Drained += o.Drained
	s.Inflated += o.Inflated
}

// check fails when a long enough run never came across something.
func (s *totals) check(t *testing.T) {
	if *seedsFlag < 100 {
		return
	}
	for name, n := range map[string]int{
		"deliveries": s.Deliveries, "publications for nobody": s.Skipped, "joins": s.Joins, "leaves": s.Leaves,
		"cached events": s.CacheHits, "cache misses": s.CacheMisses, "slow readers": s.Slow, "pong timeouts": s.PongTimeouts,
		"terminated connections": s.Terminated, "overloads": s.Overloads, "refusals": s.Refused, "watchers told": s.Watched,
		"drained connections": s.Drained, "compressed messages": s.Inflated,
	} {
		if n == 0 {
			t.Errorf("no schedule had any %s", name)
		}
	}
}

// TestTheModelSeesFaults breaks the wire in ways the model must notice.
func TestTheModelSeesFaults(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(n int, payload []byte) (copies int)
	}{
		{"an event is lost", func(n int, _ []byte) int {
			if n == 30 {
				return 0
			}
			return 1
		}},
		{"an event comes twice", func(n int, _ []byte) int {
			if n == 30 {
				return 2
			}
			return 1
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			for seed := uint64(1); seed <= 50; seed++ {
				w := newWorld(seed)
				w.spoil = row.spoil
				if w.play(); w.failure != "" {
					return
				}
			}
			t.Error("50 schedules saw nothing")
		})
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
