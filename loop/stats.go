package loop

import (
	"maps"
	"sync"
	"sync/atomic"
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

	mu     sync.Mutex
	closes map[int]uint64
}

func (s *counters) written(bytes int) {
	s.writes.Add(1)
	s.bytesOut.Add(uint64(bytes))
}

func (s *counters) closed(code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closes == nil {
		s.closes = make(map[int]uint64)
	}
	s.closes[code]++
}

// Stats is a sum over all reactors, each counter read at its own moment.
type Stats struct {
	Sockets     int64          // open TCP connections, those handed over excepted
	Connections int64          // open WebSocket connections, virtual ones included
	HTTP        int64          // connections handed over and still open
	Opened      uint64         // handshakes accepted
	Rejected    uint64         // handshakes refused
	PutOff      uint64         // handshakes told to come back, because the reactor was late
	Refused     uint64         // sockets closed at once for want of descriptors
	HandedOver  uint64         // connections handed to HTTP
	Messages    uint64         // whole messages received
	Writes      uint64         // write(2) calls for frames
	BytesOut    uint64         // bytes given to them
	Slow        uint64         // connections closed because they did not read
	Broken      uint64         // connections that failed while written to
	Panics      uint64         // panics recovered
	Closes      map[int]uint64 // connections closed, by code; 1005 had none, 1006 no close frame
}

// Stats sums the counters. Safe for concurrent use.
func (e *Engine) Stats() Stats {
	out := Stats{HTTP: e.handedOver.Load(), Refused: e.refused.Load(), Closes: make(map[int]uint64)}
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
		s.mu.Lock()
		for code, n := range maps.All(s.closes) {
			out.Closes[code] += n
		}
		s.mu.Unlock()
	}
	return out
}
