package rest

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/pusher"
)

// serveTCP serves the fixture's routes on a loopback port too.
func (f *fixture) serveTCP() (addr string, shutdown func()) {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := New(f.server.options)
	if err != nil {
		f.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	return ln.Addr().String(), sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			f.t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			f.t.Errorf("Serve: %v", err)
		}
	})
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestOversizedBodyIsAnsweredBeforeTheConnectionCloses(t *testing.T) {
	f := newFixture(t, nil)
	addr, shutdown := f.serveTCP()
	defer shutdown()
	conn := dial(t, addr)
	const size = 900_000
	go func() {
		// Much more than socket buffers hold: closing at once would reset the
		// connection while it is sent.
		_, _ = io.WriteString(conn, post(fmt.Sprintf("Content-Length: %d\r\n", size), strings.Repeat("x", size)))
	}()
	in := bufio.NewReader(conn)
	readResponse(t, in, "POST").check(t, 413, "Payload too large.")
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("behind the response came %q, %v, want the end", rest, err)
	}
}

func TestHalfABodyIsNoEvent(t *testing.T) {
	f := newFixture(t, nil)
	addr, shutdown := f.serveTCP()
	defer shutdown()
	conn := dial(t, addr).(*net.TCPConn)
	if _, err := io.WriteString(conn, post(fmt.Sprintf("Content-Length: %d\r\n", len(wireBody)), wireBody[:20])); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	readResponse(t, in, "POST").check(t, 400, "Bad request.")
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("behind the response came %q, %v, want the end", rest, err)
	}
	f.checkEvents()
}

func TestSlowRequestIsTimedOut(t *testing.T) {
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.ReadTimeout = 20 * time.Millisecond })
	addr, shutdown := f.serveTCP()
	defer shutdown()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, "POST "+eventsPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nslow"); err != nil {
		t.Fatal(err)
	}
	readResponse(t, bufio.NewReader(conn), "POST").check(t, 408, "Request timeout. The whole request must arrive within 20ms.")
}

func TestConnectionsAboveTheLimitGet503(t *testing.T) {
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.MaxConnections = 1 })
	addr, shutdown := f.serveTCP()
	defer shutdown()
	const up = "GET /up HTTP/1.1\r\nHost: x\r\n\r\n"
	first := dial(t, addr)
	if _, err := io.WriteString(first, up); err != nil {
		t.Fatal(err)
	}
	readResponse(t, bufio.NewReader(first), "GET").check(t, 200, `{"health":"OK"}`)
	// It answers at once, whatever is asked.
	readResponse(t, bufio.NewReader(dial(t, addr)), "GET").check(t, 503, "The connection cannot be served")
	if _, err := io.WriteString(first, up); err != nil {
		t.Fatal(err)
	}
	readResponse(t, bufio.NewReader(first), "GET").check(t, 200, `{"health":"OK"}`)
}

func TestShutdown(t *testing.T) {
	f := newFixture(t, nil)
	entered, leave := make(chan struct{}), make(chan struct{})
	f.server.options.Ready = func() Readiness {
		close(entered)
		<-leave
		return Readiness{}
	}
	addr, shutdown := f.serveTCP()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	done := make(chan struct{})
	go func() { shutdown(); close(done) }()
	for { // Until the listener is closed: then Shutdown is under way.
		c, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case <-done:
		t.Fatal("Shutdown returned before the request in flight ended")
	default:
	}
	close(leave)
	in := bufio.NewReader(conn)
	got := readResponse(t, in, "GET")
	got.check(t, 200, `{"ready":true}`)
	if !got.closed {
		t.Error("the last response does not announce the end of the connection")
	}
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Errorf("behind the response came %q, %v, want the end", rest, err)
	}
	<-done
}

func TestPanicCostsOneConnection(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	f.node.panics = true
	got := f.call(eventsPath, wireBody)
	got.check(t, 500, "Internal server error.")
	if !got.closed {
		t.Error("the connection stays open")
	}
	f.node.panics = false
	f.call(eventsPath, wireBody).check(t, 200, `{}`)
	if s := f.server.Stats(); s.Panics != 1 || s.Responses[5] != 1 || s.Responses[2] != 1 {
		t.Errorf("stats %+v, want one panic, one 5xx, one 2xx", s)
	}
	if text := log.String(); !strings.Contains(text, "the node broke") || !strings.Contains(text, "level=ERROR") {
		t.Errorf("the log has %q, want the panic at error", text)
	}
	if strings.Contains(log.String(), "auth_signature") {
		t.Error("the log has a signature")
	}
}

func TestSignatureFailureIsLoggedAtDebug(t *testing.T) {
	var log bytes.Buffer
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	f.send("POST", eventsPath+"?auth_key=other&auth_signature=abc", wireBody).check(t, 401, "Authentication signature invalid.")
	text := log.String()
	if !strings.Contains(text, "level=DEBUG") || !strings.Contains(text, "auth_key is not the key") {
		t.Errorf("the log has %q, want the reason at debug", text)
	}
	if strings.Contains(text, "abc") || strings.Contains(text, appSecret) {
		t.Errorf("the log shows a credential: %q", text)
	}
}

// A pooled request must not carry anything into the next one.
func TestRequestsDoNotShareState(t *testing.T) {
	f := newFixture(t, nil)
	f.subscribe("a", 1)
	asking := `{"name":"e","channels":[` + list(40) + `],"data":"x","info":"subscription_count"}`
	for range 3 {
		if got := f.call(eventsPath, asking); got.status != 200 || len(got.body) < 40*8 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		f.call(eventsPath, `{"name":"e","channel":"a","data":"x"}`).check(t, 200, `{}`)
		f.call(eventsPath, `{"name":"e","data":"x"}`).check(t, 422, `{"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`)
		f.call(batchPath, `{"batch":[{"name":"e","channel":"a","data":"x","info":"subscription_count"}]}`).check(t, 200, `{"batch":[{"subscription_count":1}]}`)
		f.call(appPath+"/channels/a?info=subscription_count", "").check(t, 200, `{"occupied":true,"subscription_count":1}`)
		f.call(appPath+"/channels/a", "").check(t, 200, `{"occupied":true}`)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	t.Run("clients", func(t *testing.T) {
		for g := range 8 {
			t.Run(fmt.Sprint(g), func(t *testing.T) {
				t.Parallel()
				own := *f
				own.t = t
				body := fmt.Sprintf(`{"name":"e","channels":["a%d","b%d"],"data":"%d","info":"user_count"}`, g, g, g)
				for range 20 {
					own.call(eventsPath, body).check(t, 200, fmt.Sprintf(`{"channels":{"a%d":{},"b%d":{}}}`, g, g))
				}
			})
		}
	})
	got := map[string]int{}
	for _, line := range f.events() {
		got[line]++
	}
	for g := range 8 {
		for _, c := range []string{"a", "b"} {
			line := fmt.Sprintf(`%s%d "e" "%d"`, c, g, g)
			if got[line] != 20 {
				t.Errorf("%q was triggered %d times, want 20", line, got[line])
			}
		}
	}
}
