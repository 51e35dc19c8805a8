package bench

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

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
