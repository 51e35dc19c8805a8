package bench

import (
	"testing"
	"time"
)

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
