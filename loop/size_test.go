package loop

import (
	"testing"
	"unsafe"
)

// TestConnStaysSmall: there may be a million. What few connections need belongs
// in maps of the reactor.
func TestConnStaysSmall(t *testing.T) {
	size := unsafe.Sizeof(conn{})
	if want := uintptr(48); size > want {
		t.Errorf("a connection takes %d bytes, want at most %d", size, want)
	}
	if block := size << connBits; block <= 32<<10 {
		t.Errorf("a block takes %d bytes, want more than 32 KB, where the allocator wastes nothing", block)
	}
}
