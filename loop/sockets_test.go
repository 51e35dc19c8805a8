package loop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"resound/frame"
	"resound/loop"
	"resound/loop/echo"
)

func TestMaxSocketsRefusesTheNewest(t *testing.T) {
	closed := make(chan string, 3)
	e, s, addr := startScript(t, loop.Options{MaxSockets: 3}, func(s *script) {
		s.onClosed = func(name string) { closed <- name }
	})
	clients := []net.Conn{open(t, addr, "a"), open(t, addr, "b"), open(t, addr, "c")}
	for range 2 {
		got, err := io.ReadAll(connect(t, addr))
		if want := string(frame.AppendRejection(nil, frame.RejectUnavailable)); err != nil || string(got) != want {
			t.Errorf("one too many got %q, %v, want %q", got, err, want)
		}
	}
	for _, c := range clients {
		echoes(t, c)
	}
	if got := e.Stats(); got.Refused != 2 || got.Sockets != 3 || got.Connections != 3 {
		t.Errorf("got %+v, want 3 connections and 2 refused", got)
	}
	_ = clients[1].Close()
	wait(t, closed, "OnClosed")
	s.do(t, func() {}) // the socket is given back in the same turn
	echoes(t, open(t, addr, "d"))
}

func TestPostAfterCloseDoesNothing(t *testing.T) {
	e, err := echo.New(local(loop.Options{Reactors: 2}))
	if err != nil {
		t.Fatal(err)
	}
	e.Close()
	for _, r := range e.Reactors() {
		r.Post("late")
		if got := r.Pending(); got != 0 {
			t.Errorf("reactor %d has %d items, want none", r.Index(), got)
		}
	}
	e.Close() // twice is harmless
}

// fewSockets makes a run of TestFewDescriptors the server of another one. Its
// value is MaxSockets.
const (
	fewSockets     = "RESOUND_TEST_MAX_SOCKETS"
	fewDescriptors = 128
)

// TestFewDescriptors floods a server of its own process, which may open only 128
// descriptors.
func TestFewDescriptors(t *testing.T) {
	if max := os.Getenv(fewSockets); max != "" {
		serveWithFewDescriptors(t, max)
		return
	}
	t.Run("bounded by MaxSockets it serves on", func(t *testing.T) {
		server := startChild(t, "64")
		var served []net.Conn
		refused := 0
		for range 2 * fewDescriptors {
			if c, ok := tryOpen(t, server.addr); ok {
				served = append(served, c)
			} else {
				refused++
			}
		}
		// Each of the two reactors looks at the bound on its own.
		if len(served) < 64 || len(served) > 65 {
			t.Errorf("%d were served and %d refused, want 64 served", len(served), refused)
		}
		for _, c := range served {
			echoes(t, c)
			_ = c.Close()
		}
		for deadline := time.Now().Add(patience); ; {
			if c, ok := tryOpen(t, server.addr); ok {
				echoes(t, c)
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("nobody is served after all have gone")
			}
		}
		if got := server.stop(t); got != "<nil>" {
			t.Errorf("the server ended with %q", got)
		}
	})
	t.Run("without a bound it ends and says so", func(t *testing.T) {
		server := startChild(t, "0")
		for range 2 * fewDescriptors {
			c, err := net.DialTimeout("tcp", server.addr, patience)
			if err != nil {
				break // it is gone
			}
			defer c.Close()
		}
		if got := server.ended(t); got == "<nil>" {
			t.Error("the server ended as if it had been asked to")
		}
	})
}

// serveWithFewDescriptors runs an echo server until its standard input ends.
func serveWithFewDescriptors(t *testing.T, maxSockets string) {
	var o loop.Options
	if _, err := fmt.Sscan(maxSockets, &o.MaxSockets); err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	o.Reactors = 2
	e, err := echo.New(local(o))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run() }()
	<-e.Ready()
	fmt.Printf("listening %s\n", e.Addr())
	asked := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(asked)
	}()
	select {
	case <-asked:
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		err = <-ended
	case err = <-ended:
		if !errors.Is(err, loop.ErrStopped) {
			t.Log("ended with", err)
		}
	}
	fmt.Printf("ended %v\n", err)
	<-asked
}

// child is a server in a process of its own.
type child struct {
	addr  string
	stdin io.WriteCloser
	lines *bufio.Scanner
}

func startChild(t *testing.T, maxSockets string) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFewDescriptors$")
	cmd.Env = append(os.Environ(), fewSockets+"="+maxSockets)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		watchdog.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says "killed"
	})
	c := &child{stdin: stdin, lines: bufio.NewScanner(stdout)}
	c.addr = c.expect(t, "listening ")
	return c
}

// stop asks the server to end, and ended waits for it. Both return what Run did.
func (c *child) stop(t *testing.T) string {
	t.Helper()
	_ = c.stdin.Close()
	return c.ended(t)
}

func (c *child) ended(t *testing.T) string {
	t.Helper()
	return c.expect(t, "ended ")
}

func (c *child) expect(t *testing.T, prefix string) string {
	t.Helper()
	for c.lines.Scan() {
		if rest, ok := strings.CutPrefix(c.lines.Text(), prefix); ok {
			return rest
		}
	}
	t.Fatalf("the server is gone without saying %q", prefix)
	return ""
}

// tryOpen completes a handshake unless the server refuses.
func tryOpen(t *testing.T, addr string) (c net.Conn, ok bool) {
	t.Helper()
	c = connect(t, addr)
	if _, err := io.WriteString(c, handshake); err == nil {
		if got := readUntil(t, c, "\r\n\r\n"); strings.HasPrefix(got, "HTTP/1.1 101 ") {
			return c, true
		}
	}
	_ = c.Close()
	return nil, false
}
