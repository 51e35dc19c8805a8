package process

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// Capacity is what this host has left for connections.
type Capacity struct {
	Files       int64 // descriptors that all processes together may still open
	MemoryBytes int64 // available, or the limit of this process's cgroup if that is less
	Ports       int64 // from which one source address connects to one destination
	BufferBytes int64 // TCP queues beyond which the kernel shrinks windows
	Backlog     int64 // connections that may wait to be accepted by one listener
	Watches     int64 // registrations of a user with epoll, by all of its processes
	Tracked     int64 // connections the packet filter still has room for
}

// ReadCapacity reads the host's limits. Those that the kernel does not have are
// math.MaxInt64.
func ReadCapacity() (Capacity, error) {
	var c Capacity
	files, err1 := readNumbers("/proc/sys/fs/file-nr", 3)
	ports, err2 := readNumbers("/proc/sys/net/ipv4/ip_local_port_range", 2)
	pages, err3 := readNumbers("/proc/sys/net/ipv4/tcp_mem", 3)
	backlog, err4 := readNumbers("/proc/sys/net/core/somaxconn", 1)
	watches, err5 := readNumbers("/proc/sys/fs/epoll/max_user_watches", 1)
	available, err6 := kilobyteField("/proc/meminfo", "MemAvailable")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return c, err
	}
	c.Files = files[2] - files[0]
	c.Ports = ports[1] - ports[0] + 1
	c.BufferBytes = pages[1] * int64(os.Getpagesize())
	c.Backlog, c.Watches = backlog[0], watches[0]
	c.MemoryBytes = min(available, cgroupLimit())
	c.Tracked = math.MaxInt64
	most, err1 := readNumbers("/proc/sys/net/netfilter/nf_conntrack_max", 1)
	used, err2 := readNumbers("/proc/sys/net/netfilter/nf_conntrack_count", 1)
	switch {
	case errors.Is(err1, fs.ErrNotExist): // not loaded
	case err1 != nil || err2 != nil:
		return c, errors.Join(err1, err2)
	case used[0] > 0: // at 0 no rule asks for it, and nothing is tracked
		c.Tracked = most[0] - used[0]
	}
	return c, nil
}

// readNumbers returns the numbers of a file that has count of them.
func readNumbers(file string, count int) ([]int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b))
	if len(fields) != count {
		return nil, fmt.Errorf("%s has %d numbers, want %d", file, len(fields), count)
	}
	numbers := make([]int64, count)
	for i, field := range fields {
		v, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		numbers[i] = int64(min(v, math.MaxInt64)) // file-max may be 2^63 and more
	}
	return numbers, nil
}

// cgroupLimit returns the least memory limit of this process's control groups,
// version 1 and 2, as far as they can be seen.
func cgroupLimit() int64 {
	least := int64(math.MaxInt64)
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return least
	}
	// hierarchy:controllers:path
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, file := "/sys/fs/cgroup", "memory.max"
		if parts[1] == "memory" {
			root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
		} else if parts[1] != "" {
			continue
		}
		for folder := path.Clean("/" + parts[2]); ; folder = path.Dir(folder) {
			// "max", no such file: no limit here.
			if limit, err := readNumbers(root+folder+"/"+file, 1); err == nil {
				least = min(least, limit[0])
			}
			if folder == "/" {
				break
			}
		}
	}
	return least
}
