package loop

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/panjf2000/gnet/v2"
)

const (
	// unixAcceptors is how many goroutines accept connections on the Unix socket:
	// each waits until an event loop has taken its connection over.
	unixAcceptors = 8

	// acceptPause is how long one waits when there is no descriptor to accept with.
	acceptPause = 10 * time.Millisecond
)

// acceptUnix takes connections of Options.Unix in until it is closed. They are
// spread over the event loops in turn. gnet can listen on a Unix socket by itself,
// but only with one event loop: every further one would take the path from the one
// before.
func (e *Engine) acceptUnix() {
	for {
		c, err := e.options.Unix.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			err = e.enroll(c)
		}
		if err != nil && !e.stopping.Load() {
			e.refused.Add(1)
			e.options.Logger.Warn("a connection on the Unix socket is refused", "error", err)
			time.Sleep(acceptPause)
		}
	}
}

// enroll gives a connection to an event loop, which closes it.
func (e *Engine) enroll(c net.Conn) error {
	if b, ok := c.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = b.SetWriteBuffer(kernelSendBuffer) // a listening Unix socket has none to hand on
	}
	e.enrolling.Lock() // gnet's choice of an event loop is not for many
	taken, err := e.gnet.Register(gnet.NewNetConnContext(context.Background(), c))
	e.enrolling.Unlock()
	if err != nil {
		_ = c.Close()
		return err
	}
	select {
	case t := <-taken:
		return t.Err
	case <-e.ended:
		return ErrStopped
	}
}
