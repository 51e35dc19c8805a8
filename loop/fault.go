package loop

import (
	"fmt"
	"log/slog"
	"runtime/debug"
)

// faultLogSeconds is how long a reactor that logged a fault with its stack only
// counts the next ones: a client that can cause one can cause thousands a second.
const faultLogSeconds = 10

// faultLog is what a reactor keeps of its faults for the log.
type faultLog struct {
	silentUntil uint32
	silenced    uint64 // since the last one logged
}

// fault records a panic.
func (r *Reactor) fault(p any) {
	r.stats.panics.Add(1)
	if r.now < r.faults.silentUntil {
		r.faults.silenced++
		return
	}
	r.engine.options.Logger.Error("recovered from a panic",
		slog.Int("reactor", r.index), slog.String("panic", fmt.Sprint(p)), slog.Uint64("not_logged_before", r.faults.silenced),
		slog.String("stack", string(debug.Stack())))
	r.faults = faultLog{silentUntil: r.now + faultLogSeconds}
}
