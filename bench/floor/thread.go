package floor

import (
	"bytes"
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
	number   int
	port     int
	wakeFD   int
	done     chan struct{}
	mu       sync.Mutex
	mailbox  []waiting
	closing  bool
	all      []*thread // of the server, set before run
	interest *interest
	packed   bool

	epollFD, listenFD int
	buffer            []byte
	message, frame    []byte // of the event or answer under way
	established       []byte // frame sent behind the 101
	lastKey           string // of the last upgrade
	lastAnswer        []byte // what it got: 101 and established

	channels  map[string]*subscribers
	unflushed []*subscribers

	// By descriptor number: how far it is, and how often it was closed.
	stages      []uint8
	generations []uint32
}

// Stages of a connection.
const (
	stageNone uint8 = iota
	stageNew
	stageWebSocket
	stageHTTP
)

func newThread(number, port int, o Options, n *interest) (t *thread, err error) {
	t = &thread{
		number:      number,
		interest:    n,
		packed:      o.Packed,
		done:        make(chan struct{}),
		epollFD:     -1,
		listenFD:    -1,
		wakeFD:      -1,
		buffer:      make([]byte, readBufferBytes),
		established: wire.AppendFrame(nil, wire.OpText, wire.AppendEstablished(nil, "1.1")),
		channels:    make(map[string]*subscribers),
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
		t.flush()
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
			t.generations = append(t.generations, make([]uint32, batchEvents)...)
		}
		t.stages[fd] = stageNew
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
	b := t.buffer[:n]
	switch t.stages[fd] {
	case stageNew:
		t.onFirst(fd, b)
	case stageWebSocket:
		t.onFrames(fd, b)
	case stageHTTP:
		t.onRequests(fd, b)
	}
}

// onFirst tells an upgrade from an HTTP request.
func (t *thread) onFirst(fd int, b []byte) {
	if bytes.HasPrefix(b, []byte("POST ")) {
		t.stages[fd] = stageHTTP
		t.onRequests(fd, b)
		return
	}
	key := wire.HeaderValue(b[:wire.HeadBytes(b)], "Sec-WebSocket-Key")
	if len(key) == 0 {
		t.drop(fd)
		return
	}
	t.stages[fd] = stageWebSocket
	t.write(fd, t.switching(key))
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

// runMailbox delivers what waits and reports whether to go on.
func (t *thread) runMailbox() bool {
	t.mu.Lock()
	mail, closing := t.mailbox, t.closing
	t.mailbox = nil
	var count [8]byte
	_, _ = unix.Read(t.wakeFD, count[:])
	t.mu.Unlock()
	if closing {
		return false
	}
	for _, w := range mail {
		t.deliver(t.channels[w.channel], w.frames)
	}
	return true
}

func (t *thread) drop(fd int) {
	t.stages[fd] = stageNone
	t.generations[fd]++
	_ = unix.Close(fd)
}

// post hands events to the thread.
func (t *thread) post(mail ...waiting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closing {
		t.mailbox = append(t.mailbox, mail...)
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
