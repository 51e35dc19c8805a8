package loop_test

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"resound/frame"
	"resound/loop"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 20 * time.Second

// script is a handler made of functions, each of which may be nil. Connections
// are named by the path of their handshake. Owned by the reactor.
type script struct {
	*loop.Reactor
	conns map[string]int32
	names map[int32]string

	onOpen     func(name string)
	onMessage  func(name string, payload []byte)
	onControl  func(name string)
	onDeadline func(name string)
	onClosed   func(name string)
}

// broadcast is mail that sends a frame to every connection, pace of them in each
// call of OnMail.
type broadcast struct {
	frame []byte
	pace  int32
	next  int32
}

// PostedBytes makes its frame count.
func (b *broadcast) PostedBytes() int { return len(b.frame) }

// unfinished is mail that is not done with until it is told.
type unfinished struct{ until atomic.Bool }

// startScript runs an engine with one reactor, whose handler setup completes.
func startScript(t *testing.T, o loop.Options, setup func(s *script)) (*loop.Engine, *script, string) {
	t.Helper()
	s := &script{conns: make(map[string]int32), names: make(map[int32]string)}
	o.Reactors = 1
	o.NewHandler = func(r *loop.Reactor) loop.Handler {
		s.Reactor = r
		if setup != nil {
			setup(s)
		}
		return s
	}
	e, err := loop.New(local(o))
	return e, s, start(t, e, err)
}

func (s *script) OnOpen(conn int32, req *frame.Request) {
	name := string(req.Path[1:])
	s.conns[name], s.names[conn] = conn, name
	s.SetReadLimit(conn, 1<<20)
	if s.onOpen != nil {
		s.onOpen(name)
	}
}

func (s *script) OnMessage(conn int32, _ bool, payload []byte) {
	if s.onMessage != nil {
		s.onMessage(s.names[conn], payload)
		return
	}
	s.SendCopy(conn, frame.AppendText(nil, payload))
}

func (s *script) OnControl(conn int32) {
	if s.onControl != nil {
		s.onControl(s.names[conn])
	}
}

func (s *script) OnDeadline(conn int32) {
	if s.onDeadline != nil {
		s.onDeadline(s.names[conn])
	}
}

func (s *script) OnClosed(conn int32) {
	name := s.names[conn]
	delete(s.conns, name)
	delete(s.names, conn)
	if s.onClosed != nil {
		s.onClosed(name)
	}
}

func (s *script) OnMail(batch []any) (finished int) {
	switch item := batch[0].(type) {
	case func():
		item()
	case *unfinished:
		if item.until.Load() {
			return 1
		}
		return 0
	case *broadcast:
		for end := item.next + item.pace; item.next < end; item.next++ {
			if int(item.next) >= len(s.conns) {
				return 1
			}
			s.Send(item.next, item.frame)
		}
		return 0
	}
	return 1
}

// do runs f on the reactor and waits for it. What was posted before is over then.
func (s *script) do(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	s.Post(func() {
		defer close(done)
		f()
	})
	wait(t, done, "the reactor")
}

// hold keeps the reactor busy until release is called. What is posted meanwhile
// is handled in one turn.
func (s *script) hold(t *testing.T) (release func()) {
	t.Helper()
	held, gate := make(chan struct{}), make(chan struct{})
	s.Post(func() {
		close(held)
		<-gate
	})
	wait(t, held, "the reactor")
	return func() { close(gate) }
}

func wait[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return got
}

// clock is a time that passes only when it is told to.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(c.elapsed.Load()))
}

// sweepAt sets the time since the start and lets the reactor sweep.
func (c *clock) sweepAt(t *testing.T, d time.Duration, e *loop.Engine, s *script) {
	t.Helper()
	c.elapsed.Store(int64(d))
	e.Tick()
	s.do(t, func() {})
}

func stopped(o loop.Options) (loop.Options, *clock) {
	c := &clock{}
	o.Now, o.TickInterval = c.now, -1
	return o, c
}

// open completes the handshake of a connection called name.
func open(t *testing.T, addr, name string) net.Conn {
	t.Helper()
	c := connect(t, addr)
	upgrade(t, c, name)
	return c
}

func upgrade(t *testing.T, c net.Conn, name string) {
	t.Helper()
	if _, err := io.WriteString(c, strings.Replace(handshake, "GET /", "GET /"+name, 1)); err != nil {
		t.Fatal(err)
	}
	// Byte by byte, so that no frame behind the answer is read with it.
	var answer []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(answer), "\r\n\r\n") {
		if _, err := c.Read(one); err != nil {
			t.Fatalf("%s: %v after %q", name, err, answer)
		}
		answer = append(answer, one[0])
	}
	if want := "HTTP/1.1 101 "; !strings.HasPrefix(string(answer), want) {
		t.Fatalf("%s: got %q, want %q", name, answer, want)
	}
}

func send(t *testing.T, c net.Conn, frame []byte) {
	t.Helper()
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// receive reads a frame and wants it to be what the server writes for payload.
func receive(t *testing.T, c net.Conn, op ws.OpCode, payload string) {
	t.Helper()
	got, err := readWhole(c)
	if err != nil {
		t.Fatalf("want %x %q: %v", op, payload, err)
	}
	if got.Header.OpCode != op || string(got.Payload) != payload {
		t.Fatalf("got %x %q, want %x %q", got.Header.OpCode, got.Payload, op, payload)
	}
}

func receiveClose(t *testing.T, c net.Conn, code int) {
	t.Helper()
	got, err := readWhole(c)
	if err != nil {
		t.Fatalf("want close %d: %v", code, err)
	}
	gotCode, reason := ws.ParseCloseFrameData(got.Payload)
	if got.Header.OpCode != ws.OpClose || int(gotCode) != code {
		t.Fatalf("got %x with %d %q, want close %d", got.Header.OpCode, gotCode, reason, code)
	}
}

// receiveEnd wants the server to have ended its side, and nothing before that.
func receiveEnd(t *testing.T, c net.Conn) {
	t.Helper()
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Fatalf("got %q, %v, want the end", rest, err)
	}
}

// echoes checks that a connection is served.
func echoes(t *testing.T, c net.Conn) {
	t.Helper()
	send(t, c, masked(0x1, true, "still there"))
	receive(t, c, ws.OpText, "still there")
}

// readWhole reads a frame of a server that is trusted with its length.
func readWhole(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
