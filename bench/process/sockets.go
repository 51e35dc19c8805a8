package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Socket is one IPv4 TCP socket of the host.
type Socket struct {
	Local     netip.AddrPort
	Remote    netip.AddrPort
	Listening bool
	Inode     uint64 // the kernel's number of it; 0 when no process holds it any more
}

// listening is the state in which the kernel shows listening sockets.
const listening = "0A"

// ReadSockets returns all IPv4 TCP sockets of the host. With a million connections
// that takes seconds: read them before.
func ReadSockets() ([]Socket, error) {
	b, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	var sockets []Socket
	_, table, _ := bytes.Cut(b, []byte("\n")) // headings
	for line := range bytes.Lines(table) {
		s, err := parseSocket(line)
		if err != nil {
			return nil, err
		}
		sockets = append(sockets, s)
	}
	return sockets, nil
}

// parseSocket reads one line of /proc/net/tcp: number, local and remote address,
// state, queues, timer, retransmits, user, timeout, inode.
func parseSocket(line []byte) (Socket, error) {
	fields := bytes.Fields(line)
	if len(fields) < 10 {
		return Socket{}, fmt.Errorf("/proc/net/tcp has a line of %d fields, want 10 or more", len(fields))
	}
	local, err1 := parseAddress(string(fields[1]))
	remote, err2 := parseAddress(string(fields[2]))
	inode, err3 := strconv.ParseUint(string(fields[9]), 10, 64)
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return Socket{}, fmt.Errorf("/proc/net/tcp: %w", err)
		}
	}
	return Socket{Local: local, Remote: remote, Listening: string(fields[3]) == listening, Inode: inode}, nil
}

// parseAddress reads an address as the kernel prints it: its bytes as one number in
// the host's byte order.
func parseAddress(s string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(s, ":")
	number, err1 := strconv.ParseUint(address, 16, 32)
	p, err2 := strconv.ParseUint(port, 16, 16)
	if err1 != nil || err2 != nil || len(address) != 8 {
		return netip.AddrPort{}, fmt.Errorf("address %q is not 8 digits, a colon and a port", s)
	}
	var ip [4]byte
	binary.NativeEndian.PutUint32(ip[:], uint32(number))
	return netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(p)), nil
}

// SocketInodes returns the inodes of the sockets that pid holds.
func SocketInodes(pid int) (map[uint64]bool, error) {
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	inodes := make(map[uint64]bool)
	for _, e := range entries {
		target, err := os.Readlink(folder + "/" + e.Name())
		if err != nil {
			continue // closed since the folder was read
		}
		number, found := strings.CutPrefix(target, "socket:[")
		if !found {
			continue
		}
		inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s/%s is %q", folder, e.Name(), target)
		}
		inodes[inode] = true
	}
	return inodes, nil
}
