package rest

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// streamUnits is how much of a streaming response a client takes, in UTF-16
	// units. With the first line that goes beyond it pusher-js drops the request
	// and opens another. What is sent behind that line would be lost.
	//
	// Pusher: pusher-js, MAX_BUFFER_LENGTH.
	streamUnits = 256 << 10

	// maxServerBytes and maxSessionBytes bound the two parts of a session's id,
	// of which pusher-js makes 3 digits and 8 characters.
	maxServerBytes  = 16
	maxSessionBytes = 64

	contentLines = "application/javascript; charset=utf-8"

	// noBuffering keeps proxies from collecting lines.
	noBuffering = "no-store, no-transform"
)

// streamHead begins a streaming response. Its end is that of the connection, so
// that it needs no chunks, which HTTP/1.0 proxies do not know.
const streamHead = "HTTP/1.1 200 OK\r\n" +
	"Content-Type: " + contentLines + "\r\n" +
	"X-Content-Type-Options: nosniff\r\n" +
	"Cache-Control: " + noBuffering + "\r\n" +
	"X-Accel-Buffering: no\r\n" +
	"Access-Control-Allow-Origin: *\r\n" +
	"Connection: close\r\n\r\n"

const streamRefused = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Length: 0\r\n" +
	"Retry-After: 1\r\n" +
	"Access-Control-Allow-Origin: *\r\n" +
	"Connection: close\r\n\r\n"

// receiveStream opens a session, or takes on an open one, and answers with lines
// for as long as the client reads.
func (r *request) receiveStream() error {
	s, err := r.receivingSession()
	if err != nil {
		return err
	}
	f, via := s.of, r.ctx.Conn()
	r.written = true
	r.ctx.HijackSetNoResponse(true)
	r.ctx.Hijack(func(net.Conn) {
		if !f.enter(via) {
			return
		}
		defer f.leave(via)
		f.stream(via, s)
	})
	return nil
}

// receivePoll opens a session, or takes on an open one, and answers once there is
// something to tell.
func (r *request) receivePoll() error {
	s, err := r.receivingSession()
	if err != nil {
		return err
	}
	body, ok := s.of.poll(r.ctx.Conn(), s)
	if s.of.isStopped() {
		r.ctx.SetConnectionClose() // the HTTP server is told to stop a moment later
	}
	if !ok {
		return unavailable()
	}
	h := &r.ctx.Response.Header
	h.SetContentType(contentLines)
	h.Set(fasthttp.HeaderCacheControl, noBuffering)
	r.written = true
	r.ctx.Response.SetBodyRaw(body)
	return nil
}

// receivingSession finds or makes the session of a receiving request.
func (r *request) receivingSession() (*fallbackSession, error) {
	allowAnyOrigin(&r.ctx.Response.Header)
	id, err := r.sessionID()
	if err != nil {
		return nil, err
	}
	f, node := r.server.fallback, r.server.options.Node
	if s, _ := f.session(id, nil); s != nil {
		return s, nil
	}
	if node.Draining() {
		return nil, unavailable()
	}
	s, err := f.session(id, func(s FallbackStream) FallbackConn {
		return f.options.Open(accepted(r.ctx.Conn()), r.handshake(), s)
	})
	switch {
	case errors.Is(err, errFallbackFull):
		return nil, &refusal{
			status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
			text: "Too many sessions without WebSocket are open on this node; try again.",
		}
	case err != nil:
		return nil, unavailable()
	}
	return s, nil
}

func unavailable() error {
	return &refusal{
		status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
		text: "The server takes no new connections now; try again.",
	}
}

// sessionID is what the path says: the app's key and the two parts of the id that
// the client has chosen.
func (r *request) sessionID() (string, error) {
	server, session := r.args[1], r.args[2]
	if !isSessionPart(server, maxServerBytes) || !isSessionPart(session, maxSessionBytes) {
		return "", badRequest("The session must be {server}/{session}: at most %d and %d letters, digits, hyphens and underscores.", maxServerBytes, maxSessionBytes)
	}
	return r.args[0] + "/" + server + "/" + session, nil
}

func isSessionPart(s string, maxBytes int) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= maxBytes
}

// handshake is what the connection learns of the request that opened it.
func (r *request) handshake() FallbackHandshake {
	h := &r.ctx.Request.Header
	client, _ := r.client()
	return FallbackHandshake{
		Path:      []byte("/app/" + r.args[0]),
		Query:     []byte(strings.Clone(r.rawQuery)),
		Host:      bytes.Clone(h.Host()),
		Origin:    bytes.Clone(h.Peek(fasthttp.HeaderOrigin)),
		UserAgent: bytes.Clone(h.UserAgent()),
		Client:    client,
	}
}

// stream is one streaming response: lines, each in a write of its own, until the
// client is gone, the session is over or the client is due to open another one.
func (f *fallback) stream(c net.Conn, s *fallbackSession) {
	w := f.receive(c, s)
	if w == nil {
		_ = f.write(c, []byte(streamRefused))
		return
	}
	defer w.unwatch()
	out := []byte(streamHead)
	for units := 0; ; {
		head := len(out)
		var what taken
		if out, what = w.next(out); units == 0 && (what == tookRefused || what == tookOver) {
			out, head = []byte(streamRefused), 0
		}
		if len(out) > head && !f.write(c, out) {
			w.lose()
			return
		}
		units += utf16Units(out[head:])
		switch what {
		case tookOpen, tookLine:
		default:
			w.finish(what)
			return
		}
		if units > streamUnits {
			w.detach(f.options.GraceTime)
			w.hold()
			return
		}
		if out = out[:0]; cap(out) > maxKeptBytes {
			out = nil
		}
	}
}

// write gives a client that does not read no more than the write timeout.
func (f *fallback) write(c net.Conn, b []byte) bool {
	if c.SetWriteDeadline(time.Now().Add(f.writeTimeout)) != nil {
		return false
	}
	_, err := c.Write(b)
	return err == nil
}

// poll is one polling response. ok is false when there is nothing to tell and
// never will be.
func (f *fallback) poll(c net.Conn, s *fallbackSession) (body []byte, ok bool) {
	w := f.receive(c, s)
	if w == nil {
		return nil, false
	}
	defer w.unwatch()
	for {
		var what taken
		body, what = w.next(body)
		switch what {
		case tookOpen:
			continue
		case tookLine:
			w.detach(f.options.GraceTime)
		default:
			w.finish(what)
		}
		return body, len(body) > 0 || what == tookReplaced
	}
}
