package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// ResidentBytes returns the resident set of pids, summed. Pages that several of
// them share count once for each.
func ResidentBytes(pids []int) (int64, error) {
	var sum int64
	for _, pid := range pids {
		v, err := kilobyteField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS")
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// SlabBytes returns the kernel's memory in slabs on the whole host, where TCP
// sockets, files and epoll items are.
func SlabBytes() (int64, error) {
	return kilobyteField("/proc/meminfo", "Slab")
}

// kilobyteField returns the value of "name: N kB" in file, in bytes.
func kilobyteField(file, name string) (int64, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		field, value, found := bytes.Cut(line, []byte(":"))
		if !found || string(field) != name {
			continue
		}
		kilobytes, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %s is %q", file, name, value)
		}
		return kilobytes << 10, nil
	}
	return 0, fmt.Errorf("%s: no field %s", file, name)
}
