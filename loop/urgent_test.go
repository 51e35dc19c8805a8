package loop_test

import (
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resound/frame"
	"resound/loop"
	"resound/loop/echo"
)

// stuckHandler never finishes its mail, a piece at a time, as a reactor does that
// is given more than it can send.
type stuckHandler struct {
	reactor *loop.Reactor
	turns   atomic.Int64
	told    chan struct{}
}

func (h *stuckHandler) OnOpen(conn int32, _ *frame.Request) { h.reactor.SetDeadline(conn, 5) }
func (h *stuckHandler) OnMessage(int32, bool, []byte)       {}
func (h *stuckHandler) OnControl(int32)                     {}
func (h *stuckHandler) OnDeadline(int32)                    { h.told <- struct{}{} }
func (h *stuckHandler) OnClosed(int32)                      {}

func (h *stuckHandler) OnMail([]any) int {
	h.turns.Add(1)
	return 0
}

// TestSweepsAndDrainsDoNotWaitForMail: deadlines are kept and a drain makes
// progress while the mailbox is full of work that does not end.
func TestSweepsAndDrainsDoNotWaitForMail(t *testing.T) {
	h := &stuckHandler{told: make(chan struct{}, 1)}
	var clock atomic.Int64
	start0 := time.Unix(1_700_000_000, 0)
	e, err := loop.New(local(loop.Options{
		Reactors: 1, TickInterval: -1,
		Now:        func() time.Time { return start0.Add(time.Duration(clock.Load())) },
		NewHandler: func(r *loop.Reactor) loop.Handler { h.reactor = r; return h },
	}))
	addr := start(t, e, err)
	c := connect(t, addr)
	if _, err := io.WriteString(c, handshake); err != nil {
		t.Fatal(err)
	}
	readUntil(t, c, "\r\n\r\n")
	e.Reactors()[0].Post("work without end")
	for h.turns.Load() < 3 { // it is under way
		time.Sleep(time.Millisecond)
	}
	clock.Store(int64(6 * time.Second))
	e.Tick()
	wait(t, h.told, "the deadline")

	drained := make(chan struct{})
	go func() {
		e.Drain(4200, "bye", 0)
		close(drained)
	}()
	if got := readUntil(t, c, "bye"); !strings.Contains(got, "bye") {
		t.Errorf("got %q, want a close frame", got)
	}
	_ = c.Close()
	wait(t, drained, "the drain")
}

// TestOneSegmentFollowsThePrefix: other paths are HTTP's business, 404 for example.
func TestOneSegmentFollowsThePrefix(t *testing.T) {
	handed := make(chan string, 10)
	e, err := loop.New(local(loop.Options{
		Reactors: 1, WebSocketPrefix: "/app/",
		NewHandler: func(r *loop.Reactor) loop.Handler { return &stuckHandler{reactor: r, told: make(chan struct{}, 1)} },
		HandOver: func(c *loop.HTTPConn) bool {
			b := make([]byte, 200)
			n, _ := c.Read(b)
			line, _, _ := strings.Cut(string(b[:n]), "\r\n")
			handed <- line
			return false
		},
	}))
	addr := start(t, e, err)
	for _, path := range []string{"/app/", "/app/?protocol=7", "/app/foo/bar", "/app//key", "/app/key/", "/other"} {
		c := connect(t, addr)
		if _, err := io.WriteString(c, strings.Replace(handshake, "GET / ", "GET "+path+" ", 1)); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-handed:
			if want := "GET " + path + " HTTP/1.1"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s was not handed over", path)
		}
	}
	c := connect(t, addr)
	if _, err := io.WriteString(c, strings.Replace(handshake, "GET / ", "GET /app/key?a=b/c ", 1)); err != nil {
		t.Fatal(err)
	}
	if got := readUntil(t, c, "101 "); !strings.Contains(got, "101 ") {
		t.Errorf("got %q", got)
	}
}

// TestSweepThatComesDueInATurnIsNotLost: one that is asked for behind the turn's own
// sweep, and before its mail is taken, has a turn of its own. Lost, it would be the
// last one of an idle node.
func TestSweepThatComesDueInATurnIsNotLost(t *testing.T) {
	o, _ := stopped(loop.Options{})
	var e *loop.Engine
	asked := make(chan struct{})
	e, s, addr := startScript(t, o, func(s *script) {
		s.onClosed = func(string) { // called by the drain, which stands between the two
			e.Tick()
			close(asked)
		}
	})
	client := open(t, addr, "a")
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		e.Drain(4200, "bye", 0)
	}()
	wait(t, asked, "the drain")
	for deadline := time.Now().Add(patience); s.Pending() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sweep is due and nobody rings for it")
		}
	}
	_ = client.Close()
	wait(t, drained, "the drain's end")
}

// TestPeerThatIsGoneIsNotReturned: who resets its connection while it is on its way
// back to its reactor is told of by an error, not by a panic in the event loop's log.
func TestPeerThatIsGoneIsNotReturned(t *testing.T) {
	handed := make(chan *loop.HTTPConn, 1)
	var log lockedLog
	e, err := echo.New(local(loop.Options{
		Reactors: 1, WebSocketPrefix: "/app/", Logger: slog.New(slog.NewTextHandler(&log, nil)),
		HandOver: func(c *loop.HTTPConn) bool {
			handed <- c
			return true
		},
	}))
	addr := start(t, e, err)
	conn := connect(t, addr)
	send(t, conn, []byte("GET /up HTTP/1.1\r\n\r\n"))
	client := tcp(conn)
	c := wait(t, handed, "the hand-over")
	defer c.Close()
	if err := client.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	for buf := make([]byte, 100); ; { // until the reset has arrived
		if _, err := c.Read(buf); err != nil {
			break
		}
	}
	if err := c.Return([]byte(handshake)); err == nil {
		t.Error("a connection without a peer was returned")
	}
	if text := log.String(); strings.Contains(text, "panic") {
		t.Errorf("the log has %q", text)
	}
}

// lockedLog collects what is logged. Safe for concurrent use.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
