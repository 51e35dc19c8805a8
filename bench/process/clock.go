package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// The monotonic clock at the start of this process, and the same moment in Go's
// terms. Going on from here by time.Since avoids a system call for each reading.
var (
	startNanos = readMonotonic()
	startTime  = time.Now()
)

// Nanos returns the host's monotonic clock. Processes of one host can compare it.
func Nanos() int64 {
	return startNanos + int64(time.Since(startTime))
}

func readMonotonic() int64 {
	var ts unix.Timespec
	// The clock exists on every Linux; an error would show as absurd latencies.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
