// Package slab stores values of one type in blocks and names them by int32
// handles, so that millions of small values cost the garbage collector one
// object per block instead of one each, and a reference to one costs 4 bytes.
//
// # Ownership
//
// A Slab belongs to one goroutine. A pointer from At stays valid until the
// handle is freed: blocks never move.
package slab

import "fmt"

// defaultBits is the power of two of values in a block.
const defaultBits = 8

// Slab is a growing set of T. The zero value is empty and ready to use.
// Owned by one goroutine.
type Slab[T any] struct {
	// Bits is the power of two of values in a block. Zero means 8, which wastes
	// little on slabs that stay small. Blocks above 32 KB are whole pages, without
	// the loss to the allocator's size classes. Not to be changed after Alloc.
	Bits uint8

	blocks [][]T
	free   []int32
	next   int32 // first handle never given out
}

// Alloc returns the handle of a zero T. Handles are dense: the lowest
// never-used one is taken when none was freed. O(1) amortized.
func (s *Slab[T]) Alloc() int32 {
	if n := len(s.free); n > 0 {
		h := s.free[n-1]
		s.free = s.free[:n-1]
		return h
	}
	if s.Bits == 0 {
		s.Bits = defaultBits
	}
	h := s.next
	if int(h>>s.Bits) == len(s.blocks) {
		s.blocks = append(s.blocks, make([]T, 1<<s.Bits))
	}
	s.next++
	return h
}

// At returns the value of a handle that Alloc gave out. It panics for a handle
// beyond the blocks there are; a freed one, or one of the last block that was
// never given out, reads as a zero T.
func (s *Slab[T]) At(h int32) *T {
	return &s.blocks[h>>s.Bits][h&(1<<s.Bits-1)]
}

// Free zeroes the value and lets Alloc hand the handle out again.
func (s *Slab[T]) Free(h int32) {
	if h < 0 || h >= s.next {
		panic(fmt.Sprintf("slab: free of handle %d, %d given out", h, s.next))
	}
	*s.At(h) = *new(T)
	s.free = append(s.free, h)
}

// Len is the number of handles in use.
func (s *Slab[T]) Len() int { return int(s.next) - len(s.free) }

// Cap is one more than the highest handle ever given out.
func (s *Slab[T]) Cap() int32 { return s.next }
