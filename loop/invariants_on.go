//go:build invariants

package loop

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// invariants makes reactors look who calls them, and spoils received bytes when
// their turn is over: whoever kept a view of them reads garbage.
const invariants = true

// owner is the thread of a reactor's event loop, whose goroutine is locked to it.
// Safe for concurrent use: who asks may be the wrong one.
type owner struct{ thread atomic.Int64 }

// claim is called on the event loop.
func (o *owner) claim() { o.thread.Store(int64(unix.Gettid())) }

// assert panics on any thread but the owner.
func (o *owner) assert() {
	if at, owned := int64(unix.Gettid()), o.thread.Load(); owned != 0 && at != owned {
		panic(fmt.Sprintf("a reactor is owned by thread %d and was called on %d", owned, at))
	}
}
