package loop_test

import (
	"net"
	"slices"
	"testing"
	"time"

	"resound/frame"
	"resound/loop"
)

// TestPanicsCloseOneConnection has each callback fail for one of two connections.
func TestPanicsCloseOneConnection(t *testing.T) {
	const faulty, other = "faulty", "other"
	fail := func(name string) {
		if name == faulty {
			panic("as planned")
		}
	}
	for _, row := range []struct {
		name  string
		setup func(s *script)
		cause func(t *testing.T, c net.Conn, s *script)
	}{
		{"in OnOpen", func(s *script) { s.onOpen = fail }, nil},
		{
			"in OnMessage", func(s *script) {
				s.onMessage = func(name string, payload []byte) {
					fail(name)
					s.SendCopy(s.conns[name], append([]byte{0x81, byte(len(payload))}, payload...))
				}
			},
			func(t *testing.T, c net.Conn, _ *script) {
				send(t, c, append(masked(0x1, true, "a"), masked(0x1, true, "never handled")...))
			},
		},
		{
			"in OnControl", func(s *script) { s.onControl = fail },
			func(t *testing.T, c net.Conn, _ *script) { send(t, c, masked(0xa, true, "")) },
		},
		{
			"in OnDeadline", func(s *script) { s.onDeadline = fail },
			func(t *testing.T, _ net.Conn, s *script) { s.do(t, func() { s.SetDeadline(s.conns[faulty], 0) }) },
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, c := stopped(loop.Options{FaultCode: 4200, FaultReason: "our fault"})
			closed := make(chan string, 2)
			e, s, addr := startScript(t, o, func(s *script) {
				row.setup(s)
				s.onClosed = func(name string) { closed <- name }
			})
			well, sick := open(t, addr, other), open(t, addr, faulty)
			if row.cause != nil {
				row.cause(t, sick, s)
			}
			c.sweepAt(t, 0, e, s)
			receiveClose(t, sick, 4200)
			receiveEnd(t, sick)
			if got := wait(t, closed, "OnClosed"); got != faulty {
				t.Errorf("%s was closed, want %s", got, faulty)
			}
			echoes(t, well)
			if got := e.Stats(); got.Panics != 1 || got.Connections != 1 || got.Closes[4200] != 1 {
				t.Errorf("got %+v, want one panic, one connection left, one closed with 4200", got)
			}
			c.sweepAt(t, time.Minute, e, s)
			if got := e.Stats(); got.Sockets != 1 {
				t.Errorf("got %d sockets, want 1", got.Sockets)
			}
		})
	}
}

// TestPanicInOnClosed has OnClosed fail in each of the turns that may call it.
func TestPanicInOnClosed(t *testing.T) {
	for _, row := range []struct {
		name  string
		cause func(t *testing.T, c net.Conn, s *script)
	}{
		{"the client does not read", func(t *testing.T, _ net.Conn, s *script) { stuff(t, s, "a") }},
		{"the client goes without a word", func(_ *testing.T, c net.Conn, _ *script) { _ = c.Close() }},
		{"the client closes", func(t *testing.T, c net.Conn, _ *script) { send(t, c, masked(0x8, true, "\x03\xe8")) }},
		{"the client breaks the protocol", func(t *testing.T, c net.Conn, _ *script) { send(t, c, []byte{0x83, 0x80}) }},
		{"the server closes", func(_ *testing.T, _ net.Conn, s *script) {
			s.Post(func() { s.Close(s.conns["a"], 4001, "go") })
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, c := stopped(loop.Options{})
			closed := make(chan struct{}, 1)
			e, s, addr := startScript(t, o, func(s *script) {
				s.onClosed = func(name string) {
					if name == "a" {
						closed <- struct{}{}
						panic("as planned")
					}
				}
			})
			client, other := open(t, addr, "a"), open(t, addr, "other")
			row.cause(t, client, s)
			wait(t, closed, "OnClosed")
			c.sweepAt(t, time.Minute, e, s)
			c.sweepAt(t, 2*time.Minute, e, s)
			if got := e.Stats(); got.Panics != 1 || got.Connections != 1 || got.Sockets != 1 {
				t.Errorf("got %+v, want one panic and one connection left", got)
			}
			echoes(t, other)
			echoes(t, open(t, addr, "new"))
		})
	}
}

// stuff sends to a connection, a frame in each turn, until it is closed for not
// reading.
func stuff(t *testing.T, s *script, name string) {
	t.Helper()
	large := frame.AppendBinary(nil, make([]byte, 32<<10))
	for open := true; open; {
		s.do(t, func() {
			var conn int32
			if conn, open = s.conns[name]; open {
				s.Send(conn, large)
			}
		})
	}
}

func TestPanicInOnMailLosesOneItem(t *testing.T) {
	e, s, addr := startScript(t, loop.Options{}, nil)
	client := open(t, addr, "a")
	var got []int
	release := s.hold(t)
	for i := range 6 {
		s.Post(func() {
			if i%3 == 1 {
				panic("as planned")
			}
			got = append(got, i)
		})
	}
	release()
	s.do(t, func() {
		if want := []int{0, 2, 3, 5}; !slices.Equal(got, want) {
			t.Errorf("handled %v, want %v", got, want)
		}
	})
	if got := e.Stats(); got.Panics != 2 || got.Connections != 1 {
		t.Errorf("got %+v, want two panics and the connection open", got)
	}
	echoes(t, client)
	if got := s.Pending(); got != 0 {
		t.Errorf("%d items are pending, want none", got)
	}
}
