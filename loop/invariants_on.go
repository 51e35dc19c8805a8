//go:build invariants

package loop

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// invariants makes reactors look who calls them, and spoils received bytes when
// their turn is over: whoever kept a view of them reads garbage.
const invariants = true

// own is called on the event loop, whose goroutine is locked to a thread.
func (r *Reactor) own() { r.thread = unix.Gettid() }

// assertOwned panics on any other thread.
func (r *Reactor) assertOwned() {
	if at := unix.Gettid(); r.thread != 0 && at != r.thread {
		panic(fmt.Sprintf("reactor %d is owned by thread %d and was called on %d", r.index, r.thread, at))
	}
}
