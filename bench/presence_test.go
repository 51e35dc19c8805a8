package bench

import (
	"errors"
	"regexp"
	"testing"
	"time"

	"resound/bench/wire"
)

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
