package rest

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// upgrade answers a request for the path of the WebSocket. Handshakes that open a
// connection never come here; one that follows another request on a connection
// kept open by a proxy does, and is given back.
//
// RFC 9110 section 15.5.22: a 426 names the protocol in Upgrade.
// Departs: Reverb answers 500 to a plain request.
func (r *request) upgrade() error {
	if giveBack := r.server.options.Upgrade; giveBack != nil && r.method == fasthttp.MethodGet && len(r.ctx.Request.Header.Peek(fasthttp.HeaderUpgrade)) > 0 {
		head, log := r.head(), r.server.options.Logger
		r.ctx.HijackSetNoResponse(true)
		r.ctx.Hijack(func(c net.Conn) {
			if sentMore(c) {
				_, _ = c.Write(tooEarly)
				return
			}
			if h, ok := c.(interface{ UnsafeConn() net.Conn }); ok {
				c = h.UnsafeConn()
			}
			if err := giveBack(accepted(c), head); err != nil && log.Enabled(context.Background(), slog.LevelDebug) {
				log.Debug("a handshake could not be given back", "error", err)
			}
		})
		return nil
	}
	header := &r.ctx.Response.Header
	header.Set(fasthttp.HeaderUpgrade, "websocket")
	header.Set(fasthttp.HeaderConnection, "Upgrade")
	return refuse(fasthttp.StatusUpgradeRequired,
		"Upgrade required. This path speaks WebSocket: connect with a Pusher client, and let a proxy in between pass the Upgrade and Connection headers on.")
}

// tooEarly answers a handshake with bytes behind it. What a client sends before it
// has the answer may be another request to whoever stands in between.
//
// RFC 6455 section 4.1: a client waits for the answer.
var tooEarly = []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\nConnection: close\r\n\r\n" +
	"Bad request. Wait for the answer before frames begin")

// sentMore reports whether bytes came with the request that are not part of it.
func sentMore(c net.Conn) bool {
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return true // it is broken
	}
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
	n, _ := c.Read(make([]byte, 1)) // what is buffered, or nothing
	return n > 0
}

// head is a copy of the request's head, as it came but for the absolute form of
// the target.
func (r *request) head() []byte {
	raw := bytes.TrimRight(r.ctx.Request.Header.RawHeaders(), "\r\n")
	head := append(make([]byte, 0, len(raw)+len(r.path)+len(r.rawQuery)+32), "GET "...)
	head = append(head, r.path...)
	if r.rawQuery != "" {
		head = append(append(head, '?'), r.rawQuery...)
	}
	head = append(head, " HTTP/1.1\r\n"...)
	return append(append(head, raw...), "\r\n\r\n"...)
}
