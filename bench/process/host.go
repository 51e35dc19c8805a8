package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// HostBusy returns the processor time all cores together have spent on work since
// the host started, in steps of 10 ms.
func HostBusy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	fields := bytes.Fields(line)
	if len(fields) < 9 || string(fields[0]) != "cpu" {
		return 0, fmt.Errorf("/proc/stat starts with %q, want cpu and 8 or more times", line)
	}
	var busy time.Duration
	// user, nice, system, idle, iowait, irq, softirq, steal
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat has time %q", field)
		}
		if i != 3 && i != 4 {
			busy += time.Duration(ticks) * tick
		}
	}
	return busy, nil
}
