package loop_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"resound/loop"
	"resound/loop/echo"
)

// stall begins a handshake and keeps silent once the server has answered.
func stall(t *testing.T, addr string, hello []byte) net.Conn {
	t.Helper()
	c := dialTCP(t, addr)
	send(t, c, hello)
	return c
}

// awaitStalls waits until n handshakes wait for their clients.
func awaitStalls(t *testing.T, e *loop.Engine, n int) {
	t.Helper()
	for end := time.Now().Add(patience); e.Stalls() != n; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d handshakes wait, want %d", e.Stalls(), n)
		}
	}
}

// isOver reports whether the server closes c, having sent what it may.
func isOver(c net.Conn) bool {
	_, err := io.Copy(io.Discard, c)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// hesitant writes what follows its first record when it is told to.
type hesitant struct {
	net.Conn
	said bool
	gate chan struct{}
}

func (h *hesitant) Write(b []byte) (int, error) {
	if h.said {
		<-h.gate
	}
	h.said = true
	return h.Conn.Write(b)
}

func TestTLSHandshakesAreBounded(t *testing.T) {
	o, clock := stopped(loop.Options{MaxTLSHandshakes: 2})
	e, s, addr := startTLS(t, o)
	healthy := openTLS(t, dialTCP(t, addr), clientTLS(), "healthy")
	hello := clientHello(t)

	oldest := stall(t, addr, hello)
	awaitStalls(t, e, 1)
	clock.elapsed.Store(int64(time.Millisecond))
	slow := &hesitant{Conn: dialTCP(t, addr), gate: make(chan struct{})}
	shaken := make(chan error, 1)
	second := tls.Client(slow, clientTLS())
	go func() { shaken <- second.Handshake() }()
	awaitStalls(t, e, 2)

	// Nobody has been silent for long: whoever comes now is one too many.
	clock.elapsed.Store(int64(loop.StalledAfter - 1))
	if third := stall(t, addr, hello); !isOver(third) {
		t.Error("a third handshake was begun")
	}
	if got := e.Stats(); got.Refused != 1 || got.TLSStalled != 0 {
		t.Errorf("%d refused, %d made room, want 1 and 0", got.Refused, got.TLSStalled)
	}

	clock.elapsed.Store(int64(loop.StalledAfter))
	fourth := openTLS(t, dialTCP(t, addr), clientTLS(), "fourth")
	if !isOver(oldest) {
		t.Error("the oldest is still there")
	}
	close(slow.gate)
	if err := wait(t, shaken, "the second handshake"); err != nil {
		t.Errorf("the one that was not the oldest: %v", err)
	}
	upgrade(t, second, "second")
	for _, c := range []net.Conn{healthy, second, fourth} {
		echoes(t, c)
	}
	s.do(t, func() {})
	if got := e.Stats(); got.Refused != 1 || got.TLSStalled != 1 || got.TLSFailed != 0 || got.TLS != 3 {
		t.Errorf("%d refused, %d made room, %d failed, %d succeeded, want 1, 1, 0, 3", got.Refused, got.TLSStalled, got.TLSFailed, got.TLS)
	}
}

// TestTLSStallsKeepNobodyOut has a client that takes all places of handshakes again
// and again, while others get in at their first attempt.
func TestTLSStallsKeepNobodyOut(t *testing.T) {
	const places, clients = 32, 40
	o, clock := stopped(loop.Options{MaxTLSHandshakes: places, Reactors: 2})
	o.TLS = serverTLS()
	e, err := echo.New(local(o))
	addr := start(t, e, err)
	hello := clientHello(t)
	var now time.Duration
	for range clients {
		for n := e.Stalls(); n < places; n++ {
			stall(t, addr, hello)
			awaitStalls(t, e, n+1)
		}
		now += loop.StalledAfter
		clock.elapsed.Store(int64(now))
		echoes(t, openTLS(t, dialTCP(t, addr), clientTLS(), "x"))
	}
	if got := e.Stats(); got.TLSStalled != clients || got.Refused != 0 {
		t.Errorf("%d made room, %d refused, want %d and none", got.TLSStalled, got.Refused, clients)
	}
}

// TestTLSHandshakesThatComputeAreSpared has one whose client was silent for long, and
// then answered, while others hold the CPUs.
func TestTLSHandshakesThatComputeAreSpared(t *testing.T) {
	cpus := runtime.NumCPU()
	o, clock := stopped(loop.Options{MaxTLSHandshakes: cpus + 1})
	o.TLS = serverTLS()
	cert := o.TLS.Certificates[0]
	busy, gate := make(chan struct{}), make(chan struct{})
	o.TLS.Certificates = nil
	o.TLS.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "busy" {
			busy <- struct{}{}
			<-gate
		}
		return &cert, nil
	}
	e, _, addr := startScript(t, o, nil)
	slow := &hesitant{Conn: dialTCP(t, addr), gate: make(chan struct{})}
	shaken := make(chan error, cpus+1)
	go func() { shaken <- tls.Client(slow, clientTLS()).Handshake() }()
	awaitStalls(t, e, 1)
	for range cpus {
		c := tls.Client(dialTCP(t, addr), &tls.Config{ServerName: "busy", InsecureSkipVerify: true})
		go func() { shaken <- c.Handshake() }()
		wait(t, busy, "a busy CPU")
	}
	clock.elapsed.Store(int64(loop.StalledAfter))
	close(slow.gate)
	awaitStalls(t, e, 0)
	if c := stall(t, addr, clientHello(t)); !isOver(c) {
		t.Error("one more handshake was begun")
	}
	close(gate)
	for range cpus + 1 {
		if err := wait(t, shaken, "a handshake"); err != nil {
			t.Error(err)
		}
	}
	if got := e.Stats(); got.Refused != 1 || got.TLSStalled != 0 {
		t.Errorf("%d refused, %d made room, want 1 and 0", got.Refused, got.TLSStalled)
	}
}
