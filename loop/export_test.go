package loop

import "net"

// FindWay is what GiveWay does first.
func (e *Engine) FindWay() error { return e.findWay() }

// ListeningBeside is Listening in a process where another engine listens too.
func (e *Engine) ListeningBeside(other *Engine) bool {
	fds, err := listening(e.addr.Port)
	return err == nil && len(fds) == e.Listeners()+other.Listeners()
}

// KeptAddr is what gnet keeps of the peer's address.
func (r *Reactor) KeptAddr(conn int32) net.Addr { return r.conns.At(conn).tcp.RemoteAddr() }

// KeptClients is how many blocks of addresses the reactor keeps.
func (r *Reactor) KeptClients() int { return len(r.clients) }

// Fragmented is the number of connections inside a fragmented message.
func (r *Reactor) Fragmented() int { return len(r.readers) }

// TrafficSlice is for tests of what is posted between the turns of connections.
const TrafficSlice = trafficSlice

// StalledAfter is how long a handshake of TLS may be silent when there is no room.
const StalledAfter = stalledAfter

// Stalls is the number of handshakes of TLS that wait for their clients.
func (e *Engine) Stalls() (n int) {
	h := e.handshakes
	h.mu.Lock()
	defer h.mu.Unlock()
	for e := h.stalled.Front(); e != nil; e = e.Next() {
		if e.Value.(*shaking).waits {
			n++
		}
	}
	return n
}

// Unwritten is the number of connections that something waits for.
func (r *Reactor) Unwritten() int { return r.out.count }
