package loop

import (
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/panjf2000/gnet/v2"

	"resound/frame"
)

// maxPostedBytes is what a virtual connection may have in the mailbox before its
// messages are refused: nothing else slows down who posts them.
const maxPostedBytes = 64 << 10

// messageBytes is what a message in the mailbox takes besides its own bytes, so
// that many short ones count too.
const messageBytes = 48

// Stream is what a virtual connection writes to, in place of a socket. Its
// methods are called on the reactor and must not block; Shut is the last call.
type Stream interface {
	// Message gets a whole message, a view.
	Message(payload []byte)

	// Heartbeat asks for a sign of life, as a ping frame does.
	Heartbeat()

	// Closed gets the code and reason of the close frame.
	Closed(code int, reason string)

	// Buffered is how many bytes of messages are accepted and not yet carried
	// away. Above Options.MaxOutboundBytes the connection is closed as too slow.
	Buffered() int

	// Shut says that nothing follows: the reactor has forgotten the connection.
	Shut()
}

// Virtual is a connection of a reactor without a socket: its messages come and go
// by other means. To the Handler, the limits, the sweeps and the counters of
// connections it is one like any other; it counts as no socket. Safe for
// concurrent use.
type Virtual struct {
	reactor *Reactor
	stream  Stream
	remote  netip.AddrPort
	posted  atomic.Int64 // what the messages in the mailbox take
	conn    *conn        // owned by the reactor; nil before it is open and once it is closed
}

// PostOpen opens a virtual connection of a client that writes to s. req must not
// change any more. An engine that drains calls s.Shut and nothing else; a client
// whose address has too many connections gets no other word than Closed. The reactor
// must have had a connection before: HTTPConn.Reactor is one that has.
func (r *Reactor) PostOpen(req frame.Request, remote netip.AddrPort, s Stream) *Virtual {
	v := &Virtual{reactor: r, stream: s, remote: remote}
	r.Post(visit(func() { v.open(&req) }))
	return v
}

// PostMessages hands text messages that came from the client to the connection,
// which keeps them. It answers false, and takes none, while too many bytes wait.
// On a connection that is closed it does nothing.
func (v *Virtual) PostMessages(payloads [][]byte) bool {
	bytes := int64(len(payloads)) * messageBytes
	for _, p := range payloads {
		bytes += int64(len(p))
	}
	if v.posted.Load() > maxPostedBytes {
		return false
	}
	v.posted.Add(bytes)
	v.reactor.Post(visit(func() {
		v.posted.Add(-bytes)
		v.turn(func(r *Reactor, c *conn) { r.readMessages(c, payloads) })
	}))
	return true
}

// PostControl says that the client gave a sign of life, as a pong frame does.
func (v *Virtual) PostControl() {
	v.reactor.Post(visit(func() {
		v.turn(func(r *Reactor, c *conn) { r.handler.OnControl(c.handle) })
	}))
}

// PostClose says that the client is gone.
func (v *Virtual) PostClose() {
	v.reactor.Post(visit(func() {
		v.turn(func(_ *Reactor, c *conn) { c.doomed = true })
	}))
}

// visit is a mailbox item of a virtual connection: a turn of it.
type visit func()

func (v *Virtual) open(req *frame.Request) {
	r := v.reactor
	if r.engine.draining.Load() {
		r.stats.rejected.Add(1)
		v.stream.Shut()
		return
	}
	v.conn = r.adopt(noSocket{v: v})
	r.enter(v.conn, v.remote)
	if v.conn.marks&tooMany != 0 {
		v.stream.Closed(r.engine.options.LateCode, r.engine.options.LateReason)
		r.onClosed(v.conn)
		return
	}
	r.establish(v.conn)
	v.turn(func(r *Reactor, c *conn) { r.handler.OnOpen(c.handle, req) })
}

// turn is what onTraffic and gnet are to a connection with a socket.
func (v *Virtual) turn(f func(*Reactor, *conn)) {
	r, c := v.reactor, v.conn
	if c == nil || c.stage != open {
		return
	}
	r.current = c
	defer func() {
		r.current = nil
		if c.doomed {
			r.onClosed(c)
		}
	}()
	defer func() {
		if p := recover(); p != nil {
			r.recovered(c, p)
		}
	}()
	f(r, c)
	r.flush(c)
}

// readMessages is readFrame for messages that came whole.
func (r *Reactor) readMessages(c *conn, payloads [][]byte) {
	for _, p := range payloads {
		if c.stage != open {
			return
		}
		whole := frame.Reader{MaxMessageBytes: c.maxMessageBytes}
		e, fail := whole.Whole(p)
		if fail != nil {
			r.fail(c, fail)
			return
		}
		r.onEvent(c, e)
	}
}

// noSocket stands where a connection has its socket. What a reactor does not ask
// of a virtual connection panics.
type noSocket struct {
	gnet.Conn
	v *Virtual
}

func (n noSocket) Fd() int { return -1 }

func (n noSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(n.v.remote) }

func (n noSocket) OutboundBuffered() int { return n.v.stream.Buffered() }

// Discard has nothing to discard.
func (n noSocket) Discard(int) (int, error) { return 0, nil }

// Write takes whole frames.
func (n noSocket) Write(frames []byte) (int, error) {
	for rest := frames; len(rest) > 0; {
		var e frame.Event
		switch e, rest = frame.Next(rest); e.Kind {
		case frame.Message:
			n.v.stream.Message(e.Payload)
		case frame.Ping:
			n.v.stream.Heartbeat()
		case frame.Close:
			n.v.stream.Closed(e.Code, string(e.Payload))
		}
	}
	return len(frames), nil
}

// SetContext is called when the reactor forgets the connection.
func (n noSocket) SetContext(any) {
	n.v.conn = nil
	n.v.stream.Shut()
}
