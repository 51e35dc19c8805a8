package bench

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

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
