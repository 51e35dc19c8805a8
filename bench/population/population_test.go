package population

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/floor"
	"resound/bench/process"
	"resound/bench/wire"
)

// roleVariable makes the test binary play a client process.
const roleVariable = "BENCH_POPULATION_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "client" {
		if err := Serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func listenFloor(t *testing.T, threads int) *floor.Server {
	t.Helper()
	s, err := floor.Listen(floor.Options{Threads: threads, Channel: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func optionsFor(port, connections int) Options {
	return Options{Address: fmt.Sprintf("127.0.0.1:%d", port), Path: "/app/key", Connections: connections, Channel: "bench"}
}

func TestPopulation(t *testing.T) {
	for _, threads := range []int{1, 2} {
		t.Run(fmt.Sprintf("50 connections receive everything from %d floor threads", threads), func(t *testing.T) {
			ctx := testContext(t)
			s := listenFloor(t, threads)
			o := optionsFor(s.Port(), 50)
			o.InFlight = 7
			p, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Connect(ctx); err != nil {
				t.Fatal(err)
			}
			s.Publish(floor.Publication{First: 1, Events: 1, Nanos: process.Nanos()})
			s.Publish(floor.Publication{First: 2, Events: 8, Nanos: process.Nanos(), Packed: true})
			s.Publish(floor.Publication{First: 10, Events: 3, Nanos: process.Nanos()})
			if err := p.Await(ctx, 12); err != nil {
				t.Fatal(err)
			}
			got, latencies, err := p.Totals(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			frame := len(wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, "bench", make([]byte, 100))))
			want := Totals{Subscribed: 50, Received: 600, MinFrameBytes: frame, MaxFrameBytes: frame}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if latencies.TotalCount() != 600 {
				t.Errorf("got %d latencies, want 600", latencies.TotalCount())
			}
		})
	}
	t.Run("a second source address is used beyond what one may have", func(t *testing.T) {
		ctx := testContext(t)
		s := listenFloor(t, 1)
		o := optionsFor(s.Port(), 4)
		o.First = connectionsPerSource - 2
		p, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Connect(ctx); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a missing server is an error", func(t *testing.T) {
		listener, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		_ = listener.Close()
		p, err := Open(optionsFor(port, 3))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Connect(testContext(t)); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("got %v, want connection refused", err)
		}
	})
	t.Run("a refused connection is tried again, as often as allowed", func(t *testing.T) {
		refusal := text(`{"event":"pusher:error","data":{"code":4100}}`) + string(wire.AppendFrame(nil, wire.OpClose, []byte("\x10\x04over")))
		for _, tt := range []struct{ retries, subscribed, retried, failed int }{{3, 1, 2, 0}, {1, 0, 1, 1}} {
			p, err := Open(Options{Address: serveRefusals(t, 2, refusal), Path: "/app/key", Connections: 1, Channel: "bench", Retries: tt.retries})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Connect(testContext(t)); (err == nil) != (tt.failed == 0) {
				t.Errorf("%d retries: got %v, want an error exactly when they do not suffice", tt.retries, err)
			}
			got, _, err := p.Totals(testContext(t), false)
			if err != nil {
				t.Fatal(err)
			}
			if got.Subscribed != tt.subscribed || got.Retried != tt.retried || got.Failed != tt.failed {
				t.Errorf("%d retries: got %+v, want %+v", tt.retries, got, tt)
			}
		}
	})
	t.Run("waiting for events that do not come ends with the context", func(t *testing.T) {
		s := listenFloor(t, 1)
		p, err := Open(optionsFor(s.Port(), 3))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Connect(testContext(t)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := p.Await(ctx, 1); err != context.DeadlineExceeded {
			t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
		}
	})
}

// script is a server for one connection: what it sends behind the 101, and then
// what it is sent, one frame each.
type script struct {
	sends    []string
	received chan string
}

// serveScript serves one connection byte by byte, which splits every frame.
func serveScript(t *testing.T, sends ...string) (port int, s *script) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &script{sends: sends, received: make(chan string, 100)}
	var serving sync.WaitGroup
	serving.Go(func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		head := make([]byte, 4096)
		n, _ := conn.Read(head)
		answer := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " +
			wire.Accept(string(wire.HeaderValue(head[:n], "Sec-WebSocket-Key"))) + "\r\n\r\n" + strings.Join(sends, "")
		_ = conn.(*net.TCPConn).SetNoDelay(true)
		for i := range len(answer) {
			if _, err := io.WriteString(conn, answer[i:i+1]); err != nil {
				return
			}
		}
		for b := make([]byte, 2); ; {
			if _, err := io.ReadFull(conn, b); err != nil {
				close(s.received)
				return
			}
			body := make([]byte, 4+int(b[1]&0x7F))
			if _, err := io.ReadFull(conn, body); err != nil {
				close(s.received)
				return
			}
			for i := range body[4:] {
				body[4+i] ^= body[i&3]
			}
			s.received <- fmt.Sprintf("%x %s", b[0], body[4:])
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port, s
}

// serveRefusals answers the first connections with refusal behind the 101 and
// accepts the next.
func serveRefusals(t *testing.T, refusals int, refusal string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for number := 0; ; number++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				head := make([]byte, 4096)
				n, _ := conn.Read(head)
				answer := text(string(wire.AppendEstablished(nil, "1.1"))) + text(string(wire.AppendSubscribed(nil, "bench")))
				if number < refusals {
					answer = refusal
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: "+
					wire.Accept(string(wire.HeaderValue(head[:n], "Sec-WebSocket-Key")))+"\r\n\r\n"+answer)
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func text(payload string) string {
	return string(wire.AppendFrame(nil, wire.OpText, []byte(payload)))
}

func event(number uint32) string {
	return text(string(wire.AppendEvent(nil, "bench", wire.AppendStamped(nil, wire.Stamp{Sequence: number}, 200))))
}

func TestProtocol(t *testing.T) {
	established := text(string(wire.AppendEstablished(nil, "1.1")))
	subscribed := text(string(wire.AppendSubscribed(nil, "bench")))
	t.Run("pings are answered and events accounted for however the stream is split", func(t *testing.T) {
		ctx := testContext(t)
		port, s := serveScript(t, established, string(wire.AppendFrame(nil, wire.OpPing, []byte("are you there"))),
			subscribed, event(1), event(3), text(`{"event":"pusher:ping"}`), event(3), event(2), event(4), text(`{"event":"other"}`))
		p, err := Open(optionsFor(port, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		if err := p.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		if err := p.Await(ctx, 4); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`81 {"event":"pusher:subscribe","data":{"channel":"bench"}}`,
			"8a are you there",
			`81 {"event":"pusher:pong","data":{}}`,
		} {
			if got := <-s.received; got != want {
				t.Errorf("got %q sent, want %q", got, want)
			}
		}
		got, _, err := p.Totals(ctx, false)
		if err != nil {
			t.Fatal(err)
		}
		if got.Received != 4 || got.Duplicated != 1 || got.Reordered != 1 || got.Pings != 2 {
			t.Errorf("got %+v, want 4 received 1 duplicated 1 reordered 2 pings", got)
		}
	})
	failures := []struct {
		name  string
		sends []string
		want  string
	}{
		{"an error event ends the connection", []string{text(`{"event":"pusher:error","data":{"code":4004}}`)}, "4004"},
		{"a close frame ends the connection", []string{string(wire.AppendFrame(nil, wire.OpClose, []byte("\x10\x04over")))}, "code 4100"},
		{"a fragment ends the connection", []string{"\x01\x00"}, "fragmented"},
		{"a masked frame ends the connection", []string{established, "\x81\x80\x00\x00\x00\x00"}, "masked"},
	}
	for _, tt := range failures {
		t.Run(tt.name, func(t *testing.T) {
			port, _ := serveScript(t, tt.sends...)
			p, err := Open(optionsFor(port, 1))
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			if err := p.Connect(testContext(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	t.Run("a connection lost after its subscription is dropped, not failed", func(t *testing.T) {
		ctx := testContext(t)
		port, _ := serveScript(t, established, subscribed, "\x88\x00")
		p, err := Open(optionsFor(port, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		// Whether the loss comes before or after the report of success is chance.
		if err = p.Connect(ctx); err == nil {
			err = p.Await(ctx, 1)
		}
		if err == nil || !strings.Contains(err.Error(), "1 dropped") {
			t.Errorf("got %v, want 1 dropped", err)
		}
		if got, _, err := p.Totals(ctx, false); err != nil || got.Dropped != 1 || got.Failed != 0 || got.Subscribed != 0 {
			t.Errorf("got %+v %v, want 1 dropped", got, err)
		}
	})
}

func TestOptions(t *testing.T) {
	bad := map[string]func(*Options){
		"a server name":                 func(o *Options) { o.Address = "localhost:80" },
		"an IPv6 server":                func(o *Options) { o.Address = "[::1]:80" },
		"no connection":                 func(o *Options) { o.Connections = 0 },
		"a negative number of retries":  func(o *Options) { o.Retries = -1 },
		"a negative number of channels": func(o *Options) { o.Channels = -1 },
		"more than all sources allow":   func(o *Options) { o.First = maxSources * connectionsPerSource },
	}
	for name, change := range bad {
		t.Run(name+" is refused", func(t *testing.T) {
			o := optionsFor(80, 1)
			change(&o)
			if p, err := Open(o); err == nil {
				p.Close()
				t.Error("got a population, want an error")
			}
		})
	}
}

func TestFleet(t *testing.T) {
	ctx := testContext(t)
	children := process.NewChildren()
	defer children.Close()
	command := process.Command{Path: os.Args[0], Env: append(os.Environ(), roleVariable+"=client"), Stderr: os.Stderr}
	f, err := NewFleet(children, command, 50, 20)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(f.PIDs()); got != 3 {
		t.Errorf("got %d processes for 50 connections at 20 each, want 3", got)
	}
	s := listenFloor(t, 2)
	for round := range 2 {
		t.Run(fmt.Sprintf("connects, receives and disconnects, time %d", round+1), func(t *testing.T) {
			if err := f.Connect(ctx, optionsFor(s.Port(), 50)); err != nil {
				t.Fatal(err)
			}
			arrived := f.AwaitAsync(ctx, 4)
			s.Publish(floor.Publication{First: 1, Events: 4, Nanos: process.Nanos(), Packed: true})
			if err := <-arrived; err != nil {
				t.Fatal(err)
			}
			got, latencies, err := f.Totals(ctx, true)
			if err != nil {
				t.Fatal(err)
			}
			if got.Subscribed != 50 || got.Received != 200 || latencies.TotalCount() != 200 {
				t.Errorf("got %+v and %d latencies, want 50 subscribed and 200 received", got, latencies.TotalCount())
			}
			if err := f.Disconnect(ctx); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("numbers that start higher reach into the next source address", func(t *testing.T) {
		o := optionsFor(s.Port(), 50)
		o.First = connectionsPerSource - 20 // for the source addresses
		if err := <-f.ConnectAsync(ctx, o); err != nil {
			t.Fatal(err)
		}
		got, _, err := f.Totals(ctx, true)
		if err != nil || got.Subscribed != 50 {
			t.Errorf("got %+v %v, want 50 subscribed", got, err)
		}
		if err := f.Disconnect(ctx); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a request out of order is an error", func(t *testing.T) {
		if err := <-f.AwaitAsync(ctx, 1); err == nil || !strings.Contains(err.Error(), "without an open population") {
			t.Errorf("got %v, want an error", err)
		}
	})
	t.Run("a client process that dies is an error, not a hang", func(t *testing.T) {
		for _, c := range f.clients {
			c.child.Stop(0)
		}
		if err := f.Connect(ctx, optionsFor(s.Port(), 50)); err == nil {
			t.Error("got no error, want one")
		}
	})
}
