package floor

import (
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	batchEvents = 1024
	maxMail     = 1 << 16
)

// publication is frames for one channel. Immutable.
type publication struct {
	channel *channel
	frames  []byte
}

// thread is one loop of the bare server. Owned by its goroutine but for the
// mailbox.
type thread struct {
	server  *Server
	number  int
	port    int
	wakeFD  int
	done    chan struct{}
	mu      sync.Mutex
	mailbox []publication
	closing bool

	epollFD, listenFD int
	buffer            []byte
	answer            []byte
	lastKey           string // of the last upgrade
	lastAnswer        []byte // what it got

	conns         []conn // by descriptor
	subscriptions []subscription
	unused        int32 // the first free subscription
	heads         map[*channel]int32
}

func newThread(s *Server, number int) (t *thread, err error) {
	t = &thread{
		server:        s,
		number:        number,
		done:          make(chan struct{}),
		epollFD:       -1,
		listenFD:      -1,
		wakeFD:        -1,
		buffer:        make([]byte, maxRequestBytes),
		subscriptions: make([]subscription, 1),
		heads:         make(map[*channel]int32),
	}
	defer func() {
		if err != nil {
			t.closeDescriptors()
		}
	}()
	if t.listenFD, t.port, err = listen(s.port); err != nil {
		return nil, err
	}
	if t.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if t.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create event descriptor: %w", err)
	}
	for _, fd := range []int{t.listenFD, t.wakeFD} {
		if err = t.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *thread) watch(operation, fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(t.epollFD, operation, fd, &event); err != nil {
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
			switch fd := int(events[i].Fd); {
			case fd == t.listenFD:
				t.accept()
			case fd == t.wakeFD:
			case events[i].Events&unix.EPOLLOUT != 0:
				t.flush(fd)
			default:
				t.read(fd)
			}
		}
		if !t.runMailbox() {
			return
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
		for int(fd) >= len(t.conns) {
			t.conns = append(t.conns, make([]conn, batchEvents)...)
		}
		t.conns[fd] = conn{stage: stageRequest}
		if t.watch(unix.EPOLL_CTL_ADD, int(fd), unix.EPOLLIN) != nil {
			t.drop(int(fd))
		}
	}
}

// runMailbox writes the publications that wait and reports whether to go on.
func (t *thread) runMailbox() bool {
	t.mu.Lock()
	mail, closing := t.mailbox, t.closing
	t.mailbox = nil
	if len(mail) > 0 {
		var count [8]byte
		_, _ = unix.Read(t.wakeFD, count[:])
	}
	t.mu.Unlock()
	if t.server.options.Packed {
		mail = packed(mail)
	}
	for _, p := range mail {
		t.broadcast(p.channel, p.frames)
	}
	return !closing
}

// packed joins the publications of each channel, in the order of their first ones.
func packed(mail []publication) []publication {
	if len(mail) < 2 {
		return mail
	}
	places := make(map[*channel]int, len(mail))
	joined := mail[:0:0]
	for _, p := range mail {
		i, found := places[p.channel]
		if !found {
			places[p.channel] = len(joined)
			joined = append(joined, publication{p.channel, p.frames[:len(p.frames):len(p.frames)]})
			continue
		}
		joined[i].frames = append(joined[i].frames, p.frames...)
	}
	return joined
}

// post hands p to the thread and reports whether it had room.
func (t *thread) post(p publication) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing || len(t.mailbox) >= maxMail {
		return false
	}
	t.mailbox = append(t.mailbox, p)
	if len(t.mailbox) == 1 {
		t.wake()
	}
	return true
}

func (t *thread) wake() { _, _ = unix.Write(t.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (t *thread) close() {
	t.mu.Lock()
	if !t.closing {
		t.closing = true
		t.wake()
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
	for fd, c := range t.conns {
		if c.stage != stageNone {
			_ = unix.Close(fd)
		}
	}
	for _, fd := range []int{t.listenFD, t.epollFD, t.wakeFD} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}
