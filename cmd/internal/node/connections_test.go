package node

import (
	"net/netip"
	"testing"
	"time"

	"resound/loop"
	"resound/pusher"
)

func TestConnectionRow(t *testing.T) {
	remote := netip.MustParseAddrPort("192.0.2.1:1234")
	session := pusher.Session{App: &pusher.App{ID: "1"}, UserID: "ada", Subscriptions: 3}
	row := connRow{session, loop.ConnState{Remote: remote, TCP: true, OutboundBytes: 5, UnsentBytes: 6, RTT: 1500 * time.Microsecond, Idle: 2 * time.Second}, 9}
	c := row.connection()
	if c.App != "1" || c.User != "ada" || c.Remote != remote.String() || c.AgeSeconds != 9 || c.QueuedBytes != 5 || c.UnsentBytes != 6 ||
		*c.RTT != 1.5 || *c.IdleSeconds != 2 || c.Transport != "websocket" || c.Subscriptions != 3 {
		t.Errorf("got %+v", c)
	}
	row.state.TCP = false
	if c := row.connection(); c.Transport != "websocket" || c.RTT != nil || c.IdleSeconds != nil || c.Remote != remote.String() {
		t.Errorf("on a Unix socket: %+v", c)
	}
	row.state = loop.ConnState{Virtual: true}
	if c := row.connection(); c.Transport != "http" || c.RTT != nil || c.IdleSeconds != nil || c.Remote != "" {
		t.Errorf("without a socket: %+v", c)
	}
}
