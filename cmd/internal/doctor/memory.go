package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// What a connection costs on the server's host, rounded up from what was measured:
// about 700 to 800 bytes in the node with one subscription, 4.1 KB in the kernel; with
// TLS 9.9 KB more in the node.
const (
	nodeBytes     = 1000
	tlsBytes      = 10_000
	kernelBytes   = 4500
	emptyBytes    = 64 << 20
	queuedBytes   = 2304 // a frame in the kernel's queue of a connection
	memoryPercent = 80   // of what is there may be used: the rest is for queues and peaks
)

// memoryNeed is what the connections take at rest.
func (e *examination) memoryNeed() int64 {
	return int64(e.wanted.Connections)*e.connectionBytes() + emptyBytes
}

// connectionBytes is what a connection takes, in the node and in the kernel.
func (e *examination) connectionBytes() int64 {
	if e.wanted.TLS {
		return nodeBytes + tlsBytes + kernelBytes
	}
	return nodeBytes + kernelBytes
}

func (e *examination) whyMemory() string {
	node := "1 KB"
	if e.wanted.TLS {
		node = "11 KB, ten of them for TLS, which a proxy in front would spare,"
	}
	return "about " + node + " of each connection in the node and 4.5 KB in the kernel, without what waits in queues"
}

func (e *examination) memory() {
	total, err1 := e.field("proc/meminfo", "MemTotal")
	available, err2 := e.field("proc/meminfo", "MemAvailable")
	if err := errors.Join(err1, err2); err != nil {
		e.unreadable("memory", err)
		return
	}
	need := e.memoryNeed()
	f := Finding{
		Check: "memory", Is: fmt.Sprintf("%s available of %s", megabytes(available), megabytes(total)),
		Want: megabytes(need*100/memoryPercent) + " or more", Why: e.whyMemory(),
		Fix: fmt.Sprintf("more memory, or max_connections %d", e.fitting(available)),
	}
	if e.running != 0 {
		available = total // the node's own memory is no longer available
		f.Fix = fmt.Sprintf("more memory, or max_connections %d", e.fitting(total))
	}
	e.judge(available*memoryPercent/100 >= need, atWorst(available >= need), f)
}

// fitting returns how many connections fit into bytes.
func (e *examination) fitting(bytes int64) int64 {
	return max((bytes*memoryPercent/100-emptyBytes)/e.connectionBytes()/1000*1000, 0)
}

// atWorst is the status of what is short of memory: a fault when it does not even
// fit without any room to spare.
func atWorst(fits bool) Status {
	if fits {
		return Warning
	}
	return Fault
}

// groupMemory looks at the memory limits of control groups: kernel memory of the
// sockets counts there too.
func (e *examination) groupMemory() {
	limit, file, err := e.groupLimit()
	if err != nil {
		e.unreadable("cgroup memory", err)
		return
	}
	need := e.memoryNeed()
	f := Finding{
		Check: "cgroup memory", Is: "no limit", Want: megabytes(need*100/memoryPercent) + " or more, or no limit",
		Why: e.whyMemory() + "; both count in the group, which ends the node when it is full",
		Fix: fmt.Sprintf("MemoryMax=%dM in the systemd unit, --memory %dm of the container, or max_connections %d",
			need*100/memoryPercent>>20, need*100/memoryPercent>>20, e.fitting(limit)),
	}
	if limit < noLimit {
		f.Is = fmt.Sprintf("%s by /%s", megabytes(limit), file)
	}
	e.judge(limit/100*memoryPercent >= need, atWorst(limit >= need), f)
}

// noLimit is the least value by which the kernel says that a group has no limit.
const noLimit = math.MaxInt64 / 2

// groupLimit returns the least memory limit of the control groups of version 1 and 2
// and the file it comes from: those of the node that runs, or else of this process.
func (e *examination) groupLimit() (least int64, from string, err error) {
	least = math.MaxInt64
	process := "self"
	if e.running != 0 {
		process = strconv.Itoa(e.running)
	}
	b, err := fs.ReadFile(e.host.Files, "proc/"+process+"/cgroup")
	if errors.Is(err, fs.ErrNotExist) {
		return least, "", nil // a kernel without
	}
	if err != nil {
		return least, "", err
	}
	// hierarchy:controllers:path, the second empty in version 2
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root, name := "sys/fs/cgroup", "memory.max"
		switch parts[1] {
		case "":
		case "memory":
			root, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// A group is bound by the limits above it too. In a container the path may
		// begin above what can be seen; the root of what can is then the group.
		for folder := path.Clean("/" + parts[2]); ; folder = path.Dir(folder) {
			file := path.Join(root+folder, name)
			if v, err := e.numbers(file, 1); err == nil && v[0] < least {
				least, from = v[0], file
			}
			if folder == "/" {
				break
			}
		}
	}
	return least, from, nil
}
