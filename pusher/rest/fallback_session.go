package rest

import (
	"encoding/binary"
	"sync"
	"time"
)

// cutGrace is what is left of GraceTime to a session whose receiving request was
// cut off. pusher-js never returns to one: it takes the connection for closed.
const cutGrace = 2 * time.Second

// fallbackSession keeps what a connection sends until its client fetches it. The
// reactor puts in, the one receiving request takes out. Safe for concurrent use.
type fallbackSession struct {
	of   *fallback
	id   string
	conn FallbackConn // set before anyone knows the session

	mu       sync.Mutex
	opened   bool   // the client was told
	pending  []byte // messages, each behind its length in 4 bytes
	carried  int    // bytes of messages that the receiver is writing
	beat     bool   // a heartbeat is due
	closed   bool   // code and reason are to be told
	code     int
	reason   string
	shut     bool // the reactor has forgotten the connection
	gone     bool // the session has ended
	receiver *receiver
	absences int // times without a receiver so far
	grace    *time.Timer
}

var _ FallbackStream = (*fallbackSession)(nil)

// receiver is a receiving request. A session has one at a time; a newer one
// replaces the older.
type receiver struct {
	older    *receiver     // to be waited for; nil for none
	wake     chan struct{} // something is there to be taken
	done     chan struct{} // closed when it takes and writes no more
	replaced bool          // guarded by the session
}

// Message keeps a copy of a message.
func (s *fallbackSession) Message(payload []byte) {
	s.change(func() {
		if !s.gone {
			s.pending = binary.BigEndian.AppendUint32(s.pending, uint32(len(payload)))
			s.pending = append(s.pending, payload...)
		}
	})
}

// Heartbeat makes the client show that it is there.
func (s *fallbackSession) Heartbeat() { s.change(func() { s.beat = true }) }

// Closed keeps the last words for the client.
func (s *fallbackSession) Closed(code int, reason string) {
	s.change(func() { s.closed, s.code, s.reason = true, code, reason })
}

// Shut is the end of what the reactor sends.
func (s *fallbackSession) Shut() { s.change(func() { s.shut = true }) }

// Buffered counts what the client has not fetched, including what is under way.
func (s *fallbackSession) Buffered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) + s.carried
}

// change makes a change that the receiver should look at.
func (s *fallbackSession) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	if s.receiver != nil {
		s.receiver.notify()
	}
}

func (r *receiver) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// attach makes the caller the receiver, which has to wait for the older one
// before it takes anything, and to detach. It returns nil when the session has
// ended.
func (s *fallbackSession) attach() *receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	r := &receiver{older: s.receiver, wake: make(chan struct{}, 1), done: make(chan struct{})}
	if r.older != nil {
		r.older.replaced = true
		r.older.notify()
	}
	if s.grace != nil {
		s.grace.Stop()
	}
	s.receiver = r
	if s.opened {
		s.conn.PostControl()
	}
	return r
}

// detach ends a receiver. The session ends too unless another one comes within
// the time given.
func (s *fallbackSession) detach(r *receiver, within time.Duration) {
	close(r.done)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carried = 0
	if s.receiver == r {
		s.receiver = nil
		s.await(within)
	}
}

// await lets the session end unless a receiver comes in time. The lock is held,
// or nobody knows the session yet.
func (s *fallbackSession) await(within time.Duration) {
	if s.gone {
		return
	}
	s.absences++
	absence := s.absences
	s.grace = time.AfterFunc(within, func() {
		s.end(func() bool { return s.receiver == nil && s.absences == absence })
	})
}

// expireUnread ends the session of a server that stops. Its receiver, if any, is
// still told what waits.
func (s *fallbackSession) expireUnread() { s.end(func() bool { return true }) }

// end ends the session if the condition, evaluated with the lock held, is true.
func (s *fallbackSession) end(condition func() bool) {
	s.mu.Lock()
	if s.gone || !condition() {
		s.mu.Unlock()
		return
	}
	s.gone = true
	if s.grace != nil {
		s.grace.Stop()
	}
	if s.receiver == nil {
		s.pending = nil
	}
	s.mu.Unlock()
	s.of.remove(s)
	s.conn.PostClose()
}

// taken is what next found.
type taken uint8

const (
	tookNothing  taken = iota // wait to be woken
	tookOpen                  // a line: write it and come back, the next one is there
	tookLine                  // a line: write it and come back
	tookLast                  // a line: write it and end, the session is over
	tookReplaced              // end: another request receives
	tookOver                  // end: nothing follows
	tookRefused               // end: the connection was never open
	tookCut                   // end: the client has cut the connection
)

// next appends what the client is to be told next, a whole line, to dst. What it
// took before counts as delivered.
//
// Pusher: lines of the fallback transports: o open, a messages, h heartbeat,
// c close.
func (s *fallbackSession) next(r *receiver, dst []byte) ([]byte, taken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carried = 0
	switch {
	case r.replaced:
		return dst, tookReplaced
	case !s.opened && len(s.pending) == 0 && !s.closed:
		if s.shut {
			return dst, tookRefused
		}
		return dst, tookNothing
	case !s.opened:
		s.opened = true
		return append(dst, "o\n"...), tookOpen
	case len(s.pending) > 0:
		messages := s.pending
		s.pending, s.beat = nil, false
		s.carried = len(messages)
		s.mu.Unlock()
		defer s.mu.Lock()
		return appendMessages(dst, messages), tookLine
	case s.closed:
		return appendClose(dst, s.code, s.reason), tookLast
	case s.shut:
		return dst, tookOver
	case s.beat:
		s.beat = false
		return appendHeartbeat(dst), tookLine
	}
	return dst, tookNothing
}
