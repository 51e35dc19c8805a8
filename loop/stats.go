package loop

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// counters are one reactor's. Written by the reactor, read by anyone.
type counters struct {
	sockets     atomic.Int64
	connections atomic.Int64
	opened      atomic.Uint64
	rejected    atomic.Uint64
	putOff      atomic.Uint64
	handedOver  atomic.Uint64
	messages    atomic.Uint64
	writes      atomic.Uint64
	bytesOut    atomic.Uint64
	slow        atomic.Uint64
	broken      atomic.Uint64
	panics      atomic.Uint64
	tlsShaken   atomic.Uint64
	tlsFailed   atomic.Uint64
	crowded     atomic.Uint64
	misproxied  atomic.Uint64
	tlsStalled  atomic.Uint64
	lag         atomic.Int64 // nanoseconds

	mu     sync.Mutex
	closes map[CloseReason]uint64
}

// CloseReason is why connections ended. Reasons that a peer gave are not kept: it
// could make as many as it likes.
type CloseReason struct {
	Code   int
	Reason string
}

const (
	closedByPeer   = "closed by the peer"
	connectionLost = "connection lost"

	// maxReasons is how many reasons a reactor tells apart; what exceeds it has
	// none.
	maxReasons = 4096
)

func (s *counters) written(bytes int) {
	s.writes.Add(1)
	s.bytesOut.Add(uint64(bytes))
}

func (s *counters) closed(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closes == nil {
		s.closes = make(map[CloseReason]uint64)
	}
	why := CloseReason{code, reason}
	if _, known := s.closes[why]; !known && len(s.closes) >= maxReasons {
		why.Reason = ""
	}
	s.closes[why]++
}

// Stats is a sum over all reactors, each counter read at its own moment.
type Stats struct {
	Sockets     int64          // open TCP connections, those handed over excepted
	Connections int64          // open WebSocket connections, virtual ones included
	HTTP        int64          // connections handed over and still open
	Opened      uint64         // handshakes accepted
	Rejected    uint64         // handshakes refused
	PutOff      uint64         // handshakes told to come back, because the reactor was late
	Refused     uint64         // sockets closed at once for want of descriptors, or of room for handshakes of TLS
	HandedOver  uint64         // connections handed to HTTP
	Messages    uint64         // whole messages received
	Writes      uint64         // system calls that wrote frames
	BytesOut    uint64         // bytes given to them
	Slow        uint64         // connections closed because they did not read
	Broken      uint64         // connections that failed while written to
	Panics      uint64         // panics recovered
	TLS         uint64         // handshakes of TLS completed
	TLSFailed   uint64         // handshakes of TLS that failed
	Crowded     uint64         // connections refused because their address had too many
	Misproxied  uint64         // connections closed because of a PROXY header: none, a wrong one, or not theirs to send
	TLSStalled  uint64         // handshakes of TLS closed to make room, because their clients kept silent
	Closes      map[int]uint64 // connections closed, by code; 1005 had none, 1006 no close frame

	CloseReasons map[CloseReason]uint64 // the same, with why
}

// Stats sums the counters. Safe for concurrent use.
func (e *Engine) Stats() Stats {
	out := Stats{HTTP: e.handedOver.Load(), Refused: e.refused.Load(), Closes: make(map[int]uint64), CloseReasons: make(map[CloseReason]uint64)}
	for _, r := range e.reactors {
		s := &r.stats
		out.Sockets += s.sockets.Load()
		out.Connections += s.connections.Load()
		out.Opened += s.opened.Load()
		out.Rejected += s.rejected.Load()
		out.PutOff += s.putOff.Load()
		out.HandedOver += s.handedOver.Load()
		out.Messages += s.messages.Load()
		out.Writes += s.writes.Load()
		out.BytesOut += s.bytesOut.Load()
		out.Slow += s.slow.Load()
		out.Broken += s.broken.Load()
		out.Panics += s.panics.Load()
		out.TLS += s.tlsShaken.Load()
		out.TLSFailed += s.tlsFailed.Load()
		out.Crowded += s.crowded.Load()
		out.Misproxied += s.misproxied.Load()
		out.TLSStalled += s.tlsStalled.Load()
		s.mu.Lock()
		for why, n := range maps.All(s.closes) {
			out.Closes[why.Code] += n
			out.CloseReasons[why] += n
		}
		s.mu.Unlock()
	}
	return out
}

// ReactorStats are one reactor's.
type ReactorStats struct {
	Connections  int64
	Messages     uint64 // whole messages received
	Writes       uint64 // system calls that wrote frames
	BytesOut     uint64 // bytes given to them
	Pending      int    // see Reactor.Pending
	PendingBytes int64  // see Reactor.PendingBytes

	// Lag is how long the last sweep waited for its turn: how late the reactor
	// is.
	Lag time.Duration
}

// Stats reads the counters of the reactor. Safe for concurrent use.
func (r *Reactor) Stats() ReactorStats {
	s := &r.stats
	return ReactorStats{
		Connections:  s.connections.Load(),
		Messages:     s.messages.Load(),
		Writes:       s.writes.Load(),
		BytesOut:     s.bytesOut.Load(),
		Pending:      r.Pending(),
		PendingBytes: r.PendingBytes(),
		Lag:          time.Duration(s.lag.Load()),
	}
}
