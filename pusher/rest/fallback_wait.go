package rest

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waiting is a receiving request under way. Owned by the goroutine that serves it.
type waiting struct {
	*receiver
	session *fallbackSession
	gone    <-chan struct{} // closed when the client has ended its connection
	unwatch func()
}

// receive makes a request that came over c the receiver of a session. It returns
// nil when the session has ended. Otherwise detach or finish must follow, and
// unwatch before c is read again.
func (f *fallback) receive(c net.Conn, s *fallbackSession) *waiting {
	r := s.attach()
	if r == nil {
		return nil
	}
	gone, unwatch := watchEnd(accepted(c))
	if r.older != nil {
		// Bounded by the write timeout: it is told to end.
		<-r.older.done
		r.older = nil
	}
	return &waiting{r, s, gone, unwatch}
}

// next is fallbackSession.next, but waits until there is something. Silence gets a
// heartbeat.
func (w *waiting) next(dst []byte) ([]byte, taken) {
	f := w.session.of
	heartbeat := time.NewTimer(f.options.HeartbeatInterval)
	defer heartbeat.Stop()
	for stopped := false; ; {
		dst, what := w.session.next(w.receiver, dst)
		if what != tookNothing {
			return dst, what
		}
		if stopped {
			return dst, tookOver
		}
		select {
		case <-w.wake:
		case <-heartbeat.C:
			w.session.Heartbeat()
			heartbeat.Reset(f.options.HeartbeatInterval)
		case <-w.gone:
			return dst, tookCut
		case <-f.stopped:
			stopped = true // look once more: the last words may be there
		}
	}
}

// detach ends the receiver, and the session too if no other one comes in time.
func (w *waiting) detach(within time.Duration) { w.session.detach(w.receiver, within) }

// finish ends the receiver after what it found.
func (w *waiting) finish(what taken) {
	switch what {
	case tookCut:
		w.detach(min(cutGrace, w.session.of.options.GraceTime))
	case tookReplaced:
		w.detach(w.session.of.options.GraceTime)
	default:
		w.session.expireUnread()
		w.detach(0)
	}
}

// lose ends the receiver in the middle of a line, and the session with it, even
// if a newer request receives already: nobody knows what the client has got.
func (w *waiting) lose() {
	w.session.end(func() bool {
		w.session.pending = nil
		return true
	})
	w.detach(0)
}

// hold keeps a streaming response open that gets no more lines: to the client its
// end would be that of the session.
func (w *waiting) hold() {
	f := w.session.of
	patience := time.NewTimer(f.options.GraceTime)
	defer patience.Stop()
	select {
	case <-w.gone:
	case <-patience.C:
	case <-f.stopped:
	}
}

// accepted is the connection that the listener accepted.
func accepted(c net.Conn) net.Conn {
	if l, ok := c.(*lingeringConn); ok {
		return l.Conn
	}
	return c
}

// watchEnd closes gone when the peer ends the connection. It takes no bytes from
// it: what the peer sends meanwhile is the next request. Of a connection that is
// not a socket it sees nothing; there a write fails. stop must be called before c
// is read again.
func watchEnd(c net.Conn) (gone <-chan struct{}, stop func()) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return nil, func() {}
	}
	raw, err := socket.SyscallConn()
	if err != nil || c.SetReadDeadline(time.Time{}) != nil {
		return nil, func() {}
	}
	ended, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		if raw.Read(func(fd uintptr) bool { return hasEnded(int(fd)) }) == nil {
			close(ended)
		}
	}()
	return ended, func() {
		_ = c.SetReadDeadline(time.Unix(1, 0))
		<-finished
		_ = c.SetReadDeadline(time.Time{})
	}
}

func hasEnded(fd int) bool {
	var b [1]byte
	for {
		n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch err {
		case nil:
			return n == 0
		case unix.EAGAIN:
			return false
		case unix.EINTR:
		default:
			return true
		}
	}
}
