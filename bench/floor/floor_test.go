package floor

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// roleVariable makes the test binary play the floor process in Go.
const roleVariable = "BENCH_FLOOR_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "floor" {
		if err := playFloor(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func playFloor() error {
	var o Options
	flag.IntVar(&o.Threads, "threads", 0, "")
	flag.BoolVar(&o.Packed, "packed", false, "")
	flag.StringVar(&o.Channel, "channel", "", "")
	flag.IntVar(&o.PayloadBytes, "payload", 0, "")
	flag.Parse()
	return Serve(os.Stdin, os.Stdout, o)
}

// implementations are the bare servers, which are to behave alike. Each returns the
// command that runs it with some options.
var implementations = []struct {
	name    string
	command func(*testing.T, Options) process.Command
}{
	{"go", func(_ *testing.T, o Options) process.Command {
		return process.Command{Path: os.Args[0], Args: o.Args(), Env: append(os.Environ(), roleVariable+"=floor"), Stderr: os.Stderr}
	}},
	{"c", func(t *testing.T, o Options) process.Command {
		return BareCommand(compile(t, "-Wall", "-Wextra", "-Werror"), o)
	}},
	{"c with sanitizers", func(t *testing.T, o Options) process.Command {
		return BareCommand(compile(t, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"), o)
	}},
}

// compile builds the bare server once for all tests of a test, and ends the test when
// that cannot be done here.
func compile(t *testing.T, flags ...string) string {
	t.Helper()
	program, err := Compile(t.Context(), t.TempDir(), flags...)
	if err == nil {
		return program
	}
	absent := errors.Is(err, ErrNoCompiler) || strings.Contains(err.Error(), "asan") || strings.Contains(err.Error(), "ubsan")
	if absent && os.Getenv("CI") != "true" {
		t.Skipf("this test needs a C compiler with its sanitizers (Debian package gcc): %v", err)
	}
	t.Fatal(err)
	return ""
}

// bare is a running floor process of a test.
type bare struct {
	*Remote
	publisher *rest.Publisher
}

func start(t *testing.T, command process.Command) bare {
	t.Helper()
	children := process.NewChildren()
	t.Cleanup(children.Close)
	remote, err := Start(children, command)
	if err != nil {
		t.Fatal(err)
	}
	publisher := rest.NewPublisher(rest.Target{Address: remote.Address, Host: remote.Address, App: wire.App{ID: "1", Key: "k", Secret: "s"}})
	t.Cleanup(publisher.Close)
	return bare{remote, publisher}
}

// stop ends the process and compares what it could not do.
func (b bare) stop(t *testing.T, want Counts) {
	t.Helper()
	got, err := b.Stop()
	if err != nil || got != want {
		t.Errorf("got counts %+v %v, want %+v", got, err, want)
	}
}

// trigger publishes events by HTTP.
func (b bare) trigger(t *testing.T, channel string, size int, sequences ...uint32) {
	t.Helper()
	data := make([][]byte, len(sequences))
	for i, sequence := range sequences {
		data[i] = eventData(sequence, size)
	}
	if err := b.publisher.Trigger(channel, data, time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
}

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// dial opens a TCP connection whose reads do not wait for ever.
func (b bare) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// subscriber opens a WebSocket and subscribes it to channels.
func (b bare) subscriber(t *testing.T, channels ...string) net.Conn {
	t.Helper()
	conn := b.dial(t)
	upgrade(t, conn, "dGhlIHNhbXBsZSBub25jZQ==")
	for _, channel := range channels {
		subscribe(t, conn, channel)
	}
	return conn
}

func upgrade(t *testing.T, conn net.Conn, key string) {
	t.Helper()
	write(t, conn, wire.AppendUpgrade(nil, "h", "/app/key", key))
	head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + wire.Accept(key) + "\r\n\r\n"
	expect(t, conn, wire.AppendFrame([]byte(head), wire.OpText, wire.AppendEstablished(nil, "1.1")))
}

func subscribe(t *testing.T, conn net.Conn, channel string) {
	t.Helper()
	write(t, conn, subscribeFrame(channel))
	expect(t, conn, wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, channel)))
}

func subscribeFrame(channel string) []byte {
	return wire.AppendMasked(nil, wire.OpText, wire.AppendSubscribe(nil, channel), 0x01020304)
}

func write(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly want.
func expect(t *testing.T, conn net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %.300q %v, want %.300q", got[:n], err, want)
	}
}

// expectClosed reads to the end of the connection and expects nothing there.
func expectClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	if timeout := net.Error(nil); n > 0 || err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("got %d bytes %v, want the connection closed", n, err)
	}
}

func eventData(sequence uint32, size int) []byte {
	return wire.AppendStamped(nil, wire.Stamp{Sequence: sequence, SentNanos: 7}, size)
}

func eventFrame(channel string, sequence uint32, size int) []byte {
	return wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, channel, eventData(sequence, size)))
}

func TestListen(t *testing.T) {
	for _, o := range []Options{{Threads: -1}, {Threads: 65}, {PayloadBytes: 29}} {
		if s, err := Listen(o); err == nil {
			s.Close()
			t.Errorf("got a server with %+v, want an error", o)
		}
	}
}

func TestStart(t *testing.T) {
	t.Run("a process that does not start is an error", func(t *testing.T) {
		children := process.NewChildren()
		defer children.Close()
		if _, err := Start(children, process.Command{Path: "/bin/true"}); err == nil {
			t.Error("got no error, want one")
		}
	})
	t.Run("a process that ended before it was stopped is an error", func(t *testing.T) {
		b := start(t, implementations[0].command(t, Options{}))
		b.child.Stop(0)
		if _, err := b.Stop(); err == nil {
			t.Error("got no error, want one")
		}
	})
}

func TestCompile(t *testing.T) {
	t.Run("without a compiler it says so", func(t *testing.T) {
		t.Setenv("CC", "")
		t.Setenv("PATH", t.TempDir())
		if _, err := Compile(t.Context(), t.TempDir()); !errors.Is(err, ErrNoCompiler) {
			t.Errorf("got %v, want %v", err, ErrNoCompiler)
		}
	})
	t.Run("what the compiler says is in the error", func(t *testing.T) {
		compiler := filepath.Join(t.TempDir(), "broken")
		if err := os.WriteFile(compiler, []byte("#!/bin/sh\necho no headers here\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("CC", compiler)
		if _, err := Compile(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "no headers here") {
			t.Errorf("got %v, want an error with the output", err)
		}
	})
}
