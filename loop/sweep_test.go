package loop_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"resound/frame"
	"resound/loop"
)

func TestHandshakeTimeout(t *testing.T) {
	o, c := stopped(loop.Options{HandshakeTimeout: 3 * time.Second})
	e, s, addr := startScript(t, o, nil)
	silent, partial := connect(t, addr), connect(t, addr)
	send(t, partial, []byte(handshake[:20]))
	served := open(t, addr, "served") // accepted after the others

	c.sweepAt(t, 2*time.Second, e, s)
	if got := e.Stats(); got.Rejected != 0 || got.Sockets != 3 {
		t.Fatalf("before the timeout: %+v", got)
	}
	c.sweepAt(t, 3*time.Second, e, s)
	for _, conn := range []io.Reader{silent, partial} {
		got, err := io.ReadAll(conn)
		if want := string(frame.AppendRejection(nil, frame.RejectTimeout)); err != nil || string(got) != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if got := e.Stats(); got.Rejected != 2 || got.Connections != 1 {
		t.Errorf("after the timeout: %+v", got)
	}
	echoes(t, served)
}

func TestConnectionsThatDoNotEndAreDestroyed(t *testing.T) {
	o, c := stopped(loop.Options{HandshakeTimeout: 3 * time.Second})
	e, s, addr := startScript(t, o, nil)
	closed, rejected := open(t, addr, "closed"), connect(t, addr)
	send(t, rejected, []byte(strings.Replace(handshake, "Version: 13", "Version: 8", 1)))
	if got := readUntil(t, rejected, "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 426 ") {
		t.Fatalf("got %q, want 426", got)
	}
	s.do(t, func() { s.Close(s.conns["closed"], 4001, "go") })
	receiveClose(t, closed, 4001)
	receiveEnd(t, closed) // but it keeps its own side open
	send(t, closed, masked(0x1, true, "too late"))

	for _, row := range []struct {
		name    string
		at      time.Duration
		sockets int64
	}{
		{"at once", 0, 2},
		{"just before they may no longer linger", 4 * time.Second, 2},
		{"when they may not", 5 * time.Second, 0},
		{"and once more", 20 * time.Second, 0},
	} {
		c.sweepAt(t, row.at, e, s)
		if got := e.Stats(); got.Sockets != row.sockets || got.Connections != 0 || got.Messages != 0 || got.Panics != 0 {
			t.Errorf("%s: got %+v, want %d sockets", row.name, got, row.sockets)
		}
	}
}

func TestDeadlines(t *testing.T) {
	o, c := stopped(loop.Options{})
	var got []string
	e, s, addr := startScript(t, o, func(s *script) {
		s.onDeadline = func(name string) { got = append(got, name) }
	})
	for _, name := range []string{"a", "b", "never"} {
		open(t, addr, name)
	}
	s.do(t, func() {
		s.SetDeadline(s.conns["a"], 10)
		s.SetDeadline(s.conns["b"], 10)
		s.SetDeadline(s.conns["b"], 12) // replaces it
	})
	for _, row := range []struct {
		at   time.Duration
		want string
	}{
		{9 * time.Second, ""},
		{10*time.Second - 1, ""},
		{10 * time.Second, "a"},
		{11 * time.Second, ""}, // a deadline is over once it was met
		{15 * time.Second, "b"},
		{time.Hour, ""},
	} {
		c.sweepAt(t, row.at, e, s)
		s.do(t, func() {
			if got := strings.Join(got, " "); got != row.want {
				t.Errorf("at %v: got deadlines of %q, want %q", row.at, got, row.want)
			}
			got = nil
			if want := uint32(row.at / time.Second); s.Now() != want {
				t.Errorf("at %v: now is %d, want %d", row.at, s.Now(), want)
			}
		})
	}
}

// TestDeadlineOfAClosedConnection holds a handler that goes on with a connection
// it has just closed against that connection's end.
func TestDeadlineOfAClosedConnection(t *testing.T) {
	o, c := stopped(loop.Options{})
	e, s, addr := startScript(t, o, func(s *script) {
		s.onDeadline = func(name string) { t.Errorf("a deadline of %s was met though it was closed", name) }
	})
	client := open(t, addr, "a")
	s.do(t, func() {
		conn := s.conns["a"]
		s.SetDeadline(conn, 3)
		s.Close(conn, 4001, "go")
		s.SetDeadline(conn, 1000)
		s.Send(conn, frame.AppendText(nil, []byte("late")))
		s.Close(conn, 4002, "again")
	})
	receiveClose(t, client, 4001)
	receiveEnd(t, client)
	c.sweepAt(t, 5*time.Second, e, s)
	if got := e.Stats(); got.Sockets != 0 || got.Closes[4001] != 1 || got.Closes[4002] != 0 {
		t.Errorf("got %+v, want no socket and one close", got)
	}
	s.do(t, func() { s.SetDeadline(0, 1) }) // nobody has handle 0 now
	c.sweepAt(t, 6*time.Second, e, s)
	if got := e.Stats(); got.Panics != 0 || got.Rejected != 0 {
		t.Errorf("a deadline of nobody did something: %+v", got)
	}
}

func TestHandlesAreReused(t *testing.T) {
	o, c := stopped(loop.Options{})
	e, s, addr := startScript(t, o, nil)
	for i := range 5 {
		client := open(t, addr, "a")
		s.do(t, func() {
			if got := s.conns["a"]; got != 0 {
				t.Errorf("connection %d got handle %d, want 0 again", i, got)
			}
			s.SetDeadline(0, 1000) // must not outlive the connection
			s.Close(0, 4001, "go")
		})
		receiveClose(t, client, 4001)
		c.sweepAt(t, time.Duration(i+1)*10*time.Second, e, s)
	}
	client := open(t, addr, "a")
	c.sweepAt(t, time.Hour, e, s)
	echoes(t, client)
}

func TestPingsAreAnswered(t *testing.T) {
	var controls []string
	_, s, addr := startScript(t, loop.Options{}, func(s *script) {
		s.onControl = func(name string) { controls = append(controls, name) }
	})
	client := open(t, addr, "a")
	send(t, client, masked(0x9, true, "are you there"))
	receive(t, client, ws.OpPong, "are you there")
	send(t, client, masked(0xa, true, "unasked"))
	echoes(t, client)
	s.do(t, func() {
		if len(controls) != 2 {
			t.Errorf("got %d control frames, want 2", len(controls))
		}
	})
}

func TestDrain(t *testing.T) {
	o := loop.Options{Reactors: 2, NewHandler: func(r *loop.Reactor) loop.Handler {
		return &script{Reactor: r, conns: make(map[string]int32), names: make(map[int32]string)}
	}}
	e, err := loop.New(local(o))
	addr := start(t, e, err)
	late := connect(t, addr) // will ask for its handshake during the drain
	var clients []io.ReadWriteCloser
	for range 50 {
		clients = append(clients, open(t, addr, "a"))
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		e.Drain(4200, "come back", 200*time.Millisecond)
	}()
	for i, c := range clients {
		got, err := readWhole(c)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		code, reason := ws.ParseCloseFrameData(got.Payload)
		if got.Header.OpCode != ws.OpClose || code != 4200 || reason != "come back" {
			t.Errorf("client %d: got %x with %d %q, want close 4200", i, got.Header.OpCode, code, reason)
		}
		if i == 0 {
			send(t, late, []byte(handshake))
			if got := readUntil(t, late, "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
				t.Errorf("a late handshake got %q, want 503", got)
			}
			_ = late.Close()
		}
		_ = c.Close()
	}
	wait(t, drained, "the drain")
	if got := e.Stats(); got.Connections != 0 || got.Sockets != 0 || got.Closes[4200] != 50 {
		t.Errorf("got %+v, want no connection and 50 closed with 4200", got)
	}
}
