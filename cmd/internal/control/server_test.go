package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"resound/cmd/internal/monitor"
)

func TestClientAndServer(t *testing.T) {
	n := newFakeNode()
	n.connections = func(_ context.Context, yield func(*Connection) error) error {
		for i := range 3 {
			if err := yield(&Connection{SocketID: fmt.Sprint(i), Transport: "http"}); err != nil {
				return err
			}
		}
		return nil
	}
	_, c := serve(t, n)
	ctx := t.Context()
	if s, err := c.Status(ctx); err != nil || s.Version != "fake" || s.Closes[0].Reason != "why" ||
		len(s.Nodes) != 2 || s.Nodes[0].Figures.Address != "ws1:8080" || s.Nodes[1].Figures != nil {
		t.Errorf("status: %+v, %v", s, err)
	}
	ids := ""
	err := c.Connections(ctx, ConnectionQuery{}, func(x *Connection) error {
		ids += x.SocketID
		return nil
	})
	if err != nil || ids != "012" {
		t.Errorf("connections: %q, %v", ids, err)
	}
	names := ""
	err = c.Channels(ctx, "1", "presence-", func(x *Channel) error {
		names += x.App + x.Name + " "
		return nil
	})
	if err != nil || names != "1presence-news 1presence-x " {
		t.Errorf("channels: %q, %v", names, err)
	}
	if got, err := c.Credentials(ctx, "7"); err != nil || got.App != "7" || got.Secret != "s" {
		t.Errorf("credentials: %+v, %v", got, err)
	}
	if got, err := c.Reload(ctx); err != nil || fmt.Sprint(got.Difference.Added, got.Warnings) != "[2] [careful]" {
		t.Errorf("reload: %+v, %v", got, err)
	}
	n.reloadErr = errors.New("port: 99999 is not a number")
	if _, err := c.Reload(ctx); err == nil || err.Error() != n.reloadErr.Error() {
		t.Errorf("refused reload: %v", err)
	}
	if err := c.Connections(ctx, ConnectionQuery{App: "unknown"}, nil); err == nil || err.Error() != ErrUnknownApp.Error() {
		t.Errorf("unknown app: %v", err)
	}
	if err := c.Tail(ctx, TailQuery{App: "too many"}, nil, nil); err == nil || err.Error() != ErrTooMany.Error() {
		t.Errorf("too many watchers: %v", err)
	}
	body, err := c.do(ctx, http.MethodGet, "/metrics", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if text, err := io.ReadAll(body); err != nil || string(text) != "resound_up 1\n" {
		t.Errorf("metrics: %q, %v", text, err)
	}
}

func TestProfilesAreServedOnRequestOnly(t *testing.T) {
	_, c := serve(t, newFakeNode())
	if _, err := c.do(t.Context(), http.MethodGet, "/debug/pprof/cmdline", nil, nil); err == nil {
		t.Error("profiles are served though nobody asked for it")
	}
	l, err := Listen(filepath.Join(t.TempDir(), "c.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Options{Node: newFakeNode(), Profiling: true})
	defer s.Close()
	with := NewClient(s.Path())
	defer with.Close()
	body, err := with.do(t.Context(), http.MethodGet, "/debug/pprof/goroutine", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = body.Close()
}

func TestNobodyAnswers(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "c.sock")
	left := filepath.Join(t.TempDir(), "c.sock")
	dead(t, left)
	for _, path := range []string{missing, left} {
		c := NewClient(path)
		if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want ErrNoServer with the path", err)
		}
		if err := c.Stop(t.Context()); !errors.Is(err, ErrNoServer) {
			t.Errorf("stop: got %v, want ErrNoServer", err)
		}
	}
}

// TestClientLeavesInMidStream: the node hears of it and goes on.
func TestClientLeavesInMidStream(t *testing.T) {
	n := newFakeNode()
	ended := make(chan error, 1)
	n.connections = func(ctx context.Context, yield func(*Connection) error) error {
		for ctx.Err() == nil { // without end
			if err := yield(&Connection{SocketID: strings.Repeat("1", 100)}); err != nil {
				ended <- err
				return err
			}
		}
		ended <- ctx.Err()
		return ctx.Err()
	}
	_, c := serve(t, n)
	enough := errors.New("enough")
	seen := 0
	err := c.Connections(t.Context(), ConnectionQuery{}, func(*Connection) error {
		if seen++; seen == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	if err := within(t, ended, "the node to stop streaming"); err == nil {
		t.Error("the stream ended without an error")
	}
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("the server answers no more: %v", err)
	}
}

// TestStreamThatFailsIsNoWholeOne: what breaks off must not look complete.
func TestStreamThatFailsIsNoWholeOne(t *testing.T) {
	n := newFakeNode()
	n.connections = func(_ context.Context, yield func(*Connection) error) error {
		for range 1000 {
			if err := yield(&Connection{}); err != nil {
				return err
			}
		}
		return errors.New("the node ends")
	}
	_, c := serve(t, n)
	if err := c.Connections(t.Context(), ConnectionQuery{}, func(*Connection) error { return nil }); err == nil {
		t.Error("a stream that broke off looks complete")
	}
}

// TestSlowTailLosesEventsAndSaysSo: nobody waits for a reader that does not read.
func TestSlowTailLosesEventsAndSaysSo(t *testing.T) {
	n := newFakeNode()
	s, _ := serve(t, n)
	conn, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /tail HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// Nobody reads: the socket fills, then the feed, then events are dropped.
	data := []byte(`"` + strings.Repeat("x", 10_000) + `"`)
	offered := 0
	for deadline := time.Now().Add(patience); n.feed.dropped.Load() == 0; offered++ {
		if time.Now().After(deadline) {
			t.Fatal("nothing is dropped")
		}
		if !n.feed.Full() {
			n.feed.Offer(Event{Name: "e", Data: data})
		}
	}
	if offered < feedBytes/10_002 {
		t.Errorf("the first of %d events is dropped", offered)
	}
	// Now somebody reads on.
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	var text strings.Builder
	buf := make([]byte, 64<<10)
	for !strings.Contains(text.String(), `"dropped":`) {
		k, err := conn.Read(buf)
		if err != nil {
			t.Fatalf("read %d bytes without a count of what was dropped: %v", text.Len(), err)
		}
		text.Write(buf[:k])
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	n := newFakeNode()
	closed := make(chan struct{})
	n.feed = NewFeed(func() { close(closed) })
	_, c := serve(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan Event, 10)
	done := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		done <- c.Tail(ctx, TailQuery{}, func() { close(begun) }, func(e *Event) error {
			got <- *e
			return nil
		})
	}()
	within(t, begun, "the tail to begin")
	n.feed.Offer(Event{Name: "one", Data: []byte(`{"a":1}`)})
	if e := within(t, got, "an event"); e.Name != "one" || string(e.Data) != `{"a":1}` {
		t.Errorf("got %+v", e)
	}
	cancel()
	within(t, done, "the reader to end")
	within(t, closed, "the feed to be closed")
}

// TestStopReturnsWhenTheServerHasEnded: the process that listens is this one, so
// the wait for its end is left out.
func TestStopReturnsWhenTheServerHasEnded(t *testing.T) {
	n := newFakeNode()
	s, c := serve(t, n)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- c.Stop(ctx) }()
	within(t, n.stopped, "the node to be told")
	select {
	case err := <-done:
		t.Fatalf("stop returned while the server drains: %v", err)
	case <-time.After(50 * time.Millisecond): // nothing tells that nothing happens
	}
	s.Close()
	cancel() // this process goes on
	within(t, done, "stop to return")
}

func TestTooManyCommands(t *testing.T) {
	n := newFakeNode()
	inside, release := make(chan struct{}), make(chan struct{})
	n.connections = func(context.Context, func(*Connection) error) error {
		inside <- struct{}{}
		<-release
		return nil
	}
	_, c := serve(t, n)
	done := make(chan error, maxRequests)
	for range maxRequests {
		go func() {
			done <- c.Connections(t.Context(), ConnectionQuery{}, func(*Connection) error { return nil })
		}()
		within(t, inside, "a command to begin")
	}
	if _, err := c.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("got %v, want it refused", err)
	}
	close(release)
	for range maxRequests {
		if err := within(t, done, "a command to end"); err != nil {
			t.Error(err)
		}
	}
}

func TestFeedIsBounded(t *testing.T) {
	for _, row := range []struct {
		name  string
		bytes int
		most  int
	}{
		{"in events", 2, feedEvents},
		{"in bytes", 1 << 20, feedBytes >> 20},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := NewFeed(func() {})
			data := make([]byte, row.bytes)
			for range 2 * row.most {
				if !f.Full() {
					f.Offer(Event{Data: data})
				}
			}
			if f.Waiting() != row.most || f.TakeDropped() != uint64(row.most) || f.TakeDropped() != 0 {
				t.Errorf("%d of %d wait, want %d", f.Waiting(), 2*row.most, row.most)
			}
			for range row.most {
				f.Receive(t.Context())
			}
			if f.Full() {
				t.Error("an empty feed is full")
			}
		})
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	c := NewClient("/x/c.sock")
	for _, row := range []struct {
		err  error
		says string
	}{
		{&url.Error{Op: "Get", Err: unix.EACCES}, "/x/c.sock may be used by the user of the server only"},
		{&url.Error{Op: "Get", Err: unix.ECONNREFUSED}, "no server is running: nobody answers at /x/c.sock"},
		{&url.Error{Op: "Get", URL: "http://resound/status", Err: io.EOF}, "/x/c.sock: EOF"},
	} {
		if got := c.explain(row.err).Error(); got != row.says {
			t.Errorf("got %q, want %q", got, row.says)
		}
	}
}

func TestDocListsEveryRoute(t *testing.T) {
	source, err := os.ReadFile("server.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	routes := regexp.MustCompile(`HandleFunc\("(GET|POST) (/[a-z-]+/?)`).FindAllStringSubmatch(string(source), -1)
	if len(routes) == 0 {
		t.Fatal("got no route")
	}
	for _, r := range routes {
		if !regexp.MustCompile(`(?m)^//\t` + r[1] + ` +` + r[2] + `\b`).Match(doc) {
			t.Errorf("doc.go lacks %s %s", r[1], r[2])
		}
	}
}

func TestCustomMetricsAreForOneProcess(t *testing.T) {
	n := newFakeNode()
	_, c := serve(t, n)
	metrics := []monitor.Custom{{App: "1", Name: "load", Kind: monitor.Gauge, Value: 1.5}}
	if err := c.RecordCustom(t.Context(), os.Getpid()+1, metrics); err == nil || !strings.Contains(err.Error(), "this is process") {
		t.Errorf("another process's: %v", err)
	}
	if err := c.RecordCustom(t.Context(), os.Getpid(), metrics); err != nil || !slices.Equal(n.custom, metrics) {
		t.Errorf("got %v, %v", n.custom, err)
	}
}
