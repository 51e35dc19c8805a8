package loop

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"resound/frame"
	"resound/loop/edge"
)

// handOver gives a connection that does not begin a WebSocket handshake to HTTP,
// together with the bytes read so far. The descriptor is duplicated, because
// gnet closes its own.
func (r *Reactor) handOver(c *conn, view []byte) {
	if c.marks&tooMany != 0 {
		r.reject(c, frame.RejectTooMany)
		return
	}
	c.doomed = true
	accept := r.engine.options.HandOver
	if accept == nil {
		return
	}
	fd, err := c.tcp.Dup()
	if err != nil {
		r.engine.refused.Add(1)
		return
	}
	h := &HTTPConn{
		file:    os.NewFile(uintptr(fd), "http"),
		early:   append([]byte(nil), view...),
		local:   c.tcp.LocalAddr(),
		remote:  cloneAddr(c.tcp.RemoteAddr()),
		reactor: r,
		secure:  c.secure(),
		proxied: c.marks&proxied != 0,
	}
	if c.marks&told != 0 {
		h.client = r.clients.at(c.handle)
		h.remote = net.TCPAddrFromAddrPort(h.client)
	}
	if c.marks&held != 0 {
		c.marks &^= held
		h.held.Store(uint64(edge.KeyOf(r.clients.at(c.handle).Addr())))
	}
	if h.secure != nil {
		h.secure.hand(h.file)
		c.tcp = h.secure.Conn // what closes here is the reactor's descriptor alone
	}
	r.engine.handedOver.Add(1)
	r.stats.handedOver.Add(1)
	if !accept(h) {
		r.engine.refused.Add(1)
		_, _ = h.Write(unavailable)
		_ = h.Close()
	}
}

// HTTPConn is a connection handed over to HTTP: a net.Conn that first replays
// what the reactor had read. Owned by the HTTP server.
//
// The file is not embedded: its ReadFrom, WriteString and WriteTo, which io and bufio
// prefer to Write and Read, would go past TLS and past what is to be replayed.
type HTTPConn struct {
	file    *os.File
	early   []byte
	local   net.Addr
	remote  net.Addr
	reactor *Reactor
	secure  *secure        // nil without TLS
	proxied bool           // a PROXY header came
	client  netip.AddrPort // that it told, else the zero value
	held    atomic.Uint64  // edge.Key of the address it counts for, 0 for none
	once    sync.Once
}

var (
	_ net.Conn     = (*HTTPConn)(nil)
	_ syscall.Conn = (*HTTPConn)(nil)
)

// Read reads what was handed over, then from the socket.
func (c *HTTPConn) Read(b []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(b, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	if c.secure != nil {
		return c.secure.tls.Read(b)
	}
	n, err := c.file.Read(b)
	return n, fileError(err)
}

// Write writes to the peer.
func (c *HTTPConn) Write(b []byte) (int, error) {
	if c.secure != nil {
		return c.secure.tls.Write(b)
	}
	n, err := c.file.Write(b)
	return n, fileError(err)
}

// Close closes the socket.
func (c *HTTPConn) Close() error {
	c.once.Do(func() {
		c.reactor.engine.handedOver.Add(-1)
		if key := c.held.Swap(0); key != 0 {
			c.reactor.engine.addresses.Leave(edge.Key(key))
		}
	})
	if c.secure != nil {
		return c.secure.tls.Close()
	}
	return c.file.Close()
}

// CloseWrite tells the peer that nothing follows. Reading goes on.
func (c *HTTPConn) CloseWrite() error {
	if c.secure != nil {
		if err := c.secure.tls.CloseWrite(); err != nil {
			return err
		}
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var shutErr error
	err = raw.Control(func(fd uintptr) { shutErr = unix.Shutdown(int(fd), unix.SHUT_WR) })
	return errors.Join(err, shutErr)
}

// SetDeadline bounds reading and writing.
func (c *HTTPConn) SetDeadline(t time.Time) error { return c.file.SetDeadline(t) }

// SetReadDeadline bounds reading.
func (c *HTTPConn) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

// SetWriteDeadline bounds writing.
func (c *HTTPConn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }

// SyscallConn is the socket's, for those who want to know whether the peer is still
// there. What is read or written over it goes past TLS.
func (c *HTTPConn) SyscallConn() (syscall.RawConn, error) { return c.file.SyscallConn() }

// Reactor is the one the connection was handed over from.
func (c *HTTPConn) Reactor() *Reactor { return c.reactor }

// LocalAddr is the address the peer connected to.
func (c *HTTPConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the client's address if a PROXY header told it, else the peer's.
func (c *HTTPConn) RemoteAddr() net.Addr { return c.remote }

// Client tells who sent a request with these X-Forwarded-For lines. The address is
// the zero value when nobody knows it. direct is true when it is the peer's own, as
// the kernel tells: no proxy spoke for it, and it is not on a Unix socket.
func (c *HTTPConn) Client(forwardedFor [][]byte) (client netip.AddrPort, direct bool) {
	peer, trusted := addrPort(c.remote), &c.reactor.engine.edge.Load().Trusted
	_, onUnixSocket := c.remote.(*net.UnixAddr)
	if len(forwardedFor) > 0 && (onUnixSocket || trusted.Peer(peer.Addr())) {
		if client := trusted.Client(forwardedFor); client.IsValid() {
			return client, false
		}
	}
	return peer, !onUnixSocket && !c.proxied
}

// returned is the context of a connection on its way back to a reactor.
type returned struct {
	head   []byte
	secure *secure   // nil without TLS
	from   *HTTPConn // its immutable fields, and what is held
}

// takeBack gives c what was known of it before it spoke HTTP.
func (r *Reactor) takeBack(c *conn, back *returned) {
	from := back.from
	if from.proxied {
		c.marks |= proxied
	}
	r.tell(c, from.client)
	if key := from.held.Swap(0); key != 0 {
		c.marks |= held
		r.clients.set(c.handle, addrPort(from.remote))
	}
}

// Return gives the connection back to the reactor it came from, because its next
// request is a WebSocket handshake: a proxy that keeps connections open may send
// one after a request of the API. head is the complete head of the handshake and
// must not change any more. The socket is duplicated: the caller closes c as
// always, and must not use it otherwise.
func (c *HTTPConn) Return(head []byte) error {
	tcp, err := net.FileConn(c.file)
	if err != nil {
		return err
	}
	back := &returned{head: head, secure: c.secure, from: c}
	c.secure = nil // closing c must not say goodbye
	enrolled, err := c.reactor.loop.Enroll(gnet.NewContext(context.Background(), back), tcp)
	if err != nil {
		_ = tcp.Close()
		return err
	}
	return (<-enrolled).Err
}

// cloneAddr copies an address whose zone gnet puts back into a pool.
func cloneAddr(a net.Addr) net.Addr {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a
	}
	return &net.TCPAddr{IP: t.IP, Port: t.Port, Zone: strings.Clone(t.Zone)}
}

// HTTPListener is the net.Listener over which an HTTP server gets the handed-over
// connections. Safe for concurrent use.
type HTTPListener struct {
	conns chan *HTTPConn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

// maxBacklog is how many handed-over connections may wait for the HTTP server.
const maxBacklog = 1024

// NewHTTPListener returns a listener that reports addr as its own.
func NewHTTPListener(addr net.Addr) *HTTPListener {
	return &HTTPListener{conns: make(chan *HTTPConn, maxBacklog), done: make(chan struct{}), addr: addr}
}

// Offer is for Options.HandOver. It answers false when the listener is closed or
// its backlog full.
func (l *HTTPListener) Offer(c *HTTPConn) bool {
	select {
	case <-l.done:
		return false
	default:
	}
	select {
	case l.conns <- c:
		return true
	default:
		return false
	}
}

// Accept waits for the next connection.
func (l *HTTPListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and closes what waits.
func (l *HTTPListener) Close() error {
	l.once.Do(func() { close(l.done) })
	for {
		select {
		case c := <-l.conns:
			_ = c.Close()
		default:
			return nil
		}
	}
}

// Addr is the address given to NewHTTPListener.
func (l *HTTPListener) Addr() net.Addr { return l.addr }
