package rest

import (
	"io"
	"net"
	"time"
)

const (
	// lingerBytes and lingerTimeout bound what is read of a refused request
	// before its connection is closed.
	lingerBytes   = 1 << 20
	lingerTimeout = 2 * time.Second
)

// lingeringListener accepts connections that can close slowly.
type lingeringListener struct{ net.Listener }

func (l lingeringListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lingeringConn{Conn: c}, nil
}

// lingeringConn reads on for a while before it closes when linger is set. Closing
// with bytes unread makes the kernel reset the connection, and the client never
// sees the response that says why. Owned by the goroutine that serves it.
type lingeringConn struct {
	net.Conn
	linger bool
}

func (c *lingeringConn) Close() error {
	if c.linger {
		c.drain()
	}
	return c.Conn.Close()
}

func (c *lingeringConn) drain() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		if half.CloseWrite() != nil {
			return
		}
	}
	if c.SetReadDeadline(time.Now().Add(lingerTimeout)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}
