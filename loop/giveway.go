package loop

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Listeners is how many sockets listen on each of the engine's ports.
func (e *Engine) Listeners() int { return len(e.reactors) * e.listenersPerReactor() }

func (e *Engine) listenersPerReactor() int {
	n := len(e.reactors)
	return max(ListenersPerReactor, (e.options.MinListeners+n-1)/n)
}

// Keep makes the kernel give every new connection to the sockets of this engine,
// whoever begins to listen on the same ports from now on, until GiveWay, or TakeOver
// ends it. Nobody else may share the ports.
func (e *Engine) Keep() error {
	groups, err := e.groups()
	if err != nil {
		return err
	}
	for _, fds := range groups {
		if err := steer(fds[0], 0, uint32(len(fds))); err != nil {
			return fmt.Errorf("keep: %w", err)
		}
	}
	return nil
}

// GiveWay makes the kernel give every new connection to the successors sockets
// of another process, which began to listen on the same ports after this engine
// did; at least as many as this engine has, see withdraw. Nobody else may share the
// ports. What was on its way to this engine still
// arrives here: go on serving for a moment, then Drain and Stop.
//
// A socket that stops listening resets the connections that nobody has accepted
// yet. So the kernel is told first to put none there: a filter of the port's
// group of sockets names the one for each connection, by its place in the group.
func (e *Engine) GiveWay(successors int) error {
	if e.way == nil {
		if err := e.findWay(); err != nil {
			return err
		}
	}
	for _, fds := range e.way {
		if err := steer(fds[0], uint32(len(fds)), uint32(successors)); err != nil {
			return fmt.Errorf("give way: %w", err)
		}
	}
	return nil
}

// findWay notes which sockets listen.
func (e *Engine) findWay() (err error) {
	e.way, err = e.groups()
	return err
}

// groups are the sockets of this process that listen, by port.
func (e *Engine) groups() (groups [][]int, err error) {
	for _, port := range e.ports() {
		fds, err := listening(port)
		if err != nil {
			return nil, err
		}
		if len(fds) == 0 {
			return nil, fmt.Errorf("nothing listens on port %d", port)
		}
		groups = append(groups, fds)
	}
	return groups, nil
}

// Listening reports whether every socket listens, which Ready does not wait for.
func (e *Engine) Listening() bool {
	for _, port := range e.ports() {
		if fds, err := listening(port); err != nil || len(fds) < e.Listeners() {
			return false
		}
	}
	return true
}

// TakeOver ends the steering that Keep or a predecessor's GiveWay began. Call it when
// the other process is gone.
func (e *Engine) TakeOver() error {
	groups, err := e.groups()
	if err != nil {
		return err
	}
	for _, fds := range groups {
		// ENOENT: there was none.
		if err := unix.SetsockoptInt(fds[0], unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0); err != nil && err != unix.ENOENT {
			return fmt.Errorf("take over: %w", err)
		}
	}
	return nil
}

// withdraw takes the sockets that gave way out of their groups, after which the
// event loops end.
//
// The kernel fills the place of a socket that leaves with the last of the group.
// As long as more are left than this engine had, place number "had" belongs to a
// successor, whatever order they leave in: to the end, as the successors are at least
// as many. Afterwards that place is empty, and the kernel chooses by itself.
func (e *Engine) withdraw() {
	e.withdrawn.Store(e.way != nil)
	for _, fds := range e.way {
		_ = steer(fds[0], uint32(len(fds)), 1)
		for _, fd := range fds {
			_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		}
	}
}

func (e *Engine) ports() []int {
	ports := []int{e.addr.Port}
	if e.plainAddr != nil {
		ports = append(ports, e.plainAddr.Port)
	}
	return ports
}

// offRandom is where a filter reads a random number: SKF_AD_OFF, which stands for
// no place in the packet, and SKF_AD_RANDOM.
const offRandom = 0xfffff000 + 56

// steer makes the group of fd choose among count places from first on.
func steer(fd int, first, count uint32) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offRandom},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: count},
		{Code: unix.BPF_ALU | unix.BPF_ADD | unix.BPF_K, K: first},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// listening returns this process's sockets that listen on a port. gnet names
// only the first of them. O(descriptors).
func listening(port int) (fds []int, err error) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || accepts == 0 {
			continue
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			continue
		}
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			if sa.Port == port {
				fds = append(fds, fd)
			}
		case *unix.SockaddrInet6:
			if sa.Port == port {
				fds = append(fds, fd)
			}
		}
	}
	return fds, nil
}
