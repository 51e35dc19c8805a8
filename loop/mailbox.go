package loop

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// mailbox is the one door into a reactor. Posting appends under a short lock
// and rings the bell only when nobody has since the reactor last took the mail,
// so a burst costs one wake. Safe for concurrent use.
//
// The bell is one end of a socket pair, whose other end is enrolled in the event
// loop. A ring is an I/O event like any other, which is what keeps a reactor
// that rings its own bell from starving its connections; a task executed on the
// loop would run before any I/O.
type mailbox struct {
	mu      sync.Mutex
	items   []any
	since   time.Time // when the first of items was posted
	rung    bool
	closed  bool
	bell    int // descriptor the ring is written to
	now     func() time.Time
	pending atomic.Int64
	bytes   atomic.Int64 // of pending items and of what they queued, see pinned
}

// Sized is an item that holds memory as long as it waits, in the mailbox or in the
// lists of connections.
type Sized interface{ PostedBytes() int }

func bytesOf(items ...any) (n int64) {
	for _, item := range items {
		if s, ok := item.(Sized); ok {
			n += int64(s.PostedBytes())
		}
	}
	return n
}

func newMailbox(now func() time.Time) (m *mailbox, loopEnd net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair of a mailbox: %w", err)
	}
	f := os.NewFile(uintptr(fds[1]), "bell")
	defer f.Close()
	loopEnd, err = net.FileConn(f)
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, nil, fmt.Errorf("socket pair of a mailbox: %w", err)
	}
	return &mailbox{bell: fds[0], now: now}, loopEnd, nil
}

func (m *mailbox) post(item any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	if len(m.items) == 0 {
		m.since = m.now()
	}
	m.items = append(m.items, item)
	m.pending.Add(1)
	m.bytes.Add(bytesOf(item))
	m.ring()
}

// waits reports whether a ring is unanswered.
func (m *mailbox) waits() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rung
}

// again asks for another turn.
func (m *mailbox) again() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring()
}

// rest ends a turn: it asks for another when the reactor has more to do, or when
// items were posted that the turn did not take.
func (m *mailbox) rest(more bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if more || len(m.items) > 0 {
		m.ring()
	}
}

func (m *mailbox) ring() {
	if m.rung || m.closed {
		return
	}
	m.rung = true
	// A full socket is as good as a ring: the loop is already told.
	_, _ = unix.Write(m.bell, []byte{1})
}

// heard says that the bell was answered. Without it the next ring would be taken for
// one under way.
func (m *mailbox) heard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rung = false
}

// take returns all items, the first of which was posted at since, and leaves
// spare, emptied, to collect the next ones.
func (m *mailbox) take(spare []any) (items []any, since time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	items = m.items
	m.items = spare[:0]
	m.rung = false
	return items, m.since
}

// oldest says when the first item that nobody took was posted; ok is false when
// there is none.
func (m *mailbox) oldest() (since time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.since, len(m.items) > 0
}

// finished says that n taken items are dealt with.
func (m *mailbox) finished(n int) { m.pending.Add(-int64(n)) }

func (m *mailbox) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		_ = unix.Close(m.bell)
	}
}
