package rest

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"resound/pusher"
)

// TestSlowClients: whatever a client is slow with, its connection ends and costs
// nothing any more.
func TestSlowClients(t *testing.T) {
	const timeout = 60 * time.Millisecond
	const begin = "POST " + eventsPath + " HTTP/1.1\r\nHost: x\r\n"
	for _, tt := range []struct {
		name, begin, drip string
		want              string // what the answer begins with; empty: there need not be one
	}{
		{"nothing at all", "", "", ""},
		{"silence between requests", "GET /up HTTP/1.1\r\nHost: x\r\n\r\n", "", "HTTP/1.1 200 "},
		{"the request line by the byte", "GET /", "a", "HTTP/1.1 408 "},
		{"a header by the byte", begin + "X: ", "a", "HTTP/1.1 408 "},
		{"headers by the line", begin, "X: a\r\n", "HTTP/1.1 4"}, // the limit of all headers may come first
		{"empty lines before the request", "", "\r\n", ""},
		{"a body by the byte", begin + "Content-Length: 9000\r\n\r\n", "a", "HTTP/1.1 408 "},
		{"a body that never comes", begin + "Content-Length: 9000\r\n\r\n", "", "HTTP/1.1 408 "},
		{"a body of small chunks", begin + "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "HTTP/1.1 4"},
		{"a chunk by the byte", begin + "Transfer-Encoding: chunked\r\n\r\n2000\r\n", "a", "HTTP/1.1 4"},
		{"an extension without end", begin + "Transfer-Encoding: chunked\r\n\r\n5;", "a", "HTTP/1.1 4"},
		{"a trailer without end", begin + "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: a\r\n", "HTTP/1.1 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.ReadTimeout, o.IdleTimeout = timeout, timeout })
			addr, shutdown := f.serveTCP()
			defer shutdown()
			conn := dial(t, addr)
			ended := make(chan struct{})
			go func() { // the attack goes on until the connection ends
				pace := time.NewTicker(timeout / 20)
				defer pace.Stop()
				_, err := io.WriteString(conn, tt.begin)
				for err == nil {
					select {
					case <-ended:
						return
					case <-pace.C:
						_, err = io.WriteString(conn, tt.drip)
					}
				}
			}()
			got, err := io.ReadAll(conn)
			close(ended)
			if isTimeout(err) {
				t.Fatalf("the connection is still open; %q came", got)
			}
			// What was still on its way may reset the connection behind the answer.
			if !strings.HasPrefix(string(got), tt.want) && err == nil {
				t.Errorf("%q came, want %s", got, tt.want)
			}
		})
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// TestClientThatReadsNoResponses sends requests and reads nothing: what it does not
// read waits in the kernel's buffers, then its connection ends.
func TestClientThatReadsNoResponses(t *testing.T) {
	const timeout = 100 * time.Millisecond
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.WriteTimeout = timeout
		o.ReadTimeout, o.IdleTimeout = timeout, timeout // the kernel may hold requests up where no response can go
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(f.server.options)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	conn := dial(t, ln.Addr().String()).(*net.TCPConn)
	if err := conn.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		requests := strings.Repeat("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", 1000)
		for err == nil {
			_, err = io.WriteString(conn, requests)
		}
	}()
	open := func() int32 { return server.http.GetOpenConnectionsCount() }
	wait := func(what string, reached func() bool) {
		for deadline := time.Now().Add(20 * time.Second); !reached(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited too long until %s", what)
			}
		}
	}
	wait("requests are answered", func() bool { return server.Stats().Responses[4] > 1000 })
	// The kernel of the client may not learn of the end for a while.
	wait("the connection is over", func() bool { return open() == 0 })
	_ = conn.Close()
	<-written
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-served
}
