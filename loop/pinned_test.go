package loop

import "testing"

// TestPinnedBytesAreFreeOnceTheRingWentRound: frames of finished mail count until
// every connection that could hold them had its turn.
func TestPinnedBytesAreFreeOnceTheRingWentRound(t *testing.T) {
	var p pinned
	var o outbound
	dirty := func(n int) {
		for i := range n {
			o.pushDirty(int32(i))
		}
	}
	flush := func(n int) {
		for range n {
			o.popDirty()
		}
	}
	for i, step := range []struct {
		name string
		do   func()
		free int64
	}{
		{"nothing is pinned", func() {}, 0},
		{"mail for nobody is free at once", func() { p.young = 100 }, 100},
		{"mail for three waits", func() { p.young = 10; dirty(3) }, 0},
		{"until all of them", func() { flush(2) }, 0},
		{"had their turn", func() { flush(1) }, 10},
		{"what comes while the ring goes round", func() { p.young = 7; dirty(2) }, 0},
		{"may be behind it", func() { p.young += 5; dirty(2); flush(2) }, 7},
		{"and is free a round later", func() { flush(2) }, 5},
		{"once", func() { flush(0) }, 0},
	} {
		step.do()
		if got := p.release(&o); got != step.free {
			t.Errorf("step %d: %s: %d bytes are free, want %d", i, step.name, got, step.free)
		}
	}
}
