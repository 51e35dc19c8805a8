package loop

import (
	linked "container/list"
	"errors"
	"net"
	"runtime"
	"sync"
	"time"
)

const (
	// maxShakingBytes is what a client may send beyond its first record before
	// the handshake is over: certificates of clients are not asked for.
	maxShakingBytes = 64 << 10

	// defaultTLSHandshakes bounds the handshakes under way. One that waits for
	// its client holds a goroutine and some 20 KB.
	defaultTLSHandshakes = 4096

	// stalledAfter is how long a handshake may wait for its client before it has to
	// make room when there is none. It is more than a round trip to anywhere, so
	// that in a storm of clients who do answer nobody's half-done work is thrown away.
	stalledAfter = 500 * time.Millisecond
)

// handshakes are those of TLS that are under way, of all reactors. When there is no
// room for another, the one that stalls longest makes room: if the newest were
// refused, clients that say hello and nothing more could keep everybody out with
// max connections for each HandshakeTimeout. Safe for concurrent use.
type handshakes struct {
	max    int
	now    func() time.Time
	places chan struct{} // held by those that compute

	mu    sync.Mutex
	count int
	// Those that their clients were answered in and that waited for them since, in
	// the order in which they began to wait: *shaking.
	stalled linked.List
}

func newHandshakes(limit int, now func() time.Time) *handshakes {
	// Only as many as there are CPUs compute at a time, so that a storm of
	// handshakes leaves the reactors theirs.
	return &handshakes{max: limit, now: now, places: make(chan struct{}, runtime.NumCPU())}
}

// begin answers false when there is no room. dismissed is true when another
// handshake had to make it.
func (h *handshakes) begin() (ok, dismissed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.count >= h.max {
		if dismissed = h.dismiss(); !dismissed {
			return false, false
		}
	}
	h.count++
	return true, dismissed
}

// dismiss ends the handshake that stalls longest. It answers false when none does.
func (h *handshakes) dismiss() bool {
	now := h.now()
	for e := h.stalled.Front(); e != nil; e = h.stalled.Front() {
		s := e.Value.(*shaking)
		if now.Sub(s.since) < stalledAfter {
			return false
		}
		h.unlist(s)
		if s.waits {
			s.dismissed = true
			h.count--
			s.end()
			return true
		}
		s.since = now // its client did send something: what the wait is for is a CPU
		h.list(s)
	}
	return false
}

// wait says that s waits for its client.
func (h *handshakes) wait(s *shaking) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.waits = true
	if s.place == nil && !s.dismissed {
		s.since = h.now()
		h.list(s)
	}
}

// work says that s computes, or waits for a place to.
func (h *handshakes) work(s *shaking) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.waits = false
}

// answered says that s wrote to its client, who has time to read it from now on.
func (h *handshakes) answered(s *shaking) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place != nil {
		h.unlist(s)
	}
}

// finish says that s is over. dismissed is true when it had to make room.
func (h *handshakes) finish(s *shaking) (dismissed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.place != nil {
		h.unlist(s)
	}
	if !s.dismissed {
		h.count--
	}
	return s.dismissed
}

func (h *handshakes) list(s *shaking) { s.place = h.stalled.PushBack(s) }

func (h *handshakes) unlist(s *shaking) {
	h.stalled.Remove(s.place)
	s.place = nil
}

// shaking is what the reactor and the goroutine of a handshake share.
type shaking struct {
	all *handshakes

	mu     sync.Mutex
	fed    sync.Cond
	in     []byte
	fd     int
	closed bool

	computes bool // holds a place; the goroutine's

	// Guarded by the lock of all, which comes before mu.
	place     *linked.Element // in all.stalled
	since     time.Time     // when it was listed
	waits     bool          // for its client
	dismissed bool
}

func newShaking(all *handshakes, fd int, first []byte) *shaking {
	s := &shaking{all: all, in: append([]byte(nil), first...), fd: fd}
	s.fed.L = &s.mu
	return s
}

var (
	errShortWrite = errors.New("the socket has no room for a handshake")
	errDismissed  = errors.New("the handshake made room for another")
)

// run is the goroutine's.
func (s *shaking) run(handshake func() error) (err error) {
	s.enter()
	defer s.leave()
	defer func() {
		if s.all.finish(s) {
			err = errDismissed
		}
	}()
	return handshake()
}

func (s *shaking) enter() {
	s.all.places <- struct{}{}
	s.computes = true
}

func (s *shaking) leave() {
	if s.computes {
		s.computes = false
		<-s.all.places
	}
}

// feed is called by the reactor. It answers false when the client sends more than
// a handshake can be.
func (s *shaking) feed(b []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in)+len(b) > maxShakingBytes {
		return false
	}
	s.in = append(s.in, b...)
	s.fed.Signal()
	return true
}

// end has the goroutine give up.
func (s *shaking) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.fed.Signal()
}

// ready reports whether reading has not to wait.
func (s *shaking) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.in) > 0 || s.closed
}

// read waits for the client and lets others compute meanwhile.
func (s *shaking) read(b []byte) (int, error) {
	if !s.ready() {
		s.leave()
		s.all.wait(s)
		s.mu.Lock()
		for len(s.in) == 0 && !s.closed {
			s.fed.Wait()
		}
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return 0, net.ErrClosed // it need not wait for a place to end
		}
		s.all.work(s)
		s.enter()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	n := copy(b, s.in)
	s.in = s.in[n:]
	return n, nil
}

// write goes to the socket at once. A handshake's part of some kilobytes always
// fits the send buffer of a new connection, whoever does not read.
func (s *shaking) write(b []byte) (int, error) {
	s.all.answered(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	n, err := writeNow(s.fd, b)
	if err == nil && n < len(b) {
		err = errShortWrite
	}
	return n, err
}
