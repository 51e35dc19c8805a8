package floor

import (
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

const (
	batchEvents     = 1024
	readBufferBytes = 64 << 10
)

// thread is one loop of the bare server. Owned by its goroutine but for the
// mailbox.
type thread struct {
	port    int
	wakeFD  int
	done    chan struct{}
	mu      sync.Mutex
	mailbox [][]byte // each to be written to every connection
	closing bool

	epollFD, listenFD int
	buffer            []byte
	established       []byte // frame sent behind the 101
	subscribed        []byte // frame sent for the first frame received
	lastKey           string // of the last upgrade
	lastAnswer        []byte // what it got: 101 and established

	// By descriptor number: the stage of the connection and its place in sockets.
	stages  []uint8
	places  []int32
	sockets []int32 // the subscribed connections
}

// Stages of a connection.
const (
	stageNone uint8 = iota
	stageUpgrading
	stageEstablished
	stageSubscribed
)

func newThread(channel string, port int) (t *thread, err error) {
	t = &thread{
		done:        make(chan struct{}),
		epollFD:     -1,
		listenFD:    -1,
		wakeFD:      -1,
		buffer:      make([]byte, readBufferBytes),
		established: wire.AppendFrame(nil, wire.OpText, wire.AppendEstablished(nil, "1.1")),
		subscribed:  wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, channel)),
	}
	defer func() {
		if err != nil {
			t.closeDescriptors()
		}
	}()
	if t.listenFD, t.port, err = listen(port); err != nil {
		return nil, err
	}
	if t.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if t.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create event descriptor: %w", err)
	}
	for _, fd := range []int{t.listenFD, t.wakeFD} {
		if err = t.watch(fd); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *thread) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(t.epollFD, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

func (t *thread) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(t.done)
	defer t.end()
	events := make([]unix.EpollEvent, batchEvents)
	for {
		n, err := unix.EpollWait(t.epollFD, events, -1)
		if err != nil && err != unix.EINTR {
			return
		}
		for i := range events[:max(n, 0)] {
			switch fd := int(events[i].Fd); fd {
			case t.listenFD:
				t.accept()
			case t.wakeFD:
				if !t.runMailbox() {
					return
				}
			default:
				t.read(fd)
			}
		}
	}
}

// accept takes all waiting connections.
func (t *thread) accept() {
	for {
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(t.listenFD), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno != 0 {
			return // none left; without descriptors the generator's timeout tells
		}
		for int(fd) >= len(t.stages) {
			t.stages = append(t.stages, make([]uint8, batchEvents)...)
			t.places = append(t.places, make([]int32, batchEvents)...)
		}
		t.stages[fd] = stageUpgrading
		if t.watch(int(fd)) != nil {
			t.drop(int(fd))
		}
	}
}

// read answers what one connection sent.
func (t *thread) read(fd int) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&t.buffer[0])), uintptr(len(t.buffer)))
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	if errno != 0 || n == 0 {
		t.drop(fd)
		return
	}
	switch t.stages[fd] {
	case stageUpgrading:
		head := t.buffer[:wire.HeadBytes(t.buffer[:n])]
		key := wire.HeaderValue(head, "Sec-WebSocket-Key")
		if len(key) == 0 {
			t.drop(fd)
			return
		}
		t.stages[fd] = stageEstablished
		t.write(fd, t.switching(key))
	case stageEstablished:
		t.stages[fd] = stageSubscribed
		t.places[fd] = int32(len(t.sockets))
		t.sockets = append(t.sockets, int32(fd))
		t.write(fd, t.subscribed)
	}
}

// switching returns the answer to an upgrade with key. The connections of a client
// process share their key, so the last answer is nearly always the next: the floor
// leaves no garbage behind that would count as memory of its connections.
func (t *thread) switching(key []byte) []byte {
	if string(key) != t.lastKey {
		t.lastKey = string(key)
		t.lastAnswer = append(t.lastAnswer[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
		t.lastAnswer = append(append(t.lastAnswer, wire.Accept(t.lastKey)...), "\r\n\r\n"...)
		t.lastAnswer = append(t.lastAnswer, t.established...)
	}
	return t.lastAnswer
}

// runMailbox writes the publications that wait and reports whether to go on.
func (t *thread) runMailbox() bool {
	t.mu.Lock()
	writes, closing := t.mailbox, t.closing
	t.mailbox = nil
	var count [8]byte
	_, _ = unix.Read(t.wakeFD, count[:])
	t.mu.Unlock()
	if closing {
		return false
	}
	for _, b := range writes {
		// Backwards: a connection that is dropped is replaced by the last one.
		for i := len(t.sockets) - 1; i >= 0; i-- {
			t.write(int(t.sockets[i]), b)
		}
	}
	return true
}

// write sends b with one write(2). A socket that does not take all of it is
// dropped: the generator then counts the loss, and the comparison is void.
func (t *thread) write(fd int, b []byte) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 || int(n) != len(b) {
		t.drop(fd)
	}
}

func (t *thread) drop(fd int) {
	if t.stages[fd] == stageSubscribed {
		last := t.sockets[len(t.sockets)-1]
		t.sockets[t.places[fd]] = last
		t.places[last] = t.places[fd]
		t.sockets = t.sockets[:len(t.sockets)-1]
	}
	t.stages[fd] = stageNone
	_ = unix.Close(fd)
}

// post hands writes to the thread.
func (t *thread) post(writes [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closing {
		t.mailbox = append(t.mailbox, writes...)
		_, _ = unix.Write(t.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (t *thread) close() {
	t.mu.Lock()
	if !t.closing {
		t.closing = true
		_, _ = unix.Write(t.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	t.mu.Unlock()
	<-t.done
}

// end refuses further posts, whose descriptor it closes.
func (t *thread) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closing = true
	t.closeDescriptors()
}

func (t *thread) closeDescriptors() {
	for fd, stage := range t.stages {
		if stage != stageNone {
			_ = unix.Close(fd)
		}
	}
	for _, fd := range []int{t.listenFD, t.epollFD, t.wakeFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
