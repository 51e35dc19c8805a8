package slab_test

import (
	"math/rand/v2"
	"testing"

	"resound/channels/slab"
)

func TestHandlesAreDense(t *testing.T) {
	var s slab.Slab[int]
	const n = 10_000 // more than two blocks
	for want := range int32(n) {
		if got := s.Alloc(); got != want {
			t.Fatalf("got handle %d, want %d", got, want)
		}
	}
	if got := s.Len(); got != n {
		t.Errorf("got length %d, want %d", got, n)
	}
	if got := s.Cap(); got != n {
		t.Errorf("got capacity %d, want %d", got, n)
	}
}

func TestValuesKeepTheirPlace(t *testing.T) {
	var s slab.Slab[int]
	var places []*int
	for i := range 10_000 {
		p := s.At(s.Alloc())
		*p = i
		places = append(places, p)
	}
	for i, p := range places {
		if got := s.At(int32(i)); got != p || *got != i {
			t.Fatalf("handle %d moved or changed to %d", i, *got)
		}
	}
}

func TestFreedHandleComesBackZero(t *testing.T) {
	var s slab.Slab[[2]int]
	a, b := s.Alloc(), s.Alloc()
	*s.At(a), *s.At(b) = [2]int{1, 2}, [2]int{3, 4}
	s.Free(a)
	if got := *s.At(a); got != [2]int{} {
		t.Errorf("a freed value reads %v, want it zero", got)
	}
	if got := s.Len(); got != 1 {
		t.Errorf("got length %d, want 1", got)
	}
	if got := s.Alloc(); got != a {
		t.Errorf("got handle %d, want the freed %d", got, a)
	}
	if got := *s.At(a); got != [2]int{} {
		t.Errorf("a new value reads %v, want it zero", got)
	}
	if got := *s.At(b); got != [2]int{3, 4} {
		t.Errorf("the other value reads %v, want [3 4]", got)
	}
	if got := s.Cap(); got != 2 {
		t.Errorf("got capacity %d, want 2", got)
	}
}

func TestMisusePanics(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(s *slab.Slab[int])
	}{
		{"free of a handle never given out", func(s *slab.Slab[int]) { s.Free(1) }},
		{"free of a negative handle", func(s *slab.Slab[int]) { s.Free(-1) }},
		{"at beyond all blocks", func(s *slab.Slab[int]) { s.At(1 << 20) }},
		{"at a negative handle", func(s *slab.Slab[int]) { s.At(-1) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			var s slab.Slab[int]
			s.Alloc()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			row.do(&s)
		})
	}
}

// TestAgainstMap allocates, writes and frees at random, and compares with a map.
func TestAgainstMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s slab.Slab[uint64]
	model := map[int32]uint64{}
	var live []int32
	for step := range 200_000 {
		if len(live) == 0 || rnd.IntN(5) < 3 && len(live) < 9000 {
			h := s.Alloc()
			if _, ok := model[h]; ok {
				t.Fatalf("step %d: handle %d is given out twice", step, h)
			}
			if *s.At(h) != 0 {
				t.Fatalf("step %d: a new value is %d", step, *s.At(h))
			}
			model[h] = rnd.Uint64() | 1
			*s.At(h) = model[h]
			live = append(live, h)
		} else {
			i := rnd.IntN(len(live))
			h := live[i]
			if got := *s.At(h); got != model[h] {
				t.Fatalf("step %d: handle %d holds %d, want %d", step, h, got, model[h])
			}
			s.Free(h)
			delete(model, h)
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
		}
		if s.Len() != len(model) {
			t.Fatalf("step %d: got length %d, want %d", step, s.Len(), len(model))
		}
	}
	for h, want := range model {
		if got := *s.At(h); got != want {
			t.Errorf("handle %d holds %d, want %d", h, got, want)
		}
	}
}
