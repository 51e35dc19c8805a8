package loop_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"resound/loop"
	"resound/loop/echo"
)

// TestGiveWayLosesNoConnection hands a port from engine to engine while clients
// connect as fast as they can: each one must be served.
func TestGiveWayLosesNoConnection(t *testing.T) {
	first, err := echo.New(local(loop.Options{Reactors: 2}))
	if err != nil {
		t.Fatal(err)
	}
	addr := first.Addr().String()
	ended := run(t, first)

	var served, failed atomic.Int64
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := shake(addr); err != nil {
				failed.Add(1)
				t.Errorf("after %d: %v", served.Load(), err)
				return
			}
			served.Add(1)
		}
	}()
	more := func() {
		for want := served.Load() + 200; served.Load() < want && failed.Load() == 0; {
			time.Sleep(time.Millisecond)
		}
	}
	more()
	for _, reactors := range []int{2, 1, 3} {
		next, err := echo.New(loop.Options{Addr: addr, Reactors: reactors, ReusePort: true, MinListeners: first.Listeners()})
		if err != nil {
			t.Fatal(err)
		}
		if next.Listeners() < first.Listeners() {
			t.Fatalf("%d sockets follow %d: when the first of them have left, no place is known to be a successor's", next.Listeners(), first.Listeners())
		}
		// In one process the sockets of two engines look alike: note which are the
		// first one's before the next one listens too.
		if err := first.FindWay(); err != nil {
			t.Fatal(err)
		}
		if err := first.Keep(); err != nil {
			t.Fatal(err)
		}
		nextEnded := run(t, next)
		for !next.ListeningBeside(first) {
			time.Sleep(time.Millisecond)
		}
		more()
		if early := next.Stats().Opened; early > 0 {
			t.Errorf("%d connections went to an engine before it was given way", early)
		}
		if err := first.GiveWay(next.Listeners()); err != nil {
			t.Fatal(err)
		}
		opened := first.Stats().Opened
		more()
		if late := first.Stats().Opened - opened; late > 20 {
			t.Errorf("%d connections still went to the engine that gave way", late)
		}
		if err := first.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		<-ended
		if err := next.TakeOver(); err != nil {
			t.Fatal(err)
		}
		more()
		first, ended = next, nextEnded
	}
	close(stop)
	<-stopped
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-ended
	t.Logf("%d connections", served.Load())
}

// run runs an engine that the test stops.
func run(t *testing.T, e *loop.Engine) (ended <-chan error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- e.Run() }()
	select {
	case <-e.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return done
}

// shake connects, completes a handshake and goes.
func shake(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, handshake); err != nil {
		return err
	}
	buf := make([]byte, 1024)
	n, err := c.Read(buf)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(buf[:n]), "HTTP/1.1 101 ") {
		return io.ErrUnexpectedEOF
	}
	return c.(*net.TCPConn).SetLinger(0) // leave no port in TIME_WAIT
}
