package node

import (
	"net"

	"resound/frame"
	"resound/loop"
	"resound/pusher/rest"
)

// openFallback opens a connection without a socket on the reactor that handed the
// session's first request over. It is rest.FallbackOptions.Open.
func openFallback(via net.Conn, h rest.FallbackHandshake, s rest.FallbackStream) rest.FallbackConn {
	c := via.(*loop.HTTPConn) // the listener accepts no others
	return c.Reactor().PostOpen(frame.Request{
		Path:      h.Path,
		Query:     h.Query,
		Host:      h.Host,
		Origin:    h.Origin,
		UserAgent: h.UserAgent,
	}, h.Client, s)
}

// returnUpgrade gives a connection back to the event loops. It is
// rest.Options.Upgrade.
func returnUpgrade(via net.Conn, head []byte) error {
	return via.(*loop.HTTPConn).Return(head) // the listener accepts no others
}
