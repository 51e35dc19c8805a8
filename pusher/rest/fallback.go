package rest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// FallbackConn is a connection without a socket, for a client that cannot speak
// WebSocket; *loop.Virtual is one. Safe for concurrent use; no method blocks.
type FallbackConn interface {
	// PostMessages keeps the messages. It answers false, and takes none, while
	// too many bytes wait.
	PostMessages(payloads [][]byte) bool

	PostControl() // the client is alive
	PostClose()   // the client is gone
}

// FallbackStream is what a FallbackConn writes to. Every method returns at once.
// Message gets a view; Shut is the last call.
type FallbackStream interface {
	Message(payload []byte)
	Heartbeat()
	Closed(code int, reason string)
	Buffered() int // bytes of messages that no client has fetched
	Shut()
}

// FallbackHandshake is what stands for the opening handshake. Owned.
type FallbackHandshake struct {
	Path, Query, Host, Origin, UserAgent []byte

	Client netip.AddrPort // the zero value when nobody knows
}

// FallbackOptions are for clients that cannot speak WebSocket. Every zero value is
// the documented default.
type FallbackOptions struct {
	// Open makes a connection without a socket that writes to s. via is the
	// connection of the session's first request, as the listener accepted it. It
	// must not block. Nil means that there is no fallback: its routes are unknown.
	Open func(via net.Conn, h FallbackHandshake, s FallbackStream) FallbackConn

	MaxSessions int // open at a time, 503 above; zero means 8,192

	// HeartbeatInterval is the silence after which a receiving request gets a
	// heartbeat, which ends it when it polls. Zero means 25 s: shorter than the
	// activity timeout of clients and than the patience of proxies.
	HeartbeatInterval time.Duration

	// GraceTime is how long a session lives without a receiving request. Zero
	// means 10 s.
	GraceTime time.Duration
}

func (o FallbackOptions) withDefaults() (FallbackOptions, error) {
	if o.MaxSessions < 0 || o.HeartbeatInterval < 0 || o.GraceTime < 0 {
		return o, fmt.Errorf("fallback has MaxSessions %d, HeartbeatInterval %v, GraceTime %v, want no negative ones",
			o.MaxSessions, o.HeartbeatInterval, o.GraceTime)
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = 8192
	}
	if o.HeartbeatInterval == 0 {
		o.HeartbeatInterval = 25 * time.Second
	}
	if o.GraceTime == 0 {
		o.GraceTime = 10 * time.Second
	}
	return o, nil
}

// fallback is the HTTP fallback of pusher-js: sessions whose messages travel in
// the bodies of requests and responses.
//
//	client                          fallback                     reactor
//	POST .../xhr_streaming or xhr   receive -> fallbackSession <- FallbackStream
//	POST .../xhr_send               send    -> FallbackConn    ->
//
// A session lives on one node: a load balancer must send all its requests there,
// by source address or by path. Safe for concurrent use.
//
// Pusher: HTTP fallback transports of pusher-js, xhr_streaming and xhr_polling.
type fallback struct {
	options      FallbackOptions
	writeTimeout time.Duration
	stopped      chan struct{} // closed by stop

	mu       sync.Mutex
	sessions map[string]*fallbackSession // by app key, server number and session id
	streams  map[net.Conn]struct{}       // connections of streaming responses
	open     sync.WaitGroup              // one for each of streams
}

func newFallback(o FallbackOptions, writeTimeout time.Duration) *fallback {
	return &fallback{
		options: o, writeTimeout: writeTimeout, stopped: make(chan struct{}),
		sessions: make(map[string]*fallbackSession), streams: make(map[net.Conn]struct{}),
	}
}

var (
	errFallbackFull    = errors.New("as many sessions as there may be")
	errFallbackStopped = errors.New("the server stops")
)

// session returns the session that has an id. It makes one with open unless open
// is nil: then it returns nil when there is none.
func (f *fallback) session(id string, open func(s FallbackStream) FallbackConn) (*fallbackSession, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	switch {
	case s != nil || open == nil:
		return s, nil
	case f.isStopped():
		return nil, errFallbackStopped
	case len(f.sessions) >= f.options.MaxSessions:
		return nil, errFallbackFull
	}
	s = &fallbackSession{of: f, id: id}
	s.conn = open(s)
	s.await(f.options.GraceTime)
	f.sessions[id] = s
	return s, nil
}

func (f *fallback) remove(s *fallbackSession) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sessions[s.id] == s {
		delete(f.sessions, s.id)
	}
}

func (f *fallback) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sessions)
}

// enter notes a streaming response, which no worker of the HTTP server waits for.
// It answers false when the server stops; otherwise leave must follow.
func (f *fallback) enter(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isStopped() {
		return false
	}
	f.streams[c] = struct{}{}
	f.open.Add(1)
	return true
}

func (f *fallback) leave(c net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, c)
	f.open.Done()
}

func (f *fallback) isStopped() bool {
	select {
	case <-f.stopped:
		return true
	default:
		return false
	}
}

// stop ends all sessions and receiving requests. What waits for a client is still
// written to it.
func (f *fallback) stop() {
	f.mu.Lock()
	if !f.isStopped() {
		close(f.stopped)
	}
	sessions := make([]*fallbackSession, 0, len(f.sessions))
	for _, s := range f.sessions {
		sessions = append(sessions, s)
	}
	f.mu.Unlock()
	for _, s := range sessions {
		s.expireUnread()
	}
}

// wait returns when all streaming responses have ended. Once ctx is done it cuts
// those that have not, and returns ctx's error.
func (f *fallback) wait(ctx context.Context) error {
	cut := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for c := range f.streams {
			_ = accepted(c).Close()
		}
	})
	f.open.Wait()
	if cut() {
		return nil
	}
	return ctx.Err()
}

// fallbackRoutes are the rows of the routing table. pusher-js calls the first
// ones unless httpPath is set.
func fallbackRoutes() (out []route) {
	for _, prefix := range []string{"pusher/app/*/*/*/", "app/*/*/*/"} {
		for _, row := range []struct {
			method, path string
			serve        endpoint
		}{
			{"OPTIONS", "xhr_streaming", (*request).allowFallback},
			{"OPTIONS", "xhr", (*request).allowFallback},
			{"OPTIONS", "xhr_send", (*request).allowFallback},
			{"POST", "xhr_streaming", (*request).receiveStream},
			{"POST", "xhr", (*request).receivePoll},
			{"POST", "xhr_send", (*request).sendFallback},
		} {
			out = append(out, route{row.method, strings.Split(prefix+row.path, "/"), false, row.serve})
		}
	}
	return out
}

// allowFallback answers the question a browser asks before each request of
// another origin whose body is JSON.
func (r *request) allowFallback() error {
	h := &r.ctx.Response.Header
	allowAnyOrigin(h)
	h.Set(fasthttp.HeaderAccessControlAllowMethods, fasthttp.MethodPost)
	h.Set(fasthttp.HeaderAccessControlAllowHeaders, fasthttp.HeaderContentType)
	h.Set(fasthttp.HeaderAccessControlMaxAge, preflightSeconds)
	r.status = fasthttp.StatusNoContent
	return nil
}

// allowAnyOrigin lets scripts of any page read the response. The pages that may
// connect are AppOptions.AllowedOrigins, and the connection itself looks at them.
func allowAnyOrigin(h *fasthttp.ResponseHeader) {
	h.Set(fasthttp.HeaderAccessControlAllowOrigin, "*")
}
