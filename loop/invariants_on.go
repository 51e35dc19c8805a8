//go:build invariants

package loop

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// invariants makes reactors look who calls them, and spoils received bytes when
// their turn is over: whoever kept a view of them reads garbage.
const invariants = true

// owner is the thread of a reactor's event loop, whose goroutine is locked to it.
type owner struct{ thread int }

// claim is called on the event loop.
func (o *owner) claim() { o.thread = unix.Gettid() }

// assert panics on any thread but the owner.
func (o *owner) assert() {
	if at := unix.Gettid(); o.thread != 0 && at != o.thread {
		panic(fmt.Sprintf("a reactor is owned by thread %d and was called on %d", o.thread, at))
	}
}
