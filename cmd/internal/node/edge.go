package node

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"resound/cmd/internal/config"
	"resound/cmd/internal/socketfile"
	"resound/loop"
	"resound/loop/edge"
)

// edgeOf says whom to believe about a client's address, and what one may take.
func edgeOf(s *config.Server) loop.Edge {
	return loop.Edge{
		Trusted:       edge.NewTrusted(s.TrustedProxies),
		ProxyProtocol: proxyProtocols[s.ProxyProtocol],
		Limits:        edge.Limits{Connections: s.MaxConnectionsPerAddress, HandshakesPerSecond: s.MaxHandshakesPerAddress},
	}
}

var proxyProtocols = map[config.ProxyProtocol]loop.ProxyProtocol{
	config.ProxyProtocolRequired: loop.ProxyRequired,
	config.ProxyProtocolOptional: loop.ProxyOptional,
}

// clientOf tells who sent a request. It is rest.Options.Client.
func clientOf(via net.Conn, forwardedFor [][]byte) (client netip.AddrPort, direct bool) {
	return via.(*loop.HTTPConn).Client(forwardedFor) // the listener accepts no others
}

// listenUnix makes the configured Unix socket, nil for none. That of a process which
// succeeds another waits for publishUnix.
func listenUnix(s *config.Server, succeed bool) (*socketfile.Listener, error) {
	if s.UnixSocket == "" {
		return nil, nil
	}
	mode, err := strconv.ParseUint(s.UnixSocketMode, 8, 32)
	if err != nil {
		return nil, fmt.Errorf("unix_socket_mode: %w", err)
	}
	l, err := socketfile.Listen(s.UnixSocket, os.FileMode(mode), succeed)
	if err != nil {
		return nil, fmt.Errorf("unix_socket %s: %w", s.UnixSocket, err)
	}
	return l, nil
}

// unixOrNil makes a nil listener a nil interface.
func unixOrNil(l *socketfile.Listener) net.Listener {
	if l == nil {
		return nil
	}
	return l
}

// publishUnix puts the Unix socket in the place of the predecessor's, which goes on
// with those who have connected there.
func (n *Node) publishUnix() {
	if n.unix == nil {
		return
	}
	select {
	case <-n.life.Done():
		return
	case <-n.Ready():
	}
	if err := n.unix.Publish(); err != nil {
		n.log.Error("unix_socket", "path", n.unix.Path, "error", err)
	}
}

// UnixSocket is the path of the node's Unix socket, empty when it has none.
func (n *Node) UnixSocket() string {
	if n.unix == nil {
		return ""
	}
	return n.unix.Path
}
