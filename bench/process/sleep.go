package process

import (
	"time"

	"golang.org/x/sys/unix"
)

// SleepUntil returns at a moment of the clock that Nanos reads, some 60 us late. The
// runtime's own timers are late by up to a millisecond, which would show in every
// latency of a paced run.
func SleepUntil(nanos int64) {
	for left := nanos - Nanos(); left > 0; left = nanos - Nanos() {
		at := unix.NsecToTimespec(readMonotonic() + left)
		// Interrupted, or refused: the loop's own clock decides.
		if err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil); err != nil && err != unix.EINTR {
			time.Sleep(time.Duration(left))
		}
	}
}
