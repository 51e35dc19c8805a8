package rest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/floor"
	"resound/bench/wire"
)

func TestMain(m *testing.M) {
	// fasthttp's own tickers outlive a server that was shut down, by design.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

var testApp = wire.App{ID: "1", Key: "key", Secret: "secret"}

// serveFloor runs the floor's HTTP server until the test ends.
func serveFloor(t *testing.T, secret string) Target {
	t.Helper()
	input, end := io.Pipe()
	output, write := io.Pipe()
	var served sync.WaitGroup
	served.Go(func() {
		if err := floor.ServeHTTP(input, write, secret, 0); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		_ = end.Close()
		served.Wait()
	})
	var port int
	if _, err := fmt.Fscanf(output, "{\"port\":%d}\n", &port); err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return Target{Address: address, Host: address, App: testApp}
}

func TestPublisher(t *testing.T) {
	data := [][]byte{wire.AppendStamped(nil, wire.Stamp{Sequence: 1}, 100)}
	deadline := time.Now().Add(10 * time.Second)
	t.Run("a signed trigger is accepted, alone and as a batch, on one connection", func(t *testing.T) {
		p := NewPublisher(serveFloor(t, testApp.Secret))
		defer p.Close()
		if err := p.Trigger("c", data, deadline); err != nil {
			t.Fatal(err)
		}
		first := p.conn
		if err := p.Trigger("c", append(data, data...), deadline); err != nil {
			t.Fatal(err)
		}
		if p.conn != first {
			t.Error("got a second connection, want the first kept")
		}
	})
	t.Run("a refused signature is an error with its status", func(t *testing.T) {
		p := NewPublisher(serveFloor(t, "another"))
		defer p.Close()
		if err := p.Trigger("c", data, deadline); err == nil || !strings.Contains(err.Error(), "status 401") {
			t.Errorf("got %v, want an error with status 401", err)
		}
	})
	t.Run("a server that closes behind each answer is dialed again", func(t *testing.T) {
		p := NewPublisher(serveOnce(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
		defer p.Close()
		for range 3 {
			if err := p.Trigger("c", data, deadline); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a pinned publisher stays on its connection and fails when that is closed", func(t *testing.T) {
		p := NewPublisher(serveFloor(t, testApp.Secret))
		defer p.Close()
		address, err := p.Pin(deadline)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(p.Trigger("c", data, deadline), p.KeepAlive(deadline)); err != nil {
			t.Fatal(err)
		}
		if got, want := p.conn.LocalAddr().String(), address.String(); got != want {
			t.Errorf("got a connection from %s, want the one from %s", got, want)
		}
		p.Close()
		if err := p.Trigger("c", data, deadline); !errors.Is(err, ErrPinned) {
			t.Errorf("got %v, want %v", err, ErrPinned)
		}
	})
	t.Run("a server that closes behind each answer cannot be pinned", func(t *testing.T) {
		p := NewPublisher(serveOnce(t, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"))
		if _, err := p.Pin(deadline); err == nil {
			t.Error("got no error, want one")
		}
	})
	t.Run("an answer cut short is an error", func(t *testing.T) {
		p := NewPublisher(serveOnce(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"))
		defer p.Close()
		if err := p.Trigger("c", data, deadline); err == nil {
			t.Error("got no error, want one")
		}
	})
	t.Run("a batch of more than ten is refused", func(t *testing.T) {
		if err := NewPublisher(Target{}).Trigger("c", make([][]byte, 11), deadline); err == nil {
			t.Error("got no error, want one")
		}
	})
}

// serveOnce answers one request on each connection with answer, then closes it.
func serveOnce(t *testing.T, answer string) Target {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return Target{Address: listener.Addr().String(), Host: "h", App: testApp}
}

func TestLoad(t *testing.T) {
	run := func(t *testing.T, secret string) LoadResult {
		t.Helper()
		l, err := NewLoad(serveFloor(t, secret), 4)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.Sign(100, time.Now())
		r, err := l.Run(100*time.Millisecond, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("every signed request is answered 200", func(t *testing.T) {
		r := run(t, testApp.Secret)
		if r.Requests < 4 || r.Failed != 0 || r.Latencies.TotalCount() != int64(r.Requests) || r.Elapsed < 100*time.Millisecond {
			t.Errorf("got %d requests %d failed %d timed in %v, want 4 or more, 0 failed, all timed", r.Requests, r.Failed, r.Latencies.TotalCount(), r.Elapsed)
		}
	})
	t.Run("refused requests are counted with their status", func(t *testing.T) {
		r := run(t, "another")
		if r.Failed != r.Requests || r.Status != 401 {
			t.Errorf("got %d of %d failed, status %d, want all with 401", r.Failed, r.Requests, r.Status)
		}
	})
	t.Run("a server that does not answer ends the run with an error", func(t *testing.T) {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		l, err := NewLoad(Target{Address: listener.Addr().String(), App: testApp}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		l.Sign(100, time.Now())
		if _, err := l.Run(time.Millisecond, time.Millisecond); err == nil {
			t.Error("got no error, want one")
		}
	})
}
