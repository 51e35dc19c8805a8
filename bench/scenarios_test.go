package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// quickly makes settings of scenarios that pace events.
func quickly(s *Settings) {
	s.Connections, s.Watchers, s.Rate = 20, 5, 2000
	s.Duration = 60 * time.Millisecond
	s.sampleInterval = 10 * time.Millisecond
}

// everyNth makes a stub wrong at every n-th trigger.
func everyNth(n int, wrong func([][]byte) [][]byte) func([][]byte) [][]byte {
	triggers := 0
	return func(events [][]byte) [][]byte {
		if triggers++; triggers%n == 0 {
			return wrong(events)
		}
		return events
	}
}

// swapped delivers, after the warm-up, each second trigger's events before those of
// the first.
func swapped() func([][]byte) [][]byte {
	var held [][]byte
	triggers := 0
	return func(events [][]byte) [][]byte {
		if triggers++; triggers <= warmUpEvents {
			return events
		}
		if held == nil {
			held = events
			return nil
		}
		both := slices.Concat(events, held)
		held = nil
		return both
	}
}

func lose([][]byte) [][]byte { return nil }

func repeat(events [][]byte) [][]byte { return append(events, events[0]) }

// TestWrongDeliveries holds that each scenario that counts deliveries fails when they
// are wrong.
func TestWrongDeliveries(t *testing.T) {
	scenarios := map[string]func(context.Context, Settings) (Result, error){
		"fanout": Fanout, "spread": Spread, "latency": Paced, "storm": Storm, "soak": Soak,
		"overload": func(ctx context.Context, s Settings) (Result, error) {
			s.Overload = 4
			return Fanout(ctx, s)
		},
	}
	faults := []struct {
		name    string
		deliver func() func([][]byte) [][]byte
		want    string
		except  string // a scenario in which it cannot happen: what is held back there is lost
	}{
		{"lost", func() func([][]byte) [][]byte { return everyNth(6, lose) }, `\d+ of \d+ received`, ""},
		{"repeated", func() func([][]byte) [][]byte { return everyNth(2, repeat) }, `[1-9]\d* duplicated`, ""},
		// With several channels the one held back is also delivered on another, where its
		// number may have been.
		{"delivered in another order", swapped, `[1-9]\d* (duplicated|reordered|misdelivered)`, "fanout overload"},
	}
	for name, scenario := range scenarios {
		for _, fault := range faults {
			if strings.Contains(fault.except, name) {
				continue
			}
			t.Run(fmt.Sprintf("%s fails when events are %s", name, fault.name), func(t *testing.T) {
				t.Parallel()
				s := testSettings(startStub(t, stubFaults{deliver: fault.deliver()}))
				quickly(&s)
				s.Rounds, s.deliveryTimeout = 1, 300*time.Millisecond
				_, err := scenario(t.Context(), s)
				if !errors.Is(err, ErrDeliveries) || !regexp.MustCompile(fault.want).MatchString(err.Error()) {
					t.Errorf("got %v, want %v with %s", err, ErrDeliveries, fault.want)
				}
			})
		}
	}
}

// TestUnknownServer measures a server of which nothing but its address is known, as
// one on another host.
func TestUnknownServer(t *testing.T) {
	scenarios := map[string]func(context.Context, Settings) (Result, error){
		"fanout": Fanout, "spread": Spread, "latency": Paced, "storm": Storm, "presence": Presence, "soak": Soak, "connect": Connect, "trigger": Trigger,
	}
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testSettings(startStub(t, stubFaults{}))
			quickly(&s)
			s.PIDs, s.Rounds = nil, 1
			if name == "soak" {
				s.Duration = time.Second
			}
			r, err := scenario(t.Context(), s)
			if err != nil || len(r.Rounds) == 0 {
				t.Fatalf("got %v and %d rounds, want some", err, len(r.Rounds))
			}
			for _, round := range r.Rounds {
				if round.PerSecond <= 0 || round.CPUMicros != nil || round.ServerCores != nil {
					t.Errorf("got %+v, want a rate and no CPU", round)
				}
			}
		})
	}
}
