package loop

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// ConnState is what a reactor tells of an open connection, for people to look at.
// It holds no view.
type ConnState struct {
	Remote        netip.AddrPort // the client's; the zero value when it is not known
	Virtual       bool           // without a socket; what only a socket has is 0
	OutboundBytes int            // see Reactor.OutboundBytes

	// Of a socket of TCP, as the kernel tells; on a Unix socket it does not.
	TCP         bool
	UnsentBytes int           // given to it and not sent yet
	RTT         time.Duration // smoothed
	Idle        time.Duration // since the last bytes came
}

// PostVisit calls f on the reactor, in its place among the mail. It answers false
// when the reactor never had a connection; f is then not called, nor is it when
// the engine ends first. f should take no longer than a millisecond: whoever has
// more to do visits again. Safe for concurrent use.
func (r *Reactor) PostVisit(f func()) bool {
	if !r.bound.Load() {
		return false
	}
	r.mailbox.post(visit(f))
	return true
}

// Handles is one more than the highest handle ever given to a connection.
func (r *Reactor) Handles() int32 { return r.conns.Cap() }

// Inspect returns the state of a connection; ok is false when it is not open. It
// asks the kernel, in about a microsecond.
func (r *Reactor) Inspect(conn int32) (_ ConnState, ok bool) {
	if conn < 0 || conn >= r.conns.Cap() {
		return ConnState{}, false
	}
	c := r.conns.At(conn)
	if c.reactor == nil || c.stage != open {
		return ConnState{}, false
	}
	s := ConnState{Remote: r.ClientAddr(conn), Virtual: c.virtual(), OutboundBytes: r.OutboundBytes(conn)}
	if s.Virtual {
		return s, true
	}
	if i, err := unix.GetsockoptTCPInfo(c.tcp.Fd(), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
		s.TCP = true
		s.UnsentBytes = int(i.Notsent_bytes)
		s.RTT = time.Duration(i.Rtt) * time.Microsecond
		s.Idle = time.Duration(i.Last_data_recv) * time.Millisecond
	}
	return s, true
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
