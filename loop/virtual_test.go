package loop_test

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"resound/frame"
	"resound/loop"
)

// paper is a stream that writes down what a reactor does with it.
type paper struct {
	lines  chan string
	unread atomic.Int64
	shut   atomic.Bool
}

func newPaper() *paper { return &paper{lines: make(chan string, 1024)} }

func (p *paper) Message(payload []byte) {
	p.unread.Add(int64(len(payload)))
	p.write("message " + string(payload))
}

func (p *paper) Heartbeat() { p.write("heartbeat") }

func (p *paper) Closed(code int, reason string) { p.write(fmt.Sprintf("closed %d %s", code, reason)) }

func (p *paper) Buffered() int { return int(p.unread.Load()) }

func (p *paper) Shut() {
	p.write("shut")
	p.shut.Store(true)
}

func (p *paper) write(line string) {
	if p.shut.Load() {
		line += " after the end"
	}
	p.lines <- line
}

func (p *paper) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, line := range want {
		if got := wait(t, p.lines, line); got != line {
			t.Fatalf("got %.100q, want %.100q", got, line)
		}
	}
}

func (p *paper) expectNothing(t *testing.T) {
	t.Helper()
	select {
	case got := <-p.lines:
		t.Fatalf("got %.100q, want nothing", got)
	default:
	}
}

// bind makes the reactor of an engine turn, which the first connection does.
func bind(t *testing.T, s *script, addr string) {
	t.Helper()
	_ = open(t, addr, "real")
	s.do(t, func() {})
}

// openVirtual opens a virtual connection called name.
func openVirtual(t *testing.T, s *script, name string) (*loop.Virtual, *paper) {
	t.Helper()
	p := newPaper()
	v := s.PostOpen(frame.Request{Path: []byte("/" + name)}, netip.MustParseAddrPort("192.0.2.1:99"), p)
	s.do(t, func() {})
	return v, p
}

func messages(payloads ...string) (out [][]byte) {
	for _, p := range payloads {
		out = append(out, []byte(p))
	}
	return out
}

func TestVirtualConnection(t *testing.T) {
	for _, tt := range []struct {
		name   string
		act    func(t *testing.T, s *script, v *loop.Virtual, p *paper)
		open   bool // whether it is open afterwards
		closes map[int]uint64
	}{
		{
			"its messages come and go in order",
			func(t *testing.T, _ *script, v *loop.Virtual, p *paper) {
				if !v.PostMessages(messages("a", "", "c")) || !v.PostMessages(messages(strings.Repeat("d", 1<<16))) {
					t.Error("messages are refused")
				}
				p.expect(t, "message a", "message ", "message c", "message "+strings.Repeat("d", 1<<16))
			},
			true, nil,
		},
		{
			"the handler closes it with a code",
			func(t *testing.T, s *script, v *loop.Virtual, p *paper) {
				s.do(t, func() {
					s.SendCopy(s.conns["v"], frame.AppendText(nil, []byte("last words")))
					s.Close(s.conns["v"], 4001, "bye")
				})
				p.expect(t, "message last words", "closed 4001 bye", "shut")
				v.PostMessages(messages("late"))
				v.PostControl()
				v.PostClose()
				s.do(t, func() {})
				p.expectNothing(t)
			},
			false,
			map[int]uint64{4001: 1},
		},
		{
			"the handler closes it while it handles a message",
			func(t *testing.T, s *script, v *loop.Virtual, p *paper) {
				s.onMessage = func(string, []byte) { s.Close(s.conns["v"], 4002, "enough") }
				v.PostMessages(messages("one", "two"))
				p.expect(t, "closed 4002 enough", "shut")
			},
			false,
			map[int]uint64{4002: 1},
		},
		{
			"the client goes",
			func(t *testing.T, _ *script, v *loop.Virtual, p *paper) {
				v.PostClose()
				v.PostClose()
				p.expect(t, "shut")
			},
			false,
			map[int]uint64{1006: 1},
		},
		{
			"a message above the read limit closes it with 1009",
			func(t *testing.T, s *script, v *loop.Virtual, p *paper) {
				s.do(t, func() { s.SetReadLimit(s.conns["v"], 3) })
				v.PostMessages(messages("abc", "abcd", "e"))
				p.expect(t, "message abc", "closed 1009 Maximum message size exceeded", "shut")
			},
			false,
			map[int]uint64{1009: 1},
		},
		{
			"a message that is not UTF-8 closes it with 1007",
			func(t *testing.T, _ *script, v *loop.Virtual, p *paper) {
				v.PostMessages(messages("\xc3\x28"))
				p.expect(t, "closed 1007 text is not valid UTF-8", "shut")
			},
			false,
			map[int]uint64{1007: 1},
		},
		{
			"a panic closes it and no other",
			func(t *testing.T, s *script, v *loop.Virtual, p *paper) {
				_, other := openVirtual(t, s, "other")
				s.onMessage = func(string, []byte) { panic("the handler broke") }
				v.PostMessages(messages("x"))
				p.expect(t, "closed 1011 internal error", "shut")
				s.do(t, func() { s.Send(s.conns["other"], frame.AppendText(nil, []byte("still there"))) })
				other.expect(t, "message still there")
				s.do(t, func() { s.Close(s.conns["other"], 1000, "") })
			},
			false,
			map[int]uint64{1011: 1, 1000: 1},
		},
		{
			"a ping of the handler is a heartbeat and one of the client a control frame",
			func(t *testing.T, s *script, v *loop.Virtual, p *paper) {
				s.onControl = func(name string) {
					s.Send(s.conns[name], frame.AppendPing(frame.AppendPong(nil, nil), nil))
				}
				v.PostControl()
				p.expect(t, "heartbeat")
			},
			true, nil,
		},
		{
			"its peer is the one it was opened for",
			func(t *testing.T, s *script, _ *loop.Virtual, _ *paper) {
				s.do(t, func() {
					if got := s.ClientAddr(s.conns["v"]).String(); got != "192.0.2.1:99" {
						t.Errorf("got %s, want 192.0.2.1:99", got)
					}
				})
			},
			true, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			closed := make(chan string, 10)
			e, s, addr := startScript(t, loop.Options{}, func(s *script) { s.onClosed = func(name string) { closed <- name } })
			bind(t, s, addr)
			v, p := openVirtual(t, s, "v")
			tt.act(t, s, v, p)
			s.do(t, func() {})
			want := int64(1)
			if tt.open {
				want++
				p.expectNothing(t)
			}
			got := e.Stats()
			if got.Connections != want || got.Sockets != 1 || got.Opened < 2 {
				t.Errorf("%d connections on %d sockets, want %d on 1", got.Connections, got.Sockets, want)
			}
			if fmt.Sprint(got.Closes) != fmt.Sprint(tt.closes) {
				t.Errorf("closed with %v, want %v", got.Closes, tt.closes)
			}
			if n := len(closed); n != len(tt.closes) {
				t.Errorf("OnClosed was called %d times, want %d", n, len(tt.closes))
			}
		})
	}
}

func TestVirtualConnectionThatIsNotReadIsClosedAsSlow(t *testing.T) {
	const limit = 1000
	e, s, addr := startScript(t, loop.Options{MaxOutboundBytes: limit, SlowCode: 4100, SlowReason: "slow"}, nil)
	bind(t, s, addr)
	_, p := openVirtual(t, s, "v")
	text := strings.Repeat("x", 400)
	send := func() {
		s.do(t, func() { s.Send(s.conns["v"], frame.AppendText(nil, []byte(text))) })
		s.do(t, func() {})
	}
	for range 3 {
		send()
		p.expect(t, "message "+text)
	}
	p.unread.Store(limit)
	send()
	p.expect(t, "message "+text) // at the limit, not above
	send()
	p.expect(t, "closed 4100 slow", "shut")
	if got := e.Stats(); got.Slow != 1 || got.Closes[4100] != 1 {
		t.Errorf("got %+v, want one slow connection", got)
	}
}

// A large roster, for one, is a single message above the limit. Its client is
// behind by no fault of its own.
func TestVirtualConnectionMayBeBehindByOneLargeMessage(t *testing.T) {
	const limit = 1000
	_, s, addr := startScript(t, loop.Options{MaxOutboundBytes: limit, SlowCode: 4100, SlowReason: "slow"}, nil)
	bind(t, s, addr)
	_, p := openVirtual(t, s, "v")
	send := func(text string) {
		t.Helper()
		s.do(t, func() { s.Send(s.conns["v"], frame.AppendText(nil, []byte(text))) })
		s.do(t, func() {})
	}
	large, small := strings.Repeat("x", 5*limit), strings.Repeat("y", limit/2)
	send(large)
	p.expect(t, "message "+large)
	for range 3 {
		send(small)
		p.expect(t, "message "+small)
	}
	send(small) // on top of what may wait
	p.expect(t, "closed 4100 slow", "shut")
}

// Attack: a body full of empty messages has many of them and hardly a byte.
func TestVirtualConnectionCountsEmptyMessages(t *testing.T) {
	_, s, addr := startScript(t, loop.Options{}, nil)
	bind(t, s, addr)
	v, p := openVirtual(t, s, "v")
	release := s.hold(t)
	if !v.PostMessages(make([][]byte, 5000)) {
		t.Error("the first body is refused")
	}
	if v.PostMessages(make([][]byte, 1)) {
		t.Error("a message is taken while 5,000 wait")
	}
	v.PostClose()
	release()
	for wait(t, p.lines, "the end") != "shut" {
	}
}

func TestVirtualConnectionRefusesMessagesWhenTooManyWait(t *testing.T) {
	_, s, addr := startScript(t, loop.Options{}, nil)
	bind(t, s, addr)
	v, p := openVirtual(t, s, "v")
	release := s.hold(t)
	large := strings.Repeat("x", 1+64<<10)
	if !v.PostMessages(messages(large)) {
		t.Error("the first is refused")
	}
	if v.PostMessages(messages("too many")) {
		t.Error("one is taken while more than 64 KiB wait")
	}
	release()
	p.expect(t, "message "+large)
	p.unread.Store(0)
	if !v.PostMessages(messages("next")) {
		t.Error("one is refused after all are read")
	}
	p.expect(t, "message next")
}

func TestVirtualConnectionHasDeadlines(t *testing.T) {
	o, c := stopped(loop.Options{})
	e, s, addr := startScript(t, o, nil)
	bind(t, s, addr)
	_, p := openVirtual(t, s, "v")
	s.do(t, func() {
		s.onDeadline = func(name string) { s.Close(s.conns[name], 4201, "silent") }
		s.SetDeadline(s.conns["v"], s.Now()+5)
	})
	c.sweepAt(t, 4*time.Second, e, s)
	p.expectNothing(t)
	c.sweepAt(t, 6*time.Second, e, s)
	p.expect(t, "closed 4201 silent", "shut")
}

func TestDrainClosesVirtualConnections(t *testing.T) {
	e, s, addr := startScript(t, loop.Options{}, nil)
	socket := open(t, addr, "real")
	var papers []*paper
	for i := range 10 {
		_, p := openVirtual(t, s, fmt.Sprint(i))
		papers = append(papers, p)
	}
	_ = socket.Close()
	e.Drain(4200, "restart", 0)
	for _, p := range papers {
		p.expect(t, "closed 4200 restart", "shut")
	}
	_, late := openVirtual(t, s, "late")
	late.expect(t, "shut")
	if got := e.Stats(); got.Connections != 0 || got.Closes[4200] < 10 {
		t.Errorf("got %+v, want no connections and 10 closed with 4200", got)
	}
}

// A handle that a virtual connection gives back in the middle of a broadcast must
// not cost others their frames.
func TestBroadcastSurvivesVirtualConnectionsThatOverflow(t *testing.T) {
	const limit = 100
	_, s, addr := startScript(t, loop.Options{MaxOutboundBytes: limit}, nil)
	bind(t, s, addr)
	text := strings.Repeat("x", 90)
	var papers []*paper
	for i := range 6 {
		_, p := openVirtual(t, s, fmt.Sprint(i))
		if i%2 == 0 {
			p.unread.Store(limit + 1)
		}
		papers = append(papers, p)
	}
	s.do(t, func() {
		for range 2 {
			for _, conn := range s.conns {
				s.Send(conn, frame.AppendText(nil, []byte(text)))
			}
		}
	})
	for i, p := range papers {
		if i%2 == 0 {
			p.expect(t, "closed 1008 read too slowly", "shut")
		} else {
			p.expect(t, "message "+text, "message "+text)
		}
	}
}

func TestHandedOverConnectionHalfCloses(t *testing.T) {
	l := loop.NewHTTPListener(nil)
	_, s, addr := startScript(t, loop.Options{HandOver: l.Offer, WebSocketPrefix: "/app/"}, nil)
	c := connect(t, addr)
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	h := accepted.(*loop.HTTPConn)
	if h.Reactor() != s.Reactor {
		t.Error("its reactor is another one")
	}
	if err := h.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	receiveEnd(t, c)
	if _, err := io.WriteString(c, "more"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len("POST / HTTP/1.1\r\nmore"))
	if _, err := io.ReadFull(h, got); err != nil || string(got) != "POST / HTTP/1.1\r\nmore" {
		t.Errorf("got %q, %v, want what the client sent", got, err)
	}
}
