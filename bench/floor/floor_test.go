package floor

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/process"
	"resound/bench/wire"
)

// roleVariable makes the test binary play the floor process.
const roleVariable = "BENCH_FLOOR_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "floor" {
		if err := Serve(os.Stdin, os.Stdout, Options{Threads: 2, Channel: "bench"}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// dial opens a TCP connection whose reads do not wait for ever.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// expect reads exactly want.
func expect(t *testing.T, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

// subscribe takes a connection through handshake and subscription.
func subscribe(t *testing.T, conn net.Conn, key string) {
	t.Helper()
	upgrade(t, conn, key)
	subscribeTo(t, conn, "bench")
}

func subscribeTo(t *testing.T, conn net.Conn, channel string) {
	t.Helper()
	if _, err := conn.Write(wire.AppendMasked(nil, wire.OpText, wire.AppendSubscribe(nil, channel), 1)); err != nil {
		t.Fatal(err)
	}
	expect(t, conn, wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, channel)))
}

// upgrade takes a connection through the handshake.
func upgrade(t *testing.T, conn net.Conn, key string) {
	t.Helper()
	if _, err := conn.Write(wire.AppendUpgrade(nil, "h", "/app/key", key)); err != nil {
		t.Fatal(err)
	}
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wire.Accept(key) + "\r\n\r\n"
	expect(t, conn, wire.AppendFrame([]byte(head), wire.OpText, wire.AppendEstablished(nil, "1.1")))
}

func eventFrame(sequence uint32) []byte { return eventFrameOn("bench", sequence) }

func eventFrameOn(channel string, sequence uint32) []byte {
	return wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, channel, eventData(sequence)))
}

func eventData(sequence uint32) []byte {
	return wire.AppendStamped(nil, wire.Stamp{Sequence: sequence, SentNanos: 7}, 100)
}

func TestServer(t *testing.T) {
	s, err := Listen(Options{Channel: "bench"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	address := fmt.Sprintf("127.0.0.1:%d", s.Port())
	first, second, third := dial(t, address), dial(t, address), dial(t, address)
	// Each with a key of its own: the remembered answer must not be another's.
	subscribe(t, first, "dGhlIHNhbXBsZSBub25jZQ==")
	subscribe(t, second, "AQIDBAUGBwgJCgsMDQ4PEC==")
	subscribe(t, third, "dGhlIHNhbXBsZSBub25jZQ==")
	t.Run("a request that is no upgrade is closed", func(t *testing.T) {
		conn := dial(t, address)
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %d bytes %v, want EOF", n, err)
		}
	})
	t.Run("every connection gets every event, also after one has left", func(t *testing.T) {
		s.Publish(Publication{First: 1, Events: 2, Nanos: 7})
		for _, conn := range []net.Conn{first, second, third} {
			expect(t, conn, append(eventFrame(1), eventFrame(2)...))
		}
		_ = first.Close()
		s.Publish(Publication{First: 3, Events: 2, Nanos: 7, Packed: true})
		for _, conn := range []net.Conn{second, third} {
			expect(t, conn, append(eventFrame(3), eventFrame(4)...))
		}
	})
}

// TestTriggers publishes over HTTP, as to a server under test.
func TestTriggers(t *testing.T) {
	const accepted = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	app := wire.App{ID: "1", Key: "key", Secret: "secret"}
	post := func(path string, body []byte) []byte { return app.AppendPost(nil, "h", "", path, body, 0) }
	for _, o := range []Options{{Threads: 1}, {Threads: 2}, {Threads: 2, Packed: true}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			s, err := Listen(o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			address := fmt.Sprintf("127.0.0.1:%d", s.Port())
			var both, one []net.Conn
			for range 4 { // on either thread
				conn := dial(t, address)
				upgrade(t, conn, "dGhlIHNhbXBsZSBub25jZQ==")
				subscribeTo(t, conn, "a")
				one = append(one, conn)
				conn = dial(t, address)
				upgrade(t, conn, "dGhlIHNhbXBsZSBub25jZQ==")
				subscribeTo(t, conn, "a")
				subscribeTo(t, conn, "b")
				both = append(both, conn)
			}
			trigger := dial(t, address)
			single := post(app.EventsPath(), wire.AppendTriggerBody(nil, "b", eventData(1)))
			batch := post(app.BatchPath(), wire.AppendBatchBody(nil, "a", [][]byte{eventData(2), eventData(3)}))
			nobody := post(app.EventsPath(), wire.AppendTriggerBody(nil, "c", eventData(4)))
			if _, err := trigger.Write(bytes.Join([][]byte{single, batch, nobody}, nil)); err != nil {
				t.Fatal(err)
			}
			expect(t, trigger, bytes.Repeat([]byte(accepted), 3))
			for _, conn := range both {
				expect(t, conn, bytes.Join([][]byte{eventFrameOn("b", 1), eventFrameOn("a", 2), eventFrameOn("a", 3)}, nil))
			}
			for _, conn := range one {
				expect(t, conn, bytes.Join([][]byte{eventFrameOn("a", 2), eventFrameOn("a", 3)}, nil))
			}
			if _, err := io.WriteString(trigger, "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}"); err != nil {
				t.Fatal(err)
			}
			if n, err := trigger.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %d bytes %v for a request in pieces, want EOF", n, err)
			}
		})
	}
}

func TestListen(t *testing.T) {
	for _, o := range []Options{{Threads: -1}, {Threads: maxThreads + 1}, {PayloadBytes: 29}} {
		if s, err := Listen(o); err == nil {
			s.Close()
			t.Errorf("got a server with %+v, want an error", o)
		}
	}
}

func TestRemote(t *testing.T) {
	children := process.NewChildren()
	defer children.Close()
	command := process.Command{Path: os.Args[0], Env: append(os.Environ(), roleVariable+"=floor"), Stderr: os.Stderr}
	t.Run("a floor process listens and broadcasts", func(t *testing.T) {
		r, err := Start(children, command)
		if err != nil {
			t.Fatal(err)
		}
		conn := dial(t, r.Address)
		subscribe(t, conn, "dGhlIHNhbXBsZSBub25jZQ==")
		if err := r.Publish(Publication{First: 9, Events: 1, Nanos: 7}); err != nil {
			t.Fatal(err)
		}
		expect(t, conn, eventFrame(9))
		r.Stop()
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("got %d bytes after stop, want the connection closed", n)
		}
	})
	t.Run("a process that does not start is an error", func(t *testing.T) {
		if _, err := Start(children, process.Command{Path: "/bin/true"}); err == nil {
			t.Error("got no error, want one")
		}
	})
}
