package webhook

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHoldbackEqualsList compares holdback with a plain list after each step.
func TestHoldbackEqualsList(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	type entry struct {
		edge edge
		due  time.Time
	}
	var b holdback
	var model []entry
	now := time.Unix(0, 0)
	for range 5000 {
		e := edge{channel: fmt.Sprint(random.IntN(6)), member: random.IntN(2) == 0}
		at := slices.IndexFunc(model, func(m entry) bool { return m.edge == e })
		switch random.IntN(3) {
		case 0:
			now = now.Add(time.Second)
			if got, want := b.holds(e), at >= 0; got != want {
				t.Fatalf("holds = %v, want %v", got, want)
			}
			if at < 0 {
				b.add(e, nil, now)
				model = append(model, entry{e, now})
			}
		case 1:
			if got, want := b.cancel(e), at >= 0; got != want {
				t.Fatalf("cancel = %v, want %v", got, want)
			}
			if at >= 0 {
				model = slices.Delete(model, at, at+1)
			}
		case 2:
			until := now.Add(-time.Duration(random.IntN(8)) * time.Second)
			limit := 1 + random.IntN(3)
			var got, want []edge
			for _, h := range b.due(until, limit) {
				got = append(got, h.edge)
				if first, second := b.remove(h), b.remove(h); !first || second {
					t.Fatalf("remove = %v, then %v, want true, then false", first, second)
				}
			}
			for len(model) > 0 && len(want) < limit && !model[0].due.After(until) {
				want = append(want, model[0].edge)
				model = model[1:]
			}
			if !slices.Equal(got, want) {
				t.Fatalf("due = %v, want %v", got, want)
			}
		}
		if b.len() != len(model) {
			t.Fatalf("len = %d, want %d", b.len(), len(model))
		}
	}
}

func TestRecentForgets(t *testing.T) {
	var r recent
	now := time.Unix(0, 0)
	for i := range maxRecentMisses + 1 {
		if !r.first(fmt.Sprint(i), now, time.Second) {
			t.Fatalf("channel %d was told before", i)
		}
	}
	if len(r.at) != maxRecentMisses || len(r.order) != maxRecentMisses {
		t.Errorf("%d and %d channels are remembered, want %d", len(r.at), len(r.order), maxRecentMisses)
	}
	if r.first("1", now, time.Second) {
		t.Error("a channel within the interval is first again")
	}
	if !r.first("0", now, time.Second) {
		t.Error("the oldest channel was not forgotten for the limit")
	}
	if !r.first("1", now.Add(time.Second), time.Second) {
		t.Error("a channel after the interval is not first")
	}
	if len(r.at) != 1 {
		t.Errorf("%d channels are remembered after the interval, want 1", len(r.at))
	}
}
