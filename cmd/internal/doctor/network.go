package doctor

import (
	"errors"
	"fmt"
	"io/fs"
)

const (
	// leastBacklog and mostBacklog bound what is wanted of the queues of
	// connections that wait to be accepted, which is one in backlogShare.
	leastBacklog = 128
	mostBacklog  = 65_535
	backlogShare = 32

	// largeBuffer is a default buffer for bulk transfers.
	largeBuffer = 256 << 10

	// proxyPorts is how many ports a proxy should have for each of its addresses.
	proxyPorts = 50_000
)

// backlog looks at the queues in which connections wait to be accepted.
func (e *examination) backlog() {
	want := int64(min(max(e.wanted.Connections/backlogShare, leastBacklog), mostBacklog))
	for _, queue := range []struct{ name, why string }{
		{"net.core.somaxconn", "when all clients come back at once, connections wait here until a reactor accepts them; the node reads it when it starts"},
		{"net.ipv4.tcp_max_syn_backlog", "the same for handshakes that are not complete"},
	} {
		v, ok := e.setting(queue.name, 1)
		if !ok {
			continue
		}
		e.judge(v[0] >= want, Warning, Finding{
			Check: queue.name, Is: group(v[0]), Want: group(want) + " or more", Why: queue.why,
			Fix: sysctl(queue.name, mostBacklog),
		})
	}
}

// queueMemory looks at the memory for the queues of all TCP connections.
func (e *examination) queueMemory() {
	const name = "net.ipv4.tcp_mem"
	v, ok := e.setting(name, 3)
	if !ok {
		return
	}
	pages := int64(e.wanted.Connections)*queuedBytes/int64(e.host.PageSize) + 1
	e.judge(v[1] >= pages, Warning, Finding{
		Check: name, Is: fmt.Sprintf("%s pages until pressure", group(v[1])), Want: group(pages) + " or more",
		Why: "an event to everybody is for a moment in the queue of every connection; under pressure the kernel shrinks windows",
		Fix: sysctl(name, fmt.Sprintf("%d %d %d", roundUp(pages)/2, roundUp(pages), roundUp(pages)*2)),
	})
}

// buffers looks at the buffers a connection begins with.
func (e *examination) buffers() {
	for _, buffer := range []struct{ name, fix string }{
		{"net.ipv4.tcp_rmem", "4096 32768 6291456"},
		{"net.ipv4.tcp_wmem", "4096 16384 4194304"},
	} {
		v, ok := e.setting(buffer.name, 3)
		if !ok {
			continue
		}
		e.judge(v[1] <= largeBuffer, Warning, Finding{
			Check: buffer.name, Is: group(v[1]) + " bytes by default", Want: group(largeBuffer) + " or less",
			Why: "every connection may fill it; large ones are for bulk transfers, and these grow by themselves",
			Fix: sysctl(buffer.name, buffer.fix),
		})
	}
}

// portRange looks at the ports a proxy on this host connects from.
func (e *examination) portRange() {
	const name = "net.ipv4.ip_local_port_range"
	v, ok := e.setting(name, 2)
	if !ok {
		return
	}
	ports := v[1] - v[0] + 1
	want := int64(min(e.wanted.Connections, proxyPorts))
	addresses := (int64(e.wanted.Connections) + ports - 1) / max(ports, 1)
	e.judge(ports >= want, Warning, Finding{
		Check: name, Is: fmt.Sprintf("%s ports", group(ports)), Want: group(want) + " or more, if a proxy runs here",
		Why: fmt.Sprintf("a proxy needs a port for each connection to the node; to reach them all with so many ports takes this many addresses: %s", group(addresses)),
		Fix: sysctl(name, "10240 65535"),
	})
}

// tracking looks at the packet filter's table of connections.
func (e *examination) tracking() {
	const name = "net.netfilter.nf_conntrack_max"
	most, err1 := e.readSetting(name, 1)
	used, err2 := e.readSetting("net.netfilter.nf_conntrack_count", 1)
	need := int64(e.wanted.Connections)
	f := Finding{
		Check: name, Is: "not loaded", Want: group(need) + " free, or no tracking",
		Why: "the packet filter drops new connections when its table is full",
		Fix: sysctl(name, roundUp(2*need)) + "; or keep the node's port out of it by a notrack rule",
	}
	switch {
	case errors.Is(err1, fs.ErrNotExist):
		e.judge(true, OK, f)
	case err1 != nil || err2 != nil:
		e.unreadable(name, errors.Join(err1, err2))
	case used[0] == 0:
		f.Is = fmt.Sprintf("%s, no connection is tracked", group(most[0]))
		e.judge(true, OK, f)
	default:
		f.Is = fmt.Sprintf("%s, %s in use", group(most[0]), group(used[0]))
		free := most[0] - used[0]
		if e.running != 0 {
			free = most[0] // those in use may be its own
		}
		e.judge(free >= need, Fault, f)
	}
}
