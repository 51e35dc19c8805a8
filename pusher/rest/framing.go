package rest

import (
	"bytes"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"
)

// onBrokenRequest answers what could not be read as a request. fasthttp closes
// the connection afterwards.
func (s *Server) onBrokenRequest(ctx *fasthttp.RequestCtx, err error) {
	status, text := s.brokenRequest(err, s.maxBodyBytes(&ctx.Request.Header))
	writeText(ctx, status, text)
	s.counters.answered(status)
	if c, ok := ctx.Conn().(*lingeringConn); ok {
		c.linger = status == fasthttp.StatusRequestEntityTooLarge || status == fasthttp.StatusRequestHeaderFieldsTooLarge
	}
}

func (s *Server) brokenRequest(err error, maxBodyBytes int) (status int, text string) {
	var headers *fasthttp.ErrSmallBuffer
	var timeout net.Error
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return fasthttp.StatusRequestEntityTooLarge,
			fmt.Sprintf("Payload too large. The limit is %d bytes of body; raise REVERB_MAX_REQUEST_SIZE for larger events.", maxBodyBytes)
	case errors.As(err, &headers):
		return fasthttp.StatusRequestHeaderFieldsTooLarge,
			fmt.Sprintf("Request header fields too large. The limit is %d bytes for the request line and all headers.", s.options.MaxHeaderBytes)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fasthttp.StatusRequestTimeout,
			fmt.Sprintf("Request timeout. The whole request must arrive within %v.", s.options.ReadTimeout)
	default:
		return fasthttp.StatusBadRequest,
			"Bad request. This is not HTTP/1.1 as RFC 9112 has it; the connection is closed."
	}
}

// checkFraming refuses a request that another server on its way may have read
// with other boundaries, and closes its connection. fasthttp refuses repeated or
// malformed Content-Length and Transfer-Encoding headers itself, but goes on with
// both in one request, with "identity", with folded lines, with line feeds alone
// and with versions that do not exist. Behind a trailer, in which it takes line
// feeds alone too, nothing is read: no client of this API sends one.
func (r *request) checkFraming() error {
	if len(r.body) > 0 && len(r.ctx.Request.Header.PeekTrailerKeys()) > 0 {
		r.ctx.SetConnectionClose()
	}
	if why := brokenFraming(&r.ctx.Request.Header, len(r.body) > 0); why != "" {
		r.ctx.SetConnectionClose()
		return badRequest("Bad request. %s", why)
	}
	return nil
}

func brokenFraming(header *fasthttp.RequestHeader, hasBody bool) (why string) {
	if !header.IsHTTP11() {
		if string(header.Protocol()) != "HTTP/1.0" {
			return "The version of HTTP must be 1.1 or 1.0."
		}
	} else if len(header.Host()) == 0 {
		// RFC 9112 section 3.2: a server must refuse HTTP/1.1 without Host.
		return "The Host header is missing."
	}
	raw := header.RawHeaders()
	if bytes.Contains(raw, []byte("\n ")) || bytes.Contains(raw, []byte("\n\t")) {
		// RFC 9112 section 5.2: a server may refuse folded lines.
		return "Header lines must not be folded."
	}
	if bytes.Count(raw, []byte("\n")) != bytes.Count(raw, []byte("\r\n")) {
		// RFC 9112 section 2.2: a server may take a line feed alone for the end of
		// a line. Where another takes it for part of one, the head ends elsewhere.
		return "Header lines must end in CR LF."
	}
	// Fast path: fasthttp marks a connection with both headers to be closed, and
	// reads no body when the only one is "identity".
	if hasBody && !header.ConnectionClose() {
		return ""
	}
	encoding, encoded := rawHeader(raw, "transfer-encoding")
	if _, measured := rawHeader(raw, "content-length"); encoded && measured {
		// RFC 9112 section 6.1: a server may refuse a request with both.
		return "Content-Length and Transfer-Encoding exclude each other."
	}
	if encoded && !bytes.EqualFold(encoding, []byte("chunked")) {
		return "The only Transfer-Encoding of a request is chunked."
	}
	return ""
}

// rawHeader finds a header by its name in lower case.
func rawHeader(raw []byte, name string) (value []byte, ok bool) {
	for line := range bytes.Lines(raw) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}
