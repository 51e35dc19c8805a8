package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the processor time processes have used since they started.
type CPU struct {
	Total  time.Duration // user and system, exact
	User   time.Duration // in steps of 10 ms
	System time.Duration // in steps of 10 ms
}

// Sub returns what was used between earlier and c.
func (c CPU) Sub(earlier CPU) CPU {
	return CPU{c.Total - earlier.Total, c.User - earlier.User, c.System - earlier.System}
}

// tick is the unit of /proc/PID/stat. The kernel's USER_HZ is 100 on every
// architecture Go supports on Linux.
const tick = 10 * time.Millisecond

// ReadCPU returns the sum over pids.
func ReadCPU(pids []int) (CPU, error) {
	var sum CPU
	for _, pid := range pids {
		user, system, err := readStat(pid)
		if err != nil {
			return CPU{}, err
		}
		total, err := cpuClock(pid)
		if err != nil {
			return CPU{}, err
		}
		sum.Total += total
		sum.User += user
		sum.System += system
	}
	return sum, nil
}

// cpuClock reads the CPU clock of a process, which counts in nanoseconds where
// stat counts in ticks. The clock's number is the pid's complement, shifted by
// three, with CPUCLOCK_SCHED in the low bits (clock_getcpuclockid(3)).
func cpuClock(pid int) (time.Duration, error) {
	const clockSched = 2
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|clockSched, &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func readStat(pid int) (user, system time.Duration, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	// The name, in parentheses, may contain anything: count fields behind it.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("/proc/%d/stat has %d fields behind the name, want 13 or more", pid, len(fields))
	}
	utime, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	stime, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0, fmt.Errorf("/proc/%d/stat has times %q and %q", pid, fields[11], fields[12])
	}
	return time.Duration(utime) * tick, time.Duration(stime) * tick, nil
}
