package doctor

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// program is how the kernel calls a running node.
const program = "resound"

// port looks whether somebody listens on the node's port, and who.
func (e *examination) port() {
	if e.wanted.Port == 0 {
		return // the kernel finds a free one
	}
	check := fmt.Sprintf("port %d", e.wanted.Port)
	inodes, err := e.listeners()
	if err != nil {
		e.unreadable(check, err)
		return
	}
	f := Finding{
		Check: check, Is: "free", Want: "free, or a node that runs already",
		Why: "a node does not start on a port that another program has",
		Fix: "stop that program, or choose another --port",
	}
	if len(inodes) == 0 {
		e.judge(true, OK, f)
		return
	}
	pid, name := e.owner(inodes)
	switch {
	case pid == 0:
		f.Is = "taken by a process that this user cannot see"
		f.Fix = "run resound doctor as root to see whether it is a node"
		e.judge(false, Warning, f)
	case name == program:
		e.running = pid
		f.Is = fmt.Sprintf("taken by a running node, pid %d", pid)
		e.judge(true, OK, f)
	default:
		f.Is = fmt.Sprintf("taken by %s, pid %d", name, pid)
		e.judge(false, Fault, f)
	}
}

// listeners returns the inodes of the sockets that listen where the node would.
func (e *examination) listeners() (map[string]bool, error) {
	inodes := make(map[string]bool)
	for _, file := range []string{"proc/net/tcp", "proc/net/tcp6"} {
		err := e.addListeners(inodes, file)
		if errors.Is(err, fs.ErrNotExist) && file == "proc/net/tcp6" {
			continue // a host without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", file, err)
		}
	}
	return inodes, nil
}

func (e *examination) addListeners(inodes map[string]bool, file string) error {
	f, err := e.host.Files.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Scan() // headings
	for lines.Scan() {
		// number, local address, remote address, state, queues, timer,
		// retransmits, user, timeout, inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			return fmt.Errorf("a line has %d fields, want 10 or more", len(fields))
		}
		if fields[3] != listening {
			return nil // those that listen come first, a million connections behind
		}
		local, err := parseAddress(fields[1])
		if err != nil {
			return err
		}
		if int(local.Port()) == e.wanted.Port && overlap(local.Addr(), e.wanted.Address) {
			inodes[fields[9]] = true
		}
	}
	return lines.Err()
}

// listening is the state in which the kernel shows sockets that listen.
const listening = "0A"

// overlap reports whether who listens at taken keeps a node from address. A name
// may be any address.
func overlap(taken netip.Addr, address string) bool {
	wanted, err := netip.ParseAddr(address)
	return err != nil || taken.IsUnspecified() || wanted.IsUnspecified() || taken.Unmap() == wanted.Unmap()
}

// parseAddress reads an address as the kernel prints it: words of four bytes as
// numbers in the host's byte order, a colon, and the port.
func parseAddress(s string) (netip.AddrPort, error) {
	words, digits, _ := strings.Cut(s, ":")
	port, err1 := strconv.ParseUint(digits, 16, 16)
	b, err2 := hex.DecodeString(words)
	if err1 != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not hex words, a colon and a port", s)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	address, ok := netip.AddrFromSlice(b)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("address %q has %d bytes, want 4 or 16", s, len(b))
	}
	return netip.AddrPortFrom(address, uint16(port)), nil
}

// owner returns a process that holds one of the sockets, and its name; 0 when
// none can be seen.
func (e *examination) owner(inodes map[string]bool) (pid int, name string) {
	folders, err := fs.Glob(e.host.Files, "proc/[0-9]*/fd")
	if err != nil {
		return 0, ""
	}
	for _, folder := range folders {
		pid, err := strconv.Atoi(path.Base(path.Dir(folder)))
		if err != nil || !e.holds(folder, inodes) {
			continue
		}
		name, err := e.word(fmt.Sprintf("proc/%d/comm", pid))
		if err != nil {
			name = "an unknown program"
		}
		return pid, name
	}
	return 0, ""
}

// holds reports whether one of the descriptors in folder is one of the sockets.
func (e *examination) holds(folder string, inodes map[string]bool) bool {
	f, err := e.host.Files.Open(folder)
	if err != nil {
		return false // gone, or another user's
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	for ok {
		// A few at a time: a node may have a million, and listens with the first.
		entries, err := d.ReadDir(256)
		for _, entry := range entries {
			target, err := fs.ReadLink(e.host.Files, path.Join(folder, entry.Name()))
			inode, found := strings.CutPrefix(target, "socket:[")
			if err == nil && found && inodes[strings.TrimSuffix(inode, "]")] {
				return true
			}
		}
		ok = err == nil
	}
	return false
}

// privilegedPort looks whether this user may listen on a port below 1024.
func (e *examination) privilegedPort() {
	const name = "net.ipv4.ip_unprivileged_port_start"
	v, err := e.readSetting(name, 1)
	if err != nil || e.wanted.Port == 0 || int64(e.wanted.Port) >= v[0] || e.running != 0 {
		return // nothing to say: the port is no privileged one
	}
	may, err := e.mayBindPrivileged()
	if err != nil {
		e.unreadable(name, err)
		return
	}
	is := "this user may not listen below it"
	if may {
		is = "this user may listen below it"
	}
	e.judge(may, Fault, Finding{
		Check: name, Is: fmt.Sprintf("%d, and %s", v[0], is), Want: fmt.Sprintf("the right to port %d", e.wanted.Port),
		Why: "ports below are for privileged processes",
		Fix: "AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit, or a proxy in front and a port above",
	})
}

// bindCapability is CAP_NET_BIND_SERVICE.
const bindCapability = 10

func (e *examination) mayBindPrivileged() (bool, error) {
	b, err := fs.ReadFile(e.host.Files, "proc/self/status")
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(string(b)) {
		if mask, found := strings.CutPrefix(line, "CapEff:"); found {
			v, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
			return v>>bindCapability&1 == 1, err
		}
	}
	return false, errors.New("/proc/self/status has no line CapEff")
}

// ephemeralPort looks whether the kernel may give the node's port to a connection
// that another program opens, before the node starts.
func (e *examination) ephemeralPort() {
	if e.wanted.Port == 0 {
		return
	}
	v, err := e.readSetting("net.ipv4.ip_local_port_range", 2)
	if err != nil {
		return // portRange says so
	}
	const name = "net.ipv4.ip_local_reserved_ports"
	port := int64(e.wanted.Port)
	f := Finding{
		Check: "local ports", Is: fmt.Sprintf("%d to %d", v[0], v[1]), Want: fmt.Sprintf("port %d outside or reserved", port),
		Why: "while the node is down an outgoing connection may take its port, and it cannot start again",
	}
	reserved, err := e.word("proc/sys/net/ipv4/ip_local_reserved_ports")
	if err != nil {
		reserved = ""
	}
	f.Fix = sysctl(name, strings.TrimPrefix(reserved+","+strconv.FormatInt(port, 10), ","))
	e.judge(port < v[0] || port > v[1] || listed(reserved, port), Warning, f)
}

// listed reports whether a list such as "80,8000-8100" has the port.
func listed(list string, port int64) bool {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseInt(from, 10, 64)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.ParseInt(to, 10, 64); err != nil {
				continue
			}
		}
		if port >= first && port <= last {
			return true
		}
	}
	return false
}
