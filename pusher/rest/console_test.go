package rest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"resound/pusher"
)

func TestConsoleSeesPathsWithoutThePrefix(t *testing.T) {
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.Path = "/ws"
		o.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("X-Console", "yes")
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL.Path, r.URL.RawQuery, body)
		})
	})
	for _, row := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/ws/reverb", "", 202, "GET /reverb  "},
		{"GET", "/ws/reverb/live?a=b%20c", "", 202, "GET /reverb/live a=b%20c "},
		{"POST", "/ws/reverb/events", "text", 202, "POST /reverb/events  text"},
		{"GET", "/reverb", "", 404, ""},
		{"GET", "/ws/reverb/a/b", "", 404, ""},
		{"GET", "/ws/reverb/", "", 404, ""},
		{"DELETE", "/ws/reverb/live", "", 405, ""},
	} {
		got := f.send(row.method, row.path, row.body)
		if got.status != row.status || row.want != "" && (got.body != row.want || got.header.Get("X-Console") != "yes") {
			t.Errorf("%s %s: %d %q, want %d %q", row.method, row.path, got.status, got.body, row.status, row.want)
		}
	}
}

func TestAStreamOfTheConsoleOutlivesTheWriteTimeout(t *testing.T) {
	const writeTimeout, lines = 100 * time.Millisecond, 6
	node, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{{ID: appID, Key: appKey, Secret: appSecret}}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	stop := make(chan struct{})
	s, err := New(Options{
		Node: node, WriteTimeout: writeTimeout, Logger: slog.New(slog.DiscardHandler),
		Console: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			defer close(ended)
			c := http.NewResponseController(w)
			tick := time.NewTicker(writeTimeout / 2)
			defer tick.Stop()
			for {
				_ = c.SetWriteDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(w, "line\n"); err != nil || c.Flush() != nil {
					return
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	response, err := http.Get("http://" + ln.Addr().String() + "/reverb/live")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	in := bufio.NewReader(response.Body)
	for i := range lines {
		if text, err := in.ReadString('\n'); text != "line\n" {
			t.Fatalf("line %d is %q, %v", i, text, err)
		}
	}
	close(stop)
	<-ended
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	<-served
}
