package floor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	maxRequestBytes = 1 << 20 // head and body, or a WebSocket frame
	maxUnsentBytes  = 16 << 20
)

// Stages of a connection.
const (
	stageNone uint8 = iota
	stageRequest
	stageWebSocket
)

// conn is one connection. Owned by its thread.
type conn struct {
	partial       *partial // nearly always nil
	subscriptions int32    // the first of its own
	stage         uint8
}

// partial is what a connection needs when bytes come or go in pieces.
type partial struct {
	in, out []byte
}

// read answers what one connection sent.
func (t *thread) read(fd int) {
	c := &t.conns[fd]
	if c.stage == stageNone {
		return // dropped earlier in this turn
	}
	kept := 0
	if c.partial != nil {
		kept = copy(t.buffer, c.partial.in)
		c.partial.in = c.partial.in[:0]
	}
	room := t.buffer[kept:]
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		n = 0
	case errno != 0 || n == 0:
		t.drop(fd)
		return
	}
	b := t.buffer[:kept+int(n)]
	for used := 1; used > 0 && len(b) > 0 && c.stage != stageNone; b = b[used:] {
		if c.stage == stageRequest {
			used = t.request(fd, b)
		} else {
			used = t.frame(fd, b)
		}
	}
	switch {
	case len(b) == 0 || c.stage == stageNone:
	case len(b) == len(t.buffer):
		t.drop(fd)
	default:
		c.keep().in = append(c.partial.in, b...)
	}
}

func (c *conn) keep() *partial {
	if c.partial == nil {
		c.partial = &partial{}
	}
	return c.partial
}

// write sends b with one write(2). What the socket does not take is kept and goes out
// before anything else: a frame is never torn.
func (t *thread) write(fd int, b []byte) {
	c := &t.conns[fd]
	waiting := c.partial != nil && len(c.partial.out) > 0
	if !waiting {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		if errno == 0 && int(n) == len(b) {
			return
		}
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			t.drop(fd)
			return
		}
		t.server.shortWrites.Add(1)
		if errno == 0 {
			b = b[n:]
		}
	}
	p := c.keep()
	if len(p.out)+len(b) > maxUnsentBytes {
		t.server.dropped.Add(1)
		t.drop(fd)
		return
	}
	p.out = append(p.out, b...)
	if !waiting && t.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN|unix.EPOLLOUT) != nil {
		t.drop(fd)
	}
}

// flush writes what waited for room in the socket.
func (t *thread) flush(fd int) {
	p := t.conns[fd].partial
	if p == nil || len(p.out) == 0 {
		return
	}
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p.out[0])), uintptr(len(p.out)))
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	if errno != 0 {
		t.drop(fd)
		return
	}
	p.out = append(p.out[:0], p.out[n:]...)
	if len(p.out) == 0 && t.watch(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN) != nil {
		t.drop(fd)
	}
}

func (t *thread) drop(fd int) {
	if t.conns[fd].stage == stageNone {
		return
	}
	t.unsubscribeAll(fd)
	t.conns[fd] = conn{}
	_ = unix.Close(fd)
}
