package bench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWatched(t *testing.T) {
	run := func(t *testing.T, hook string) (Result, error) {
		t.Setenv(hookVariable, hook)
		s := testSettings("")
		quickly(&s)
		s.PIDs, s.Spawn, s.Rounds = nil, s.Self.Path, 2
		s.deliveryTimeout = 2 * time.Second
		return Watched(t.Context(), s)
	}
	t.Run("both fan-outs are measured and compared", func(t *testing.T) {
		r, err := run(t, "")
		if err != nil {
			t.Fatal(err)
		}
		var modes []string
		for _, round := range r.Rounds {
			modes = append(modes, round.Mode)
		}
		if want := []string{modeUnwatched, modeWatched, modeUnwatched, modeWatched}; !slices.Equal(modes, want) {
			t.Errorf("got rounds %q, want %q", modes, want)
		}
		if v := strings.Join(r.Verdicts, "\n"); strings.Contains(v, "the tail") || strings.Contains(v, "the dashboard") {
			t.Errorf("got verdict %q, want none about the watcher", v)
		}
	})
	t.Run("a tail that shows nothing is told", func(t *testing.T) {
		r, err := run(t, "drop")
		if err != nil || !strings.Contains(strings.Join(r.Verdicts, "\n"), "the tail showed 0 of 16 events") {
			t.Errorf("got %v and verdicts %q, want one about the tail", err, r.Verdicts)
		}
	})
	t.Run("a target cannot be configured", func(t *testing.T) {
		if _, err := Watched(t.Context(), testSettings("ws://127.0.0.1:1")); err == nil {
			t.Error("got no error, want one")
		}
	})
}
