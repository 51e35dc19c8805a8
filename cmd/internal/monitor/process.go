package monitor

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ReadProcess reads what this process takes. What cannot be read is 0. It costs
// some microseconds, however many connections there are: it does not look at
// single descriptors.
func ReadProcess() Process {
	p := Process{Goroutines: runtime.NumGoroutine(), MemoryBytes: residentBytes()}
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) == nil {
		p.CPUSeconds = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	return p
}

// residentBytes is the second field of statm, which is in pages.
func residentBytes() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize())
}

// MemoryLimit is the memory the process may take: the limit of its control group
// or, if that is less, the memory of the host. 0 means that it is not known. root
// is "/", but for tests.
func MemoryLimit(root string) int64 {
	limit := hostMemory(filepath.Join(root, "proc/meminfo"))
	for _, file := range groupFiles(root) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number
		if err == nil && n > 0 && (limit == 0 || n < limit) {
			limit = n
		}
	}
	return limit
}

// groupFiles are where the limits of the process's control group and those above
// it may be, for both versions of control groups.
func groupFiles(root string) (files []string) {
	text, _ := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		mount, name := "sys/fs/cgroup", "memory.max"
		switch {
		case parts[0] == "0" && parts[1] == "":
		case strings.Contains(","+parts[1]+",", ",memory,"):
			mount, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) {
			files = append(files, filepath.Join(root, mount, group, name))
			if group == "/" {
				break
			}
		}
	}
	return files
}

// hostMemory is MemTotal, which is in units of 1,024 bytes.
func hostMemory(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "MemTotal:")
		if !ok {
			continue
		}
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		return n << 10
	}
	return 0
}
