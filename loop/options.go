package loop

import (
	"crypto/tls"
	"log/slog"
	"net"
	"runtime"
	"time"

	"resound/frame"
)

// Options of an Engine.
type Options struct {
	// Addr is host:port; port 0 lets the kernel choose.
	Addr string

	// TLS, when set, is what connections to Addr begin with. Its certificate may
	// come from a function, so that it can change while the engine runs.
	TLS *tls.Config

	// PlainAddr is a second address, without TLS. Empty means none.
	PlainAddr string

	// Unix is a Unix socket that connections come in on too, without TLS. The engine
	// closes it. Nil means none.
	Unix net.Listener

	// MaxTLSHandshakes is how many handshakes of TLS may be under way. Beyond it the
	// one whose client keeps silent longest is closed, and the new connection when
	// all are being worked on. Zero means 4,096.
	MaxTLSHandshakes int

	// ReusePort allows other processes to listen on the same port.
	ReusePort bool

	// Reactors is the number of event loops. Zero means one per CPU.
	Reactors int

	// WebSocketPrefix begins the paths of WebSocket handshakes, in which exactly
	// one segment follows: "/app/" for "/app/key". A GET of any other path, and
	// every other request, goes to HTTP. Empty means "/", where the segment may
	// be missing.
	WebSocketPrefix string

	// NewHandler makes the handler of a reactor. It is called once for each,
	// before the engine runs.
	NewHandler func(*Reactor) Handler

	// Compression accepts permessage-deflate from clients that offer it, without
	// context takeover. What is sent is compressed by the Handler or not at all.
	//
	// RFC 7692.
	Compression bool

	// HandOver takes connections that speak HTTP. It must not block; it may
	// refuse by returning false, and the connection is then closed. Nil refuses
	// all.
	HandOver func(c *HTTPConn) bool

	// MaxSockets is the number of sockets, handed-over ones included, above
	// which new ones are closed at once. Zero means no limit.
	MaxSockets int64

	// Edge says whom to believe about a client's address, and how much one address
	// may take. SetEdge changes it.
	Edge Edge

	// MaxOutboundBytes is how much a connection may leave unread in memory
	// before it is closed as too slow. Zero means 65,536.
	MaxOutboundBytes int

	// HandshakeTimeout is the time from accept to a complete handshake, and to
	// the decision that a connection speaks HTTP. Zero means 10 s.
	HandshakeTimeout time.Duration

	// MaxLag is how old the oldest item posted to a reactor may be before it puts
	// new handshakes off. Zero means 5 s, negative no limit.
	MaxLag time.Duration

	// SlowCode and SlowReason close connections that read too slowly;
	// FaultCode and FaultReason those whose handling panicked; LateCode and
	// LateReason those that are put off, for the reactor or for their address. Zero codes mean 1008, 1011 and 1013.
	SlowCode    int
	SlowReason  string
	LateCode    int
	LateReason  string
	FaultCode   int
	FaultReason string

	// Now reads the clock; nil means time.Now. TickInterval is the time between
	// sweeps; zero means 1 s, negative means only Engine.Tick sweeps.
	Now          func() time.Time
	TickInterval time.Duration

	// Logger receives faults. Nil discards.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.Reactors == 0 {
		o.Reactors = runtime.GOMAXPROCS(0)
	}
	if o.WebSocketPrefix == "" {
		o.WebSocketPrefix = "/"
	}
	if o.MaxTLSHandshakes == 0 {
		o.MaxTLSHandshakes = defaultTLSHandshakes
	}
	if o.MaxOutboundBytes == 0 {
		o.MaxOutboundBytes = 65_536
	}
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = 10 * time.Second
	}
	if o.SlowCode == 0 {
		o.SlowCode, o.SlowReason = 1008, "read too slowly"
	}
	if o.MaxLag == 0 {
		o.MaxLag = 5 * time.Second
	}
	if o.LateCode == 0 {
		o.LateCode, o.LateReason = 1013, "try again later"
	}
	if o.FaultCode == 0 {
		o.FaultCode, o.FaultReason = 1011, "internal error"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.TickInterval == 0 {
		o.TickInterval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Handler gives the messages of one reactor's connections a meaning. All methods
// run on the reactor. A connection is named by its handle, which is dense and
// reused after OnClosed.
type Handler interface {
	// OnOpen is called once the handshake of conn is accepted; the 101 goes out
	// before anything sent from here. req is a view.
	OnOpen(conn int32, req *frame.Request)

	// OnMessage gets a whole message, a view. text is false for binary ones.
	OnMessage(conn int32, text bool, payload []byte)

	// OnControl is called for every ping and pong frame of the client; pings
	// are answered already.
	OnControl(conn int32)

	// OnDeadline is called by the first sweep at or after the time given to
	// SetDeadline. The deadline is cleared before.
	OnDeadline(conn int32)

	// OnClosed is the last call for an opened conn, whoever closed it.
	OnClosed(conn int32)

	// OnMail handles items from the front of what was posted and returns how
	// many it finished. It should stop after mailSlice sends or so; returning 0
	// means that the first item is only partly done, and OnMail is called again
	// with the same batch, possibly after other turns.
	OnMail(batch []any) (finished int)
}
