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

	"resound/bench/wire"
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

func lose([][]byte) [][]byte          { return nil }
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
		{"delivered in another order", swapped, `[1-9]\d* (reordered|misdelivered)`, "fanout overload"},
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

func TestSpread(t *testing.T) {
	for _, channels := range []int{7, 50, 130} {
		t.Run(fmt.Sprintf("%d channels", channels), func(t *testing.T) {
			s := testSettings(startStub(t, stubFaults{}))
			quickly(&s)
			s.Channels, s.Connections, s.Floor, s.PerProcess = channels, min(channels, 50), true, 20
			r, err := Spread(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(r.Rounds); got != 4 {
				t.Fatalf("got %d rounds, want 4", got)
			}
			for _, round := range r.Rounds {
				if round.Operations == 0 || round.CPUMicros == nil || round.Latency == nil || len(round.Histogram) == 0 {
					t.Errorf("got round %+v, want events with CPU and latency", round)
				}
			}
		})
	}
	t.Run("more connections than channels are refused", func(t *testing.T) {
		s := testSettings("ws://127.0.0.1:1")
		s.Channels = 10
		if _, err := Spread(t.Context(), s); err == nil || !strings.Contains(err.Error(), "50 connections for 10 channels") {
			t.Errorf("got %v, want an error with both numbers", err)
		}
	})
	t.Run("refused triggers fail the run", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{status: "503 Service Unavailable"}))
		quickly(&s)
		if _, err := Spread(t.Context(), s); !errors.Is(err, ErrRefused) {
			t.Errorf("got %v, want %v", err, ErrRefused)
		}
	})
}

func TestPaced(t *testing.T) {
	t.Run("server and floor get the same pace", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		quickly(&s)
		s.Floor = true
		r, err := Paced(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		// 20 subscribers at 2,000 deliveries/s: an event every 10 ms for 60 ms.
		for _, round := range r.Rounds {
			if round.Operations != 6*20 || round.Latency.Max <= 0 {
				t.Errorf("got round %+v, want 120 deliveries with latencies", round)
			}
		}
	})
	t.Run("a share of the measured rate is chosen", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		quickly(&s)
		s.Rate, s.Load, s.Rounds = 0, 0.5, 1
		r, err := Paced(t.Context(), s)
		if err != nil || r.Settings.Rate <= 0 || len(r.Rounds) != 1 {
			t.Errorf("got %v, rate %v and %d rounds, want one at a rate that was measured", err, r.Settings.Rate, len(r.Rounds))
		}
	})
	t.Run("an event that had to wait counts as late from when it was meant to be sent", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{deliver: everyNth(8, func(e [][]byte) [][]byte {
			time.Sleep(40 * time.Millisecond) // a server that stands still
			return e
		})}))
		quickly(&s)
		s.Rounds = 1
		r, err := Paced(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		late := uint64(0)
		for _, b := range r.Rounds[0].Histogram {
			if b.UpToMicros >= 25_000 {
				late += b.Count
			}
		}
		// The event that stood still, and the one 10 ms later, which could not even be
		// triggered before.
		if late < 2*20 {
			t.Errorf("got %d deliveries 25 ms late or more, want those of two events, 40", late)
		}
	})
}

func TestOverload(t *testing.T) {
	s := testSettings(startStub(t, stubFaults{}))
	s.Floor, s.Overload, s.Threads = true, 4, 2
	r, err := Fanout(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range r.Rounds {
		if round.Mode != "overload by 4" || round.Operations < 16*50 || round.CPUMicros == nil {
			t.Errorf("got round %+v, want 16 events or more for 50 subscribers", round)
		}
	}
}

func TestStorm(t *testing.T) {
	t.Run("server and floor: all return while the others' stream goes on", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		quickly(&s)
		s.Floor = true
		r, err := Storm(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(r.Rounds), 2*2*3; got != want {
			t.Fatalf("got %d rounds, want %d", got, want)
		}
		for _, round := range r.Rounds {
			if round.Mode == modeReturn && (round.Operations != 20 || round.Refused != 0 || round.Latency == nil) {
				t.Errorf("got %+v, want 20 connections back and none refused", round)
			}
		}
		if !slices.ContainsFunc(r.Ratios, func(r Ratio) bool {
			return r.Name == "p99, stream during the storm / stream before, server"
		}) {
			t.Errorf("got ratios %+v, want the stream's p99 during and before", r.Ratios)
		}
	})
	t.Run("a refused connection tries again and is counted", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{refuse: func(upgrade int) bool { return upgrade > 25 && upgrade <= 28 }}))
		quickly(&s)
		s.Rounds, s.stormRetry = 1, 200*time.Millisecond // longer than all first attempts take
		r, err := Storm(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		back := r.Rounds[len(r.Rounds)-1]
		if back.Refused != 3 || back.RefusedAgain != 0 {
			t.Errorf("got %d refused and %d again, want 3 and none", back.Refused, back.RefusedAgain)
		}
	})
	t.Run("a connection refused twice is told", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{refuse: func(upgrade int) bool { return upgrade > 25 && upgrade <= 25+30 }}))
		quickly(&s)
		s.Rounds, s.stormRetry = 1, 10*time.Millisecond
		r, err := Storm(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		back := r.Rounds[len(r.Rounds)-1]
		if back.Refused != 30 || back.RefusedAgain == 0 || !strings.Contains(strings.Join(r.Verdicts, "\n"), "refused more than once") {
			t.Errorf("got %d refused, %d again, verdicts %q, want 30, some, and a verdict", back.Refused, back.RefusedAgain, r.Verdicts)
		}
	})
}

func TestPresence(t *testing.T) {
	t.Run("members are told of each other and of the visitors", func(t *testing.T) {
		s := testSettings(startStub(t, stubFaults{}))
		s.Events, s.PerProcess = 30, 20
		r, err := Presence(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(r.Rounds); got != 5 {
			t.Fatalf("got %d rounds, want 5", got)
		}
		for _, round := range r.Rounds {
			if want := map[string]uint64{"all join": 50, "member delivery": 2 * 30 * 50, "join and leave": 30}[round.Mode]; round.Operations != want {
				t.Errorf("got %d of %s, want %d", round.Operations, round.Mode, want)
			}
		}
	})
	wrong := map[string]struct {
		tell func(e wire.MemberEvent) []wire.MemberEvent
		want string // in the error, as a pattern
	}{
		"an arrival is not told": {func(e wire.MemberEvent) []wire.MemberEvent {
			if e.User == 20+5 {
				return nil
			}
			return []wire.MemberEvent{e}
		}, `\d+ of \d+ received`},
		"a departure is told twice": {func(e wire.MemberEvent) []wire.MemberEvent {
			if !e.Added && e.User == 20+5 {
				return []wire.MemberEvent{e, e}
			}
			return []wire.MemberEvent{e}
		}, `[1-9]\d* duplicated`},
		"a member is gone before it came": {func(e wire.MemberEvent) []wire.MemberEvent {
			if e.Added && e.User == 20+5 {
				return []wire.MemberEvent{{User: e.User}, e}
			}
			return []wire.MemberEvent{e}
		}, `[1-9]\d* reordered`},
		"a member is told twice of another": {func(e wire.MemberEvent) []wire.MemberEvent {
			if e.User <= 20 { // whoever came first was told to nobody
				return []wire.MemberEvent{e, e}
			}
			return []wire.MemberEvent{e}
		}, `told of \d+ arrivals`},
	}
	for name, tt := range wrong {
		t.Run(name+" fails the run", func(t *testing.T) {
			t.Parallel()
			s := testSettings(startStub(t, stubFaults{tell: tt.tell}))
			s.Connections, s.Rounds, s.deliveryTimeout = 20, 1, 300*time.Millisecond
			_, err := Presence(t.Context(), s)
			if !errors.Is(err, ErrDeliveries) || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("got %v, want %v with %s", err, ErrDeliveries, tt.want)
			}
		})
	}
}

func TestWebhook(t *testing.T) {
	run := func(t *testing.T, hook string) (Result, error) {
		t.Setenv(hookVariable, hook)
		s := testSettings("")
		quickly(&s)
		s.PIDs, s.Spawn, s.Rounds, s.Events, s.Rate = nil, s.Self.Path, 1, 0, 500
		if hook == "drop" {
			s.deliveryTimeout = 2 * time.Second
		}
		return Webhook(t.Context(), s)
	}
	t.Run("both fan-outs and the webhooks are measured", func(t *testing.T) {
		r, err := run(t, "")
		if err != nil {
			t.Fatal(err)
		}
		var modes []string
		for _, round := range r.Rounds {
			modes = append(modes, round.Mode)
		}
		if want := []string{modeUnmatched, modeMatched, modeWebhooks}; !slices.Equal(modes, want) {
			t.Errorf("got rounds %q, want %q", modes, want)
		}
		if v := strings.Join(r.Verdicts, "\n"); strings.Contains(v, "the receiver got") {
			t.Errorf("got verdict %q, want none about the receiver", v)
		}
	})
	t.Run("webhooks that do not come are told", func(t *testing.T) {
		r, err := run(t, "drop")
		if err != nil || !strings.Contains(strings.Join(r.Verdicts, "\n"), "the receiver got 0 of") {
			t.Errorf("got %v and verdicts %q, want one about the receiver", err, r.Verdicts)
		}
	})
	t.Run("webhooks that come twice fail the run", func(t *testing.T) {
		if _, err := run(t, "repeat"); !errors.Is(err, ErrDeliveries) {
			t.Errorf("got %v, want %v", err, ErrDeliveries)
		}
	})
	t.Run("a target cannot be configured", func(t *testing.T) {
		if _, err := Webhook(t.Context(), testSettings("ws://127.0.0.1:1")); err == nil {
			t.Error("got no error, want one")
		}
	})
}

func TestSoak(t *testing.T) {
	s := testSettings(startStub(t, stubFaults{}))
	quickly(&s)
	s.Duration = time.Second
	r, err := Soak(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, round := range r.Rounds {
		if round.Operations == 0 {
			t.Errorf("got %+v, want operations", round)
		}
	}
	names := make(map[string]bool)
	for _, series := range r.Series {
		names[series.Name] = len(series.Points) > 0
	}
	for _, want := range []string{"memory", "descriptors", "threads", "connections", "deliveries"} {
		if !names[want] {
			t.Errorf("got series %v, want one of %s with points", names, want)
		}
	}
}

func TestGrowth(t *testing.T) {
	tests := []struct {
		name string
		last footprint
		want string // "" means no error
	}{
		{"a server that stays as it is passes", footprint{100 << 20, 1000, 10}, ""},
		{"growth within the bounds passes", footprint{(110 + 15) << 20, 1030, 10}, ""},
		{"memory beyond the bound fails", footprint{(110 + 17) << 20, 1000, 10}, "memory from 102400 to 130048 kB"},
		{"descriptors beyond the bound fail", footprint{100 << 20, 1033, 10}, "descriptors from 1000 to 1033"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := growth{}
			for i := range 12 {
				f := footprint{100 << 20, 1000, 10}
				if i >= 9 {
					f = tt.last
				}
				g.readings = append(g.readings, f)
			}
			err := g.judge(&Result{})
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrGrowth) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSampler(t *testing.T) {
	s := newSampler(time.Hour) // sampled by hand
	n := 0.0
	s.add("server", "n", "", func() (float64, bool) { n++; return n, true })
	s.add("server", "nothing", "", func() (float64, bool) { return 0, false })
	for range maxPoints + 10 {
		s.sample()
	}
	series := s.close()
	if len(series) != 1 {
		t.Fatalf("got %d series, want the one that has points", len(series))
	}
	points := series[0].Points
	if len(points) != maxPoints/2+10 || points[1].Value != 3 || points[len(points)-1].Value != n {
		t.Errorf("got %d points, the second %v and the last %v, want every second of the first %d", len(points), points[1].Value, points[len(points)-1].Value, maxPoints)
	}
}
