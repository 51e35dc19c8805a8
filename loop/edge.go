package loop

import (
	"errors"
	"net"
	"net/netip"

	"resound/loop/edge"
)

// Edge says whom to believe about the address of a client, and how much one
// address may take. The zero value believes the kernel alone and has no limits.
// Immutable.
//
// A peer on a Unix socket is believed: it is there by the rights of a file. Peers
// that are believed, 127.0.0.1 and ::1 are not limited as long as they speak for
// nobody.
type Edge struct {
	Trusted       edge.Trusted
	ProxyProtocol ProxyProtocol
	Limits        edge.Limits
}

// ProxyProtocol says whether connections begin with a PROXY header. Peers that are
// not trusted may never send one.
type ProxyProtocol uint8

// The values of ProxyProtocol.
const (
	ProxyOff      ProxyProtocol = iota // nobody sends one
	ProxyRequired                      // who is trusted does
	ProxyOptional                      // who is trusted may
)

// SetEdge replaces Options.Edge, for connections and handshakes from now on. Safe
// for concurrent use.
func (e *Engine) SetEdge(to Edge) { e.edge.Store(&to) }

// Addresses is how many addresses are being counted for. Safe for concurrent use.
func (e *Engine) Addresses() int { return e.addresses.Addresses() }

// exempt reports whether an address is never limited.
func (e *Edge) exempt(a netip.Addr) bool {
	return !a.IsValid() || a == localhost4 || a == localhost6 || e.Trusted.Peer(a)
}

var (
	localhost4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	localhost6 = netip.IPv6Loopback()
)

// clientBits makes a block of clients about 18 KB, which the allocator has a size for.
const clientBits = 10

// clients are the addresses of connections by handle. Blocks are made when the
// first connection of one needs it: without limits and proxies there are none.
// Owned by a reactor.
type clients []*[1 << clientBits]client

// client is an address in 18 bytes without a pointer.
type client struct {
	ip   [16]byte
	port uint16
}

func (t *clients) set(conn int32, a netip.AddrPort) {
	block := int(conn >> clientBits)
	for block >= len(*t) {
		*t = append(*t, nil)
	}
	if (*t)[block] == nil {
		(*t)[block] = new([1 << clientBits]client)
	}
	(*t)[block][conn&(1<<clientBits-1)] = client{a.Addr().As16(), a.Port()}
}

func (t clients) at(conn int32) netip.AddrPort {
	c := &t[conn>>clientBits][conn&(1<<clientBits-1)]
	return netip.AddrPortFrom(netip.AddrFrom16(c.ip).Unmap(), c.port)
}

// directAddr is who c comes from before any X-Forwarded-For: the client that a PROXY
// header told, else the peer. It is the zero value for a peer on a Unix socket.
func (r *Reactor) directAddr(c *conn) netip.AddrPort {
	if c.marks&told != 0 {
		return r.clients.at(c.handle)
	}
	return addrPort(remoteAddr(c.socket()))
}

// onUnixSocket reports whether c came in on the Unix socket.
func (c *conn) onUnixSocket() bool {
	_, ok := c.socket().RemoteAddr().(*net.UnixAddr)
	return ok
}

// believed reports whether what c says of another client's address counts.
func (r *Reactor) believed(c *conn) bool {
	if c.marks&told == 0 && c.onUnixSocket() {
		return true
	}
	return r.engine.edge.Load().Trusted.Peer(r.directAddr(c).Addr())
}

// readProxyHeader reads what c begins with and answers whether there is more to be
// read. Who may not send a PROXY header, or does not although it must, is closed
// without a word: it would not understand it.
func (r *Reactor) readProxyHeader(c *conn) (more bool) {
	view, _ := c.tcp.Peek(-1)
	h, err := edge.ReadHeader(view)
	if errors.Is(err, edge.ErrIncomplete) {
		return false
	}
	none, believed := errors.Is(err, edge.ErrNone), r.believed(c)
	optional := !believed || r.engine.edge.Load().ProxyProtocol != ProxyRequired
	switch {
	case none && optional:
	case err != nil || !believed:
		r.stats.misproxied.Add(1)
		if err == nil {
			err = errors.New("a PROXY header from who is none of trusted_proxies")
		}
		r.engine.options.Logger.Warn("a connection is refused for what it begins with", "peer", r.directAddr(c).String(), "error", err)
		c.doomed = true
		return false
	default:
		_, _ = c.tcp.Discard(h.Size)
		c.marks |= proxied
		r.tell(c, h.Client)
	}
	c.marks &^= expectant
	if believed && !r.count(c) {
		c.doomed = true
		return false
	}
	r.beginTLS(c)
	return true
}

// tell notes the client's address, unless it is the zero value.
func (r *Reactor) tell(c *conn, client netip.AddrPort) {
	if client.IsValid() {
		r.clients.set(c.handle, client)
		c.marks |= told
	}
}

// enter counts a connection for its address and answers whether it may stay: with
// the mark tooMany only to be told that it may not.
func (r *Reactor) enter(c *conn, from netip.AddrPort) (may bool) {
	verdict, holds := r.engine.enter(from)
	if holds {
		r.clients.set(c.handle, from)
		c.marks |= held
	}
	if verdict == edge.Admitted {
		return true
	}
	r.stats.crowded.Add(1)
	c.marks |= tooMany
	return verdict == edge.TellOff
}

func (e *Engine) enter(from netip.AddrPort) (v edge.Verdict, held bool) {
	to := e.edge.Load()
	if to.Limits == (edge.Limits{}) || to.exempt(from.Addr()) {
		return edge.Admitted, false
	}
	return e.addresses.Enter(edge.KeyOf(from.Addr()), to.Limits, e.seconds())
}

// release ends what enter held.
func (r *Reactor) release(c *conn) {
	if c.marks&held != 0 {
		c.marks &^= held
		r.engine.addresses.Leave(edge.KeyOf(r.clients.at(c.handle).Addr()))
	}
}

// identify finds out who sends the handshake in r.request, and answers whether its
// address may have one more connection.
func (r *Reactor) identify(c *conn) (may bool) {
	if c.marks&tooMany != 0 {
		return false
	}
	if len(r.request.ForwardedFor) == 0 || !r.believed(c) {
		return true
	}
	client := r.engine.edge.Load().Trusted.Client(r.request.ForwardedFor)
	if !client.IsValid() {
		return true
	}
	r.release(c) // of who was none of the proxies until a moment ago
	r.tell(c, client)
	r.enter(c, client)
	if c.marks&tooMany != 0 {
		r.release(c) // the proxy holds the socket
		return false
	}
	return true
}
