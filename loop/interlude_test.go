package loop_test

import (
	"fmt"
	"net"
	"testing"

	"resound/loop"
)

// TestMailHasATurnAmongManyConnections: in a storm the events of hundreds of
// connections are ready at once.
func TestMailHasATurnAmongManyConnections(t *testing.T) {
	const connections = 100 // as many events as the event loop takes in a row at first
	for _, row := range []struct {
		name string
		do   func(t *testing.T, c net.Conn)
	}{
		{"that send", func(t *testing.T, c net.Conn) { send(t, c, masked(0x1, true, "hello")) }},
		{"that end", func(_ *testing.T, c net.Conn) { _ = c.Close() }},
	} {
		t.Run(row.name, func(t *testing.T) {
			seen, seenByMail := 0, make(chan int, 1)
			_, s, addr := startScript(t, loop.Options{}, func(s *script) {
				event := func() {
					if seen++; seen == 1 {
						s.Post(func() { seenByMail <- seen })
					}
				}
				s.onMessage = func(string, []byte) { event() }
				s.onClosed = func(string) { event() }
			})
			conns := make([]net.Conn, connections)
			for i := range conns {
				conns[i] = open(t, addr, fmt.Sprint(i))
			}
			release := s.hold(t)
			for _, c := range conns {
				row.do(t, c)
			}
			release()
			if got := wait(t, seenByMail, "the mail"); got > loop.TrafficSlice {
				t.Errorf("the mail waited for %d connections, want at most %d", got, loop.TrafficSlice)
			}
		})
	}
}

// TestMailBehindUnfinishedMailIsNotLeftLying: who posts while the reactor has told
// itself to go on need not ring, so the reactor must look.
func TestMailBehindUnfinishedMailIsNotLeftLying(t *testing.T) {
	o, _ := stopped(loop.Options{}) // no tick that would ring the bell
	_, s, addr := startScript(t, o, nil)
	open(t, addr, "a")
	for range 100 {
		first := &unfinished{}
		s.Post(first)
		second := make(chan struct{})
		s.Post(func() { close(second) })
		done := make(chan struct{})
		s.Post(func() { close(done) })
		first.until.Store(true)
		wait(t, second, "the second item")
		wait(t, done, "the third item")
	}
}
