package rest

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// maxSendBytes is the largest body of a sending request, whose messages have
// limits of their own. JSON makes a string of one message, twice its length when
// it is full of quotes.
const maxSendBytes = 64 << 10

// sendFallback hands the messages of a request to the session's connection. No
// messages are a sign of life.
func (r *request) sendFallback() error {
	allowAnyOrigin(&r.ctx.Response.Header)
	id, err := r.sessionID()
	if err != nil {
		return err
	}
	messages, ok := parseMessages(r.body)
	if !ok {
		return badRequest("The body must be a JSON array of messages, each a string.")
	}
	s, _ := r.server.fallback.session(id, nil)
	switch {
	case s == nil:
		return refuse(fasthttp.StatusNotFound, "There is no such session on this node. It has ended, or its requests reach different nodes: let the load balancer keep a client on one.")
	case len(messages) == 0:
		s.conn.PostControl()
	case !s.conn.PostMessages(messages):
		return &refusal{
			status: fasthttp.StatusTooManyRequests, retryAfter: 1,
			text: "Too many messages of the session wait to be handled; send more slowly.",
		}
	}
	r.status = fasthttp.StatusNoContent
	return nil
}

// isSend reports whether a request target is that of a sending request.
func isSend(target []byte) bool {
	path, _, _ := bytes.Cut(target, []byte{'?'})
	return bytes.HasSuffix(path, []byte("/xhr_send"))
}

// onHeader gives a sending request a limit of its own.
func (s *Server) onHeader(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	return fasthttp.RequestConfig{MaxRequestBodySize: s.maxBodyBytes(h)}
}

// maxBodyBytes is the limit of a request's body.
func (s *Server) maxBodyBytes(h *fasthttp.RequestHeader) int {
	if s.options.Fallback.Open != nil && isSend(h.RequestURI()) {
		return max(maxSendBytes, s.options.MaxRequestBytes)
	}
	return s.options.MaxRequestBytes
}
