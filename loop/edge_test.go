package loop_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/frame"
	"resound/loop"
	"resound/loop/edge"
)

// trusting returns an Edge that trusts some prefixes.
func trusting(prefixes ...string) loop.Edge {
	var all []netip.Prefix
	for _, p := range prefixes {
		all = append(all, netip.MustParsePrefix(p))
	}
	return loop.Edge{Trusted: edge.NewTrusted(all)}
}

// dialFrom connects from an address of this host, without TLS.
func dialFrom(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// named is a handshake with more header lines.
func named(name string, lines ...string) string {
	h := strings.Replace(handshake, "GET /", "GET /"+name, 1)
	for _, line := range lines {
		h = strings.Replace(h, "Host: a\r\n", "Host: a\r\n"+line+"\r\n", 1)
	}
	return h
}

// binaryHeader is a PROXY header of version 2 for a TCP connection from an address.
func binaryHeader(from string, more ...byte) string {
	a := netip.MustParseAddrPort(from)
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11")
	ip := a.Addr().AsSlice()
	if len(ip) == 16 {
		b[13] = 0x21
	}
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(ip)+4+len(more)))
	b = append(append(b, ip...), ip...)
	b = binary.BigEndian.AppendUint16(b, a.Port())
	b = binary.BigEndian.AppendUint16(b, 443)
	return string(append(b, more...))
}

const (
	textHeader = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"
	upgraded   = "HTTP/1.1 101 "
)

// TestWhoIsTheClient: each row sends bytes and wants to be known by an address, or
// to be closed without a word.
func TestWhoIsTheClient(t *testing.T) {
	if overTLS {
		t.Skip("the rows are in plaintext; TestProxyHeaderBeforeTLS has TLS")
	}
	const self = "itself"
	forwarded := func(l ...string) []string { return l }
	for _, row := range []struct {
		name    string
		trusted string
		mode    loop.ProxyProtocol
		header  string
		lines   []string
		want    string // address, self, or empty for refused
	}{
		{"nobody speaks for anybody", "127.0.0.1/32", loop.ProxyOff, "", nil, self},
		{"X-Forwarded-For of a trusted peer", "127.0.0.1/32", loop.ProxyOff, "", forwarded("X-Forwarded-For: 198.51.100.1, 203.0.113.7"), "203.0.113.7:0"},
		{"X-Forwarded-For of anybody else", "10.0.0.0/8", loop.ProxyOff, "", forwarded("X-Forwarded-For: 203.0.113.7"), self},
		{"X-Forwarded-For of garbage", "127.0.0.1/32", loop.ProxyOff, "", forwarded("X-Forwarded-For: unknown"), self},
		{"everybody is trusted", "0.0.0.0/0", loop.ProxyOff, "", forwarded("X-Forwarded-For: 198.51.100.1, 127.0.0.9"), "127.0.0.9:0"},

		{"version 1", "127.0.0.1/32", loop.ProxyRequired, textHeader, nil, "203.0.113.7:4711"},
		{"version 2", "127.0.0.1/32", loop.ProxyRequired, binaryHeader("203.0.113.7:4711"), nil, "203.0.113.7:4711"},
		{"version 2, IPv6 and more", "127.0.0.1/32", loop.ProxyRequired, binaryHeader("[2001:db8::1]:4711", 4, 0, 1, 0), nil, "[2001:db8::1]:4711"},
		{"a proxy of proxies", "127.0.0.1/32", loop.ProxyRequired, textHeader, forwarded("X-Forwarded-For: 198.51.100.1"), "203.0.113.7:4711"},
		{"both", "203.0.113.0/24", loop.ProxyOptional, "", forwarded("X-Forwarded-For: 198.51.100.1"), self},
		{"the proxy for itself", "127.0.0.1/32", loop.ProxyRequired, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", nil, self},
		{"a proxy that does not know", "127.0.0.1/32", loop.ProxyRequired, "PROXY UNKNOWN\r\n", nil, self},
		{"optional, and there", "127.0.0.1/32", loop.ProxyOptional, textHeader, nil, "203.0.113.7:4711"},
		{"optional, and not there", "127.0.0.1/32", loop.ProxyOptional, "", nil, self},
		{"required, and not there", "127.0.0.1/32", loop.ProxyRequired, "", nil, ""},
		{"broken", "127.0.0.1/32", loop.ProxyOptional, "PROXY TCP4 203.0.113.7\r\n", nil, ""},
		{"a second one", "127.0.0.1/32", loop.ProxyRequired, textHeader + textHeader, nil, ""},
		{"from anybody else", "10.0.0.0/8", loop.ProxyRequired, textHeader, nil, ""},
		{"version 2 from anybody else", "10.0.0.0/8", loop.ProxyOptional, binaryHeader("203.0.113.7:4711"), nil, ""},
		{"nobody trusted", "", loop.ProxyRequired, textHeader, nil, ""},
		{"anybody else without one", "10.0.0.0/8", loop.ProxyRequired, "", nil, self},
		{"not switched on", "127.0.0.1/32", loop.ProxyOff, textHeader, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var set loop.Edge
			if row.trusted != "" {
				set = trusting(row.trusted)
			}
			set.ProxyProtocol = row.mode
			e, s, addr := startScript(t, loop.Options{Edge: set}, nil)
			stream := row.header + named("a", row.lines...)
			// Cut anywhere, as far as that can be had without waiting.
			for _, cut := range []int{0, 1, 5, 6, 11, 12, 15, 16, len(row.header)} {
				cut = min(cut, len(stream))
				c := dialFrom(t, "127.0.0.1", addr)
				for _, part := range []string{stream[:cut], stream[cut:]} {
					_, _ = io.WriteString(c, part)
				}
				got := readUntil(t, c, "\r\n\r\n")
				if row.want == "" {
					if strings.Contains(got, upgraded) {
						t.Errorf("cut at %d: got %q, want to be refused", cut, got)
					}
					continue
				}
				if !strings.Contains(got, upgraded) {
					t.Fatalf("cut at %d: got %q, want a 101", cut, got)
				}
				want := row.want
				if want == self {
					want = c.LocalAddr().String()
				}
				s.do(t, func() {
					if got := s.ClientAddr(s.conns["a"]).String(); got != want {
						t.Errorf("cut at %d: the client is %s, want %s", cut, got, want)
					}
					if state, _ := s.Inspect(s.conns["a"]); state.Remote.String() != want {
						t.Errorf("cut at %d: Inspect says %s, want %s", cut, state.Remote, want)
					}
				})
				echoes(t, c) // what is behind the header are the first bytes
				_ = c.Close()
				eventually(t, func() bool { return e.Stats().Sockets == 0 })
			}
			if refused := e.Stats().Misproxied > 0; refused != (row.want == "" && row.mode != loop.ProxyOff && row.name != "a second one") {
				t.Errorf("Misproxied is %d", e.Stats().Misproxied)
			}
		})
	}
}

// secured writes a header and makes the TLS handshake behind it.
func secured(t *testing.T, c net.Conn, header string) net.Conn {
	t.Helper()
	if _, err := io.WriteString(c, header); err != nil {
		t.Fatal(err)
	}
	secure := tls.Client(c, clientTLS())
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secure
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) { // a state of another goroutine
		if time.Now().After(deadline) {
			t.Fatal("it never came to pass")
		}
	}
}

// TestLimitsOfAnAddress: what one address takes is not missing to another.
func TestLimitsOfAnAddress(t *testing.T) {
	if overTLS {
		t.Skip("the refusals are in plaintext")
	}
	const code = 4100
	start := func(t *testing.T, set loop.Edge) (*loop.Engine, *clock, string) {
		t.Helper()
		o, c := stopped(loop.Options{Edge: set, LateCode: code, LateReason: "too many"})
		e, _, addr := startScript(t, o, nil)
		return e, c, addr
	}
	// from opens a connection and returns what it is told.
	from := func(t *testing.T, address, addr string, lines ...string) (net.Conn, string) {
		t.Helper()
		c := dialFrom(t, address, addr)
		_, _ = io.WriteString(c, named("x", lines...))
		got := readUntil(t, c, "\r\n\r\n")
		if rest := got[strings.Index(got+"\r\n\r\n", "\r\n\r\n"):]; !strings.Contains(rest, "too many") && strings.Contains(got, upgraded) {
			_, _ = io.WriteString(c, string(masked(0x9, true, "?")))
			got += readUntil(t, c, "?")
		}
		return c, got
	}
	const (
		open    = "\x8a\x01?"
		toldOff = "\x88\x0a\x10\x04too many"
	)
	check := func(t *testing.T, what, got, want string) {
		t.Helper()
		if want == "" && got != "" || !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %q, want %q at the end", what, got, want)
		}
	}
	t.Run("connections", func(t *testing.T) {
		e, _, addr := start(t, loop.Edge{Limits: edge.Limits{Connections: 2}})
		var all []net.Conn
		for i, want := range []string{open, open, toldOff, toldOff, "", ""} {
			c, got := from(t, "127.0.0.5", addr)
			check(t, "connection "+string(rune('1'+i)), got, want)
			all = append(all, c)
		}
		_, got := from(t, "127.0.0.6", addr)
		check(t, "another address", got, open)
		for range 5 {
			_, got := from(t, "127.0.0.1", addr)
			check(t, "this host", got, open)
		}
		if got := e.Stats().Crowded; got != 4 {
			t.Errorf("%d are counted as refused, want 4", got)
		}
		for _, c := range all[1:] {
			_ = c.Close()
		}
		eventually(t, func() bool {
			c, got := from(t, "127.0.0.5", addr)
			defer c.Close()
			return strings.HasSuffix(got, open)
		})
	})
	t.Run("connections that speak HTTP", func(t *testing.T) {
		listener := loop.NewHTTPListener(&net.TCPAddr{})
		o, _ := stopped(loop.Options{HandOver: listener.Offer, WebSocketPrefix: "/app/", Edge: loop.Edge{Limits: edge.Limits{Connections: 1}}})
		e, _, addr := startScript(t, o, nil)
		ask := func() net.Conn {
			c := dialFrom(t, "127.0.0.5", addr)
			_, _ = io.WriteString(c, "GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
			return c
		}
		ask()
		first, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		second := ask()
		got, _ := io.ReadAll(second)
		_ = second.Close()
		if want := string(frame.AppendRejection(nil, frame.RejectTooMany)); string(got) != want || !strings.Contains(want, "429") || !strings.Contains(want, "Retry-After: 1\r\n") {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := e.Addresses(); got != 1 {
			t.Errorf("%d addresses are counted for, want 1", got)
		}
		_ = first.Close()
		_ = first.Close() // counts once
		eventually(t, func() bool { return e.Addresses() == 0 })
	})
	t.Run("handshakes", func(t *testing.T) {
		e, clock, addr := start(t, loop.Edge{Limits: edge.Limits{HandshakesPerSecond: 2}})
		for _, want := range []string{open, open, toldOff, toldOff, ""} {
			_, got := from(t, "127.0.0.5", addr)
			check(t, "a flood", got, want)
			_, got = from(t, "127.0.0.6", addr)
			_ = got
		}
		clock.elapsed.Add(int64(time.Second))
		_, got := from(t, "127.0.0.5", addr)
		check(t, "a second later", got, open)
		if got := e.Addresses(); got != 0 {
			t.Errorf("%d addresses are held, want none: there is no limit of connections", got)
		}
	})
	t.Run("of a forwarded address", func(t *testing.T) {
		set := trusting("127.0.0.5/32")
		set.Limits = edge.Limits{Connections: 1}
		e, _, addr := start(t, set)
		for _, row := range []struct{ forwarded, want string }{
			{"203.0.113.7", open},
			{"203.0.113.7", toldOff},
			{"203.0.113.7", toldOff},
			{"203.0.113.7", toldOff}, // the proxy's socket stays, so it is always told
			{"203.0.113.8", open},
			{"2001:db8:0:1::1", open},
			{"2001:db8:0:1::2", toldOff},
			{"2001:db8:0:2::1", open},
		} {
			_, got := from(t, "127.0.0.5", addr, "X-Forwarded-For: "+row.forwarded)
			check(t, row.forwarded, got, row.want)
		}
		for range 3 {
			_, got := from(t, "127.0.0.5", addr)
			check(t, "the proxy for itself", got, open)
		}
		if got := e.Addresses(); got != 4 {
			t.Errorf("%d addresses are counted for, want 4", got)
		}
	})
	t.Run("of an address in a PROXY header", func(t *testing.T) {
		set := trusting("127.0.0.5/32")
		set.Limits, set.ProxyProtocol = edge.Limits{Connections: 1}, loop.ProxyRequired
		e, _, addr := start(t, set)
		for _, want := range []string{open, toldOff, ""} {
			c := dialFrom(t, "127.0.0.5", addr)
			_, _ = io.WriteString(c, textHeader+named("x"))
			got := readUntil(t, c, "\r\n\r\n")
			if want == open {
				want = "\r\n\r\n"
			}
			check(t, "", got, want)
		}
		if got := e.Stats().Crowded; got != 2 {
			t.Errorf("%d are counted as refused, want 2", got)
		}
	})
	t.Run("before the first byte", func(t *testing.T) {
		set := trusting("127.0.0.9/32")
		set.Limits, set.ProxyProtocol = edge.Limits{Connections: 1}, loop.ProxyRequired
		e, _, addr := start(t, set)
		dialFrom(t, "127.0.0.5", addr)
		eventually(t, func() bool { return e.Stats().Sockets == 1 })
		_, got := from(t, "127.0.0.5", addr)
		check(t, "beside one that says nothing", got, toldOff)
		dialFrom(t, "127.0.0.9", addr) // a proxy counts once it has said for whom
		eventually(t, func() bool { return e.Stats().Sockets == 3 })
		if got := e.Addresses(); got != 1 {
			t.Errorf("%d addresses are counted for, want 1", got)
		}
	})
	t.Run("set and taken away while it runs", func(t *testing.T) {
		e, _, addr := start(t, loop.Edge{})
		_, got := from(t, "127.0.0.5", addr)
		check(t, "without limits", got, open)
		e.SetEdge(loop.Edge{Limits: edge.Limits{Connections: 1}})
		c, got := from(t, "127.0.0.5", addr)
		check(t, "the first with a limit", got, open)
		_, got = from(t, "127.0.0.5", addr)
		check(t, "the second", got, toldOff)
		e.SetEdge(loop.Edge{})
		_, got = from(t, "127.0.0.5", addr)
		check(t, "without limits again", got, open)
		_ = c.Close()
	})
}

// TestLimitsCostNothingWhenOff: no address is kept.
func TestLimitsCostNothingWhenOff(t *testing.T) {
	e, s, addr := startScript(t, loop.Options{Edge: trusting("10.0.0.0/8")}, nil)
	open(t, addr, "a")
	s.do(t, func() {
		if got := s.KeptClients(); got != 0 {
			t.Errorf("%d blocks of addresses are kept, want none", got)
		}
	})
	if got := e.Addresses(); got != 0 {
		t.Errorf("%d addresses are counted for, want none", got)
	}
}

func TestProxyHeaderBeforeTLS(t *testing.T) {
	if !overTLS {
		t.Skip("this is about TLS")
	}
	set := trusting("127.0.0.1/32")
	set.ProxyProtocol = loop.ProxyRequired
	_, s, addr := startScript(t, loop.Options{Edge: set}, nil)
	for _, header := range []string{textHeader, binaryHeader("203.0.113.7:4711", bytes.Repeat([]byte{1, 0, 0}, 300)...)} {
		c := secured(t, dialFrom(t, "127.0.0.1", addr), header)
		_, _ = io.WriteString(c, named("a"))
		readUntil(t, c, "\r\n\r\n")
		s.do(t, func() {
			if got := s.ClientAddr(s.conns["a"]).String(); got != "203.0.113.7:4711" {
				t.Errorf("the client is %s", got)
			}
		})
		echoes(t, c)
	}
}

// TestLimitHoldsBeforeTLS: who is above the limit costs no handshake.
func TestLimitHoldsBeforeTLS(t *testing.T) {
	if !overTLS {
		t.Skip("this is about TLS")
	}
	e, _, addr := startScript(t, loop.Options{Edge: loop.Edge{Limits: edge.Limits{Connections: 1}}}, nil)
	secured(t, dialFrom(t, "127.0.0.5", addr), "")
	if got, _ := io.ReadAll(dialFrom(t, "127.0.0.5", addr)); len(got) > 0 {
		t.Errorf("got %q, want nothing", got)
	}
	secured(t, dialFrom(t, "127.0.0.6", addr), "")
	if got := e.Stats(); got.Crowded != 1 || got.TLSFailed != 0 {
		t.Errorf("got %d refused and %d failed handshakes, want 1 and 0", got.Crowded, got.TLSFailed)
	}
}

// TestUnixSocket: a connection there is one like any other, and its peer is trusted.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var listener *loop.HTTPListener
	s := &script{conns: make(map[string]int32), names: make(map[int32]string)}
	set := loop.Edge{Limits: edge.Limits{Connections: 1}}
	e, err := loop.New(local(loop.Options{
		Unix: l, Edge: set, WebSocketPrefix: "/app/", Reactors: 1,
		HandOver:   func(c *loop.HTTPConn) bool { return listener.Offer(c) },
		NewHandler: func(r *loop.Reactor) loop.Handler { s.Reactor = r; return s },
	}))
	if err != nil {
		t.Fatal(err)
	}
	listener = loop.NewHTTPListener(e.Addr())
	asked := make(chan *loop.HTTPConn, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	})}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			asked <- c.(*loop.HTTPConn)
			go func() { _ = server.Serve(&oneConn{c: c}) }()
		}
	}()
	t.Cleanup(func() {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	start(t, e, nil)
	t.Cleanup(func() { _ = server.Close(); _ = listener.Close() })

	dial := func() net.Conn {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		return c
	}
	for i, want := range []string{"invalid AddrPort", "203.0.113.7:0"} {
		c := dial()
		var lines []string
		if i == 1 {
			lines = []string{"X-Forwarded-For: 203.0.113.7"}
		}
		_, _ = io.WriteString(c, named("app/x", lines...))
		if got := readUntil(t, c, "\r\n\r\n"); !strings.Contains(got, upgraded) {
			t.Fatalf("got %q, want a 101", got)
		}
		s.do(t, func() {
			if got := s.ClientAddr(s.conns["app/x"]).String(); got != want {
				t.Errorf("the client is %s, want %s", got, want)
			}
			if state, ok := s.Inspect(s.conns["app/x"]); !ok || state.TCP {
				t.Errorf("Inspect says %+v, want no TCP", state)
			}
		})
		echoes(t, c)
	}
	c := dial()
	_, _ = io.WriteString(c, "GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := readUntil(t, c, "/up"); !strings.HasSuffix(got, "/up") {
		t.Errorf("got %q", got)
	}
	h := <-asked
	if client, direct := h.Client([][]byte{[]byte("203.0.113.9")}); client.String() != "203.0.113.9:0" || direct {
		t.Errorf("the client is %v, direct %t, want 203.0.113.9:0 and false", client, direct)
	}
	if client, direct := h.Client(nil); client.IsValid() || direct {
		t.Errorf("the client is %v, direct %t, want none and false", client, direct)
	}
}

// oneConn is a listener with one connection.
type oneConn struct{ c net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	if l.c == nil {
		return nil, net.ErrClosed
	}
	c := l.c
	l.c = nil
	return c, nil
}
func (*oneConn) Close() error   { return nil }
func (*oneConn) Addr() net.Addr { return &net.UnixAddr{} }
