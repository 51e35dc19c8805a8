// Package echo is the smallest WebSocket server over package loop: it sends
// every message back. Tests of the transport and suites for RFC 6455 run against
// it; it is no part of the product.
package echo

import (
	"resound/frame"
	"resound/loop"
)

// MaxMessageBytes is the longest message that comes back.
const MaxMessageBytes = 16 << 20

// New returns an engine that echoes. Options may be given; NewHandler is set.
func New(o loop.Options) (*loop.Engine, error) {
	o.NewHandler = func(r *loop.Reactor) loop.Handler { return handler{r} }
	if o.MaxOutboundBytes == 0 {
		o.MaxOutboundBytes = 2 * MaxMessageBytes
	}
	return loop.New(o)
}

type handler struct{ reactor *loop.Reactor }

func (h handler) OnOpen(conn int32, _ *frame.Request) {
	h.reactor.SetReadLimit(conn, MaxMessageBytes)
}

func (h handler) OnMessage(conn int32, text bool, payload []byte) {
	if text {
		h.reactor.SendCopy(conn, frame.AppendText(nil, payload))
	} else {
		h.reactor.SendCopy(conn, frame.AppendBinary(nil, payload))
	}
}

func (handler) OnControl(int32)       {}
func (handler) OnDeadline(int32)      {}
func (handler) OnClosed(int32)        {}
func (handler) OnMail(mail []any) int { return len(mail) }
