package loop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"resound/channels/slab"
	"resound/frame"
	"resound/loop/edge"
)

const (
	// kernelSendBuffer bounds what the kernel takes for a connection that does
	// not read; it doubles the value. Without it a single one takes megabytes.
	kernelSendBuffer = 64 << 10

	// readBuffer is the one buffer an event loop reads into.
	readBuffer = 64 << 10

	// ListenersPerReactor is how many sockets of a reactor listen on each port, unless
	// Options.MinListeners asks for more.
	// gnet accepts one connection from each in a turn, which would make connecting
	// slow while a turn is full of writes; and each has a backlog of its own, which
	// holds a storm of connections that the kernel would otherwise make wait for a
	// second, then three.
	ListenersPerReactor = 4
)

// ErrStopped is returned by Run when the event loops ended though nobody asked.
var ErrStopped = errors.New("the event loops stopped unasked")

// Engine runs the reactors on one port. Safe for concurrent use.
type Engine struct {
	options          Options
	addr             *net.TCPAddr
	place            int // descriptor that holds the port while reactors come and go
	plainAddr        *net.TCPAddr
	plainPlace       int    // as place, for plainAddr; -1 for none
	request          []byte // how a handshake for us begins
	handshakeSeconds uint32
	start            time.Time

	mu       sync.Mutex // guards the binding of reactors to event loops
	reactors []*Reactor
	bells    []net.Conn // loop ends, until enrolled

	gnet       gnet.Engine
	ready      chan struct{}
	stopping   atomic.Bool
	draining   atomic.Bool
	handedOver atomic.Int64
	refused    atomic.Uint64
	sockets    atomic.Int64

	edge      atomic.Pointer[Edge]
	addresses edge.Table

	way        [][]int // listening sockets of each port, once they are to give way
	withdrawn  atomic.Bool
	handshakes *handshakes // of TLS
	shakers    sync.WaitGroup

	enrolling sync.Mutex // held while connections of the Unix socket get an event loop
	accepting sync.WaitGroup
	accepts   sync.Once
	ended     chan struct{} // closed when the event loops are gone
}

// New binds the port and makes the reactors and their handlers. Nothing is
// accepted before Run. The caller must Run or Close it.
func New(o Options) (*Engine, error) {
	o = o.withDefaults()
	e := &Engine{
		options:          o,
		request:          []byte("GET " + o.WebSocketPrefix),
		handshakeSeconds: max(1, uint32(o.HandshakeTimeout/time.Second)),
		start:            o.Now(),
		ready:            make(chan struct{}),
		ended:            make(chan struct{}),
		handshakes:       newHandshakes(o.MaxTLSHandshakes, o.Now),
	}
	e.SetEdge(o.Edge)
	var err error
	if e.place, e.addr, err = bind(o.Addr, o.ReusePort); err != nil {
		return nil, err
	}
	e.plainPlace = -1
	if o.PlainAddr != "" {
		if e.plainPlace, e.plainAddr, err = bind(o.PlainAddr, o.ReusePort); err != nil {
			e.Close()
			return nil, err
		}
	}
	for i := range o.Reactors {
		m, bell, err := newMailbox(o.Now)
		if err != nil {
			e.Close()
			return nil, err
		}
		r := &Reactor{index: i, engine: e, mailbox: m, conns: slab.Slab[conn]{Bits: connBits}, readers: make(map[int32]frame.Reader)}
		e.reactors = append(e.reactors, r)
		e.bells = append(e.bells, bell)
	}
	for _, r := range e.reactors {
		r.handler = o.NewHandler(r)
	}
	return e, nil
}

// bind holds the port with a socket that does not listen. It fails when another
// process listens there, unless the port is to be shared: every event loop
// listens with SO_REUSEPORT, which alone would let two servers share a port
// without either knowing.
func bind(addr string, shared bool) (fd int, bound *net.TCPAddr, err error) {
	want, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return -1, nil, fmt.Errorf("address %q: %w", addr, err)
	}
	if !shared && want.Port != 0 {
		probe, _, err := bindSocket(want, false)
		if err != nil {
			return -1, nil, err
		}
		_ = unix.Close(probe)
	}
	return bindSocket(want, true)
}

func bindSocket(a *net.TCPAddr, shared bool) (fd int, bound *net.TCPAddr, err error) {
	family, sa := sockaddr(a)
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, nil, fmt.Errorf("socket: %w", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && shared {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return -1, nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	bound = &net.TCPAddr{IP: a.IP, Zone: a.Zone}
	switch got := got.(type) {
	case *unix.SockaddrInet4:
		bound.Port = got.Port
	case *unix.SockaddrInet6:
		bound.Port = got.Port
	}
	if bound.IP == nil {
		bound.IP = net.IPv6unspecified
	}
	return fd, bound, nil
}

func sockaddr(a *net.TCPAddr) (family int, sa unix.Sockaddr) {
	if ip := a.IP.To4(); ip != nil {
		return unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(ip)}
	}
	sa6 := &unix.SockaddrInet6{Port: a.Port}
	if a.IP != nil {
		sa6.Addr = [16]byte(a.IP.To16())
	}
	return unix.AF_INET6, sa6
}

// Addr is the address bound, with the port the kernel chose.
func (e *Engine) Addr() *net.TCPAddr { return e.addr }

// PlainAddr is Addr for Options.PlainAddr, and nil without one.
func (e *Engine) PlainAddr() *net.TCPAddr { return e.plainAddr }

// speaksTLS reports whether a connection came in on the port with TLS.
func (e *Engine) speaksTLS(g gnet.Conn) bool {
	if e.options.TLS == nil {
		return false
	}
	local, ok := g.LocalAddr().(*net.TCPAddr)
	return ok && (e.plainAddr == nil || local.Port != e.plainAddr.Port)
}

// Reactors returns the reactors in the order of their indexes.
func (e *Engine) Reactors() []*Reactor { return e.reactors }

// Ready is closed once connections are accepted.
func (e *Engine) Ready() <-chan struct{} { return e.ready }

// Run accepts connections until Stop. Any other end is an error.
func (e *Engine) Run() error {
	ports := []string{"tcp://" + e.addr.String()}
	if e.plainAddr != nil {
		ports = append(ports, "tcp://"+e.plainAddr.String())
	}
	listeners := slices.Repeat(ports, e.listenersPerReactor())
	err := gnet.Rotate(&callbacks{engine: e}, listeners,
		gnet.WithNumEventLoop(e.options.Reactors),
		gnet.WithLockOSThread(true),
		gnet.WithReusePort(true),
		gnet.WithReuseAddr(true),
		gnet.WithTCPNoDelay(gnet.TCPNoDelay),
		gnet.WithSocketSendBuffer(kernelSendBuffer),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithTicker(true),
		gnet.WithLogger(quiet{e.options.Logger, e}),
	)
	close(e.ended)
	e.closeUnix()
	e.shakers.Wait()
	e.Close()
	if err == nil && !e.stopping.Load() {
		return ErrStopped
	}
	if e.withdrawn.Load() {
		return nil // gnet complains of the sockets that were taken from it
	}
	if err != nil {
		return fmt.Errorf("event loops: %w", err)
	}
	return nil
}

// Stop closes every connection without a word and ends Run.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopping.Store(true)
	e.closeUnix()
	e.withdraw()
	if err := e.gnet.Stop(ctx); err != nil && !e.withdrawn.Load() {
		return err
	}
	return nil // or gnet is ending already, for want of sockets that listen
}

// closeUnix ends what comes in on the Unix socket.
func (e *Engine) closeUnix() {
	if e.options.Unix != nil {
		_ = e.options.Unix.Close()
	}
	e.accepting.Wait()
}

// Close releases an engine that is not running. Posting afterwards does nothing.
func (e *Engine) Close() {
	e.closeUnix()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, r := range e.reactors {
		r.mailbox.close()
		if e.bells[i] != nil {
			_ = e.bells[i].Close()
			e.bells[i] = nil
		}
	}
	if e.place >= 0 {
		_ = unix.Close(e.place)
		e.place = -1
	}
	if e.plainPlace >= 0 {
		_ = unix.Close(e.plainPlace)
		e.plainPlace = -1
	}
}

// Tick makes every reactor sweep now.
func (e *Engine) Tick() {
	now := e.options.Now().UnixNano()
	for _, r := range e.reactors {
		if !r.ticking.Load() || !r.bound.Load() {
			r.tickedAt.Store(now)
		}
		if r.ticking.CompareAndSwap(false, true) {
			r.mailbox.again()
		}
	}
}

// Overdue is how long the reactor that is latest has not swept since it was asked
// to, which it does on its next turn: a reactor that is stuck never does. Safe for
// concurrent use.
func (e *Engine) Overdue() time.Duration {
	now, most := e.options.Now().UnixNano(), int64(0)
	for _, r := range e.reactors {
		// In this order: the time is that of the sweep that is due, or of a later one.
		if r.bound.Load() && r.ticking.Load() {
			most = max(most, now-r.tickedAt.Load())
		}
	}
	return time.Duration(most)
}

// isOurs tells from what follows the prefix in a request line whether the path
// has the one segment that is missing, and whether enough is there to know.
func (e *Engine) isOurs(rest []byte) (ours, known bool) {
	end := bytes.IndexAny(rest, " ?/\r\n")
	switch {
	case end < 0:
		return false, false
	case rest[end] == '/':
		return false, true
	}
	return end > 0 || e.options.WebSocketPrefix == "/", true
}

func (e *Engine) seconds() uint32 { return uint32(e.options.Now().Sub(e.start) / time.Second) }

// bound returns the reactor of a connection's event loop. gnet neither lists nor numbers its
// loops, so a reactor is bound when the first connection of a loop opens.
func (e *Engine) bound(g gnet.Conn) *Reactor {
	l := g.EventLoop()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, r := range e.reactors {
		if r.loop == l {
			return r
		}
		if r.loop == nil {
			r.loop = l
			r.owner.claim()
			r.peer = findPeerFields(g)
			r.now = e.seconds()
			r.tickedAt.Store(e.options.Now().UnixNano())
			r.bound.Store(true)
			enrolled, err := l.Enroll(gnet.NewContext(context.Background(), r), e.bells[i])
			e.bells[i] = nil // gnet closes it once it has its own
			go e.watch(enrolled, err)
			return r
		}
	}
	panic("more event loops than reactors")
}

// watch makes it fatal when a reactor cannot get its mail.
func (e *Engine) watch(enrolled <-chan gnet.RegisteredResult, err error) {
	if err == nil {
		select {
		case r := <-enrolled:
			err = r.Err
		case <-e.ended: // gnet answers nobody any more
			return
		}
	}
	if err == nil || e.stopping.Load() {
		return
	}
	e.options.Logger.Error("an event loop cannot take its mailbox", "error", err)
	_ = e.gnet.Stop(context.Background())
}

// callbacks is what gnet calls, on the event loops unless noted.
type callbacks struct {
	gnet.BuiltinEventEngine
	engine *Engine
}

// OnBoot runs once the first listener is open.
func (cb *callbacks) OnBoot(g gnet.Engine) gnet.Action {
	cb.engine.gnet = g
	close(cb.engine.ready)
	return gnet.None
}

// OnOpen takes a connection in, or refuses it while descriptors are left to do
// so: gnet gives up altogether when accept fails for want of them.
func (cb *callbacks) OnOpen(g gnet.Conn) (out []byte, action gnet.Action) {
	if _, ok := g.Context().(*Reactor); ok {
		return nil, gnet.None
	}
	e := cb.engine
	if max := e.options.MaxSockets; max > 0 && e.sockets.Load()+e.handedOver.Load() >= max {
		e.refused.Add(1)
		return unavailable, gnet.Close
	}
	e.sockets.Add(1)
	r := e.bound(g)
	back, _ := g.Context().(*returned)
	defer func() {
		if p := recover(); p != nil {
			r.fault(p)
			action = gnet.Close
		}
	}()
	if r.onOpen(g, back) {
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// unavailable is the answer to a connection there is no descriptor for.
var unavailable = frame.AppendRejection(nil, frame.RejectUnavailable)

// OnTraffic is the beginning of a turn.
func (cb *callbacks) OnTraffic(g gnet.Conn) gnet.Action {
	switch ctx := g.Context().(type) {
	case *conn:
		r := ctx.reactor
		r.interlude()
		if ctx.socket() != g {
			return gnet.None // closed meanwhile
		}
		if r.onTraffic(ctx) {
			return gnet.Close
		}
	case *Reactor:
		_, _ = g.Discard(-1)
		ctx.onBell()
	default:
		return gnet.Close
	}
	return gnet.None
}

// OnClose is called for every connection, whoever closes it.
func (cb *callbacks) OnClose(g gnet.Conn, _ error) gnet.Action {
	c, ok := g.Context().(*conn)
	if !ok {
		return gnet.None
	}
	cb.engine.sockets.Add(-1)
	r := c.reactor
	r.onClosed(c)
	r.interlude()
	return gnet.None
}

// OnTick runs on a goroutine of its own. The first call says that all event loops
// are there.
func (cb *callbacks) OnTick() (time.Duration, gnet.Action) {
	e := cb.engine
	e.accepts.Do(func() {
		for range unixAcceptors {
			if e.options.Unix != nil {
				e.accepting.Go(e.acceptUnix)
			}
		}
	})
	if e.options.TickInterval < 0 {
		return time.Hour, gnet.None
	}
	e.Tick()
	return e.options.TickInterval, gnet.None
}
