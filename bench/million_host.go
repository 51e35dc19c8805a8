package bench

import (
	"errors"
	"fmt"
	"os"

	"resound/bench/population"
	"resound/bench/process"
)

// What connections cost on a host that holds both ends of them, measured on Linux
// 6.18 and rounded up.
const (
	kernelBytes        = 9000     // of a connection, both ends
	serverBytes        = 900      // of a connection in a server process
	clientBytes        = 100      // of a connection in a client process
	serverProcessBytes = 24 << 20 // of an empty server process
	clientProcessBytes = 16 << 20 // of an empty client process
	spareBytes         = 512 << 20

	// filesPerProcess are the descriptors of a process that are no connections.
	filesPerProcess = 64

	// maxProcesses is how many server processes, and as many client processes, are
	// reasonable on one host.
	maxProcesses = 100

	// portShare is what percentage of a source address's ports may be in use: the
	// kernel finds a free one slowly once half of them are taken.
	portShare = 40

	// queuedBytes is what one frame in the queue of a connection costs.
	queuedBytes = 2304
)

// memoryBytes is what all of the plan takes, kernel included.
func (p millionPlan) memoryBytes() int64 {
	return int64(p.connections)*(kernelBytes+serverBytes+clientBytes) +
		int64(p.servers)*serverProcessBytes + int64(p.clients)*clientProcessBytes + spareBytes
}

// check returns an error that names everything the host lacks for the plan, with
// the fix for each.
func (p millionPlan) check(c process.Capacity) error {
	n := int64(p.connections)
	files := 2*n + int64(p.servers+p.clients)*filesPerProcess
	ports := min(population.ConnectionsPerSource, n) * 100 / portShare
	largest := int64(p.classes[len(p.classes)-1].connections)
	var missing []error
	need := func(what string, have, want int64, fix string) {
		if have < want {
			missing = append(missing, fmt.Errorf("%s: %d, want %d: %s", what, have, want, fix))
		}
	}
	need("descriptors of a process", int64(p.capacity), n/maxProcesses, fmt.Sprintf("ulimit -n %d, as root", max(20_000, 2*n/maxProcesses)))
	memory := p.memoryBytes()
	need("megabytes of memory", c.MemoryBytes>>20, memory>>20,
		fmt.Sprintf("add memory, or set N=%d", int64(float64(n)*float64(c.MemoryBytes)/float64(memory))/1000*1000))
	need("descriptors left on the host", c.Files, files, fmt.Sprintf("sysctl -w fs.file-max=%d", 2*files))
	need("ports of a source address", c.Ports, ports, "sysctl -w net.ipv4.ip_local_port_range='10240 65535'")
	pages := largest * queuedBytes / int64(os.Getpagesize())
	need("bytes for TCP queues", c.BufferBytes, largest*queuedBytes, fmt.Sprintf("sysctl -w net.ipv4.tcp_mem='%d %d %d'", pages, pages+1, 2*pages))
	need("connections that may wait at a listener", c.Backlog, defaultInFlight, "sysctl -w net.core.somaxconn=4096")
	need("epoll registrations", c.Watches, files, fmt.Sprintf("sysctl -w fs.epoll.max_user_watches=%d", files))
	need("connections the packet filter can track", c.Tracked, n, fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*n))
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("this host cannot hold %d connections and their clients:\n%w", n, errors.Join(missing...))
}
