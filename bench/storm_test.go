package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

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
