package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Kernel is the memory the kernel holds for the whole host, in bytes.
type Kernel struct {
	Slab      int64 // sockets, files, epoll items
	Buffers   int64 // pages of TCP's send and receive queues
	Pages     int64 // page tables of all processes
	Available int64 // left for new work without swapping
}

// ReadKernel reads the kernel's memory.
func ReadKernel() (Kernel, error) {
	var k Kernel
	for name, field := range map[string]*int64{"Slab": &k.Slab, "PageTables": &k.Pages, "MemAvailable": &k.Available} {
		v, err := kilobyteField("/proc/meminfo", name)
		if err != nil {
			return k, err
		}
		*field = v
	}
	var err error
	k.Buffers, err = bufferBytes()
	return k, err
}

// bufferBytes reads "TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 49", the last in pages.
func bufferBytes() (int64, error) {
	b, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		fields := bytes.Fields(line)
		if len(fields) < 2 || string(fields[0]) != "TCP:" {
			continue
		}
		pages, err := strconv.ParseInt(string(fields[len(fields)-1]), 10, 64)
		if err != nil || string(fields[len(fields)-2]) != "mem" {
			return 0, fmt.Errorf("/proc/net/sockstat has %q, want it to end in mem and pages", bytes.TrimSpace(line))
		}
		return pages * int64(os.Getpagesize()), nil
	}
	return 0, fmt.Errorf("/proc/net/sockstat has no line TCP")
}

// SlabCaches returns the bytes of each slab cache of the kernel by name. Only root
// may read them.
func SlabCaches() (map[string]int64, error) {
	b, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return nil, err
	}
	caches := make(map[string]int64)
	for line := range bytes.Lines(b) {
		// name, active objects, objects, bytes of an object, ...
		fields := bytes.Fields(line)
		if len(fields) < 4 || fields[0][0] == '#' || bytes.HasPrefix(line, []byte("slabinfo")) {
			continue
		}
		objects, err1 := strconv.ParseInt(string(fields[2]), 10, 64)
		size, err2 := strconv.ParseInt(string(fields[3]), 10, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("/proc/slabinfo has line %q", bytes.TrimSpace(line))
		}
		caches[string(fields[0])] = objects * size
	}
	return caches, nil
}
