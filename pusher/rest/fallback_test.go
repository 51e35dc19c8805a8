package rest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"resound/pusher"
)

func TestStreamingSession(t *testing.T) {
	r := serveFallback(t, nil)
	l := r.stream()
	c := r.open()
	l.begin()
	l.expect("o", `a["hello"]`)
	for field, want := range map[string][]byte{
		"/app/" + appKey: c.handshake.Path, sessionArgs[1:]: c.handshake.Query, "http://page.test": c.handshake.Origin, "x": c.handshake.Host,
	} {
		if string(want) != field {
			t.Errorf("the handshake has %q, want %q", want, field)
		}
	}
	c.Message([]byte(`{"event":"é","data":"\"<line\nbreak>"}`))
	l.expect(`a["{\"event\":\"é\",\"data\":\"\\\"\u003cline\\nbreak\u003e\"}"]`)
	c.Heartbeat()
	l.expect("h")

	if got := r.poll("xhr_send", `["one","tw\u006f"]`); got.status != 204 || got.body != "" {
		t.Errorf("got %d %q, want 204", got.status, got.body)
	}
	if got := r.poll("xhr_send", `[]`); got.status != 204 {
		t.Errorf("got %d %q, want 204", got.status, got.body)
	}
	c.expect(t, "messages one|two", "control")

	c.Message([]byte("last words"))
	c.Closed(4200, `say "bye"`)
	c.Shut()
	l.expect(`a["last words"]`, `c[4200,"say \"bye\""]`)
	l.expectEnd()
	c.expect(t, "close")
	r.poll("xhr_send", `["late"]`).check(t, 404, "There is no such session")
	c.Message([]byte("nobody listens"))
	if got := c.Buffered(); got != 0 {
		t.Errorf("%d bytes are kept for a session that has ended, want none", got)
	}
}

func TestPollingSession(t *testing.T) {
	r := serveFallback(t, func(o *Options, _ *fixture) { o.Fallback.HeartbeatInterval = 30 * time.Millisecond })
	conn := dial(t, r.addr)
	in := bufio.NewReader(conn)
	r.write(conn, "xhr", "")
	c := r.open()
	readAnswer(t, in).checkLines(t, "o", `a["hello"]`)

	// The next poll comes on the same connection and finds what came between.
	c.Message([]byte("between"))
	c.Message([]byte("polls"))
	r.write(conn, "xhr", "")
	readAnswer(t, in).checkLines(t, `a["between","polls"]`)
	c.expect(t, "control")

	// A poll without news ends with a heartbeat, and the connection is as good
	// as before.
	r.write(conn, "xhr", "")
	readAnswer(t, in).checkLines(t, "h")

	// What is sent together with the last words is told before them.
	c.Message([]byte("last words"))
	c.Closed(4001, "bye")
	c.Shut()
	r.write(conn, "xhr", "")
	readAnswer(t, in).checkLines(t, `a["last words"]`)
	r.write(conn, "xhr", "")
	got := readAnswer(t, in)
	got.checkLines(t, `c[4001,"bye"]`)
	if got.closed {
		t.Error("the answer to a poll ends the connection")
	}
	c.expect(t, "control", "control", "control", "close")
}

func TestPollWaitsForNews(t *testing.T) {
	r := serveFallback(t, nil)
	first := r.post("xhr", "")
	c := r.open()
	readAnswer(t, bufio.NewReader(first)).checkLines(t, "o", `a["hello"]`)
	second := r.post("xhr", "")
	c.expect(t, "control") // it is the receiver now
	c.Message([]byte("news"))
	readAnswer(t, bufio.NewReader(second)).checkLines(t, `a["news"]`)
}

func TestSilentStreamGetsHeartbeats(t *testing.T) {
	r := serveFallback(t, func(o *Options, _ *fixture) { o.Fallback.HeartbeatInterval = 10 * time.Millisecond })
	l := r.stream()
	r.open()
	l.begin()
	l.expect("o", `a["hello"]`, "h", "h", "h")
}

func TestFallbackRefuses(t *testing.T) {
	open := func(r *fakeReactor) { r.post("xhr_streaming", ""); r.open() }
	for _, tt := range []struct {
		name   string
		change func(*Options, *fixture)
		before func(r *fakeReactor)
		path   string // below the app's; empty for the session's
		verb   string
		body   string
		status int
		text   string
	}{
		{"a sending request of an unknown session", nil, nil, "", "xhr_send", `["x"]`, 404, "There is no such session on this node."},
		{"a body that is no JSON", nil, open, "", "xhr_send", `garbage`, 400, "The body must be a JSON array of messages"},
		{"no body", nil, open, "", "xhr_send", ``, 400, "The body must be"},
		{"a body that is no array", nil, open, "", "xhr_send", `{"a":"b"}`, 400, "The body must be"},
		{"a message that is no string", nil, open, "", "xhr_send", `["a",1]`, 400, "The body must be"},
		{"a body cut off", nil, open, "", "xhr_send", `["a"`, 400, "The body must be"},
		{"a body that is nested deeply", nil, open, "", "xhr_send", strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000), 400, "The body must be"},
		{"a body above its limit", nil, open, "", "xhr_send", `["` + strings.Repeat("x", 64<<10) + `"]`, 413, "Payload too large. The limit is 65536 bytes"},
		{"a session id with other characters", nil, nil, "/1/a%2Fb/", "xhr", "", 400, "The session must be"},
		{"a session id too long", nil, nil, "/1/" + strings.Repeat("x", 65) + "/", "xhr", "", 400, "The session must be"},
		{"a server number too long", nil, nil, "/" + strings.Repeat("1", 17) + "/x/", "xhr_streaming", "", 400, "The session must be"},
		{"an unknown operation", nil, nil, "", "xhr_other", "", 404, "Not found."},
		{"a session more than there may be", func(o *Options, _ *fixture) { o.Fallback.MaxSessions = 1 }, open, "/1/other/", "xhr", "", 503, "Too many sessions"},
		{"a session while the node drains", func(_ *Options, f *fixture) { f.node.Drain() }, nil, "", "xhr", "", 503, "The server takes no new connections now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := serveFallback(t, tt.change)
			if tt.before != nil {
				tt.before(r)
			}
			path := tt.path
			if path == "" {
				path = "/123/abcdefgh/"
			}
			c := dial(t, r.addr)
			fmt.Fprintf(c, "POST /pusher/app/%s%s%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", appKey, path, tt.verb, len(tt.body), tt.body)
			readResponse(t, bufio.NewReader(c), "POST").check(t, tt.status, tt.text)
		})
	}
}

func TestMessagesThatTheReactorRefuses(t *testing.T) {
	r := serveFallback(t, nil)
	r.post("xhr_streaming", "")
	c := r.open()
	c.full = true
	r.poll("xhr_send", `["x"]`).check(t, 429, "Too many messages of the session wait")
}

func TestConnectionThatTheReactorRefuses(t *testing.T) {
	for _, operation := range []string{"xhr_streaming", "xhr"} {
		t.Run(operation, func(t *testing.T) {
			r := serveFallback(t, nil)
			conn := r.post(operation, "")
			c := receive(t, r.opened, "the connection")
			c.Shut()
			if got := readAnswer(t, bufio.NewReader(conn)); got.status != 503 || got.header.Get("Retry-After") != "1" {
				t.Errorf("got %d with %v, want 503 and a time to wait", got.status, got.header)
			}
			c.expect(t, "close")
		})
	}
}

func TestNoFallbackHasNoRoutes(t *testing.T) {
	f := newFixture(t, nil)
	f.send("POST", sessionPath+"xhr", "").check(t, 404, "Not found.")
}

// Browsers ask before each request: its body is said to be JSON.
func TestFallbackPreflight(t *testing.T) {
	r := serveFallback(t, nil)
	for _, prefix := range []string{"/pusher", ""} {
		for _, operation := range []string{"xhr_streaming", "xhr", "xhr_send"} {
			c := dial(t, r.addr)
			fmt.Fprintf(c, "OPTIONS %s HTTP/1.1\r\nHost: x\r\nOrigin: http://page.test\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n",
				strings.Replace(sessionPath, "/pusher", prefix, 1)+operation+sessionArgs)
			got, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "OPTIONS"})
			if err != nil {
				t.Fatal(err)
			}
			if h := got.Header; got.StatusCode != 204 || h.Get("Access-Control-Allow-Origin") != "*" ||
				h.Get("Access-Control-Allow-Methods") != "POST" || h.Get("Access-Control-Allow-Headers") != "Content-Type" {
				t.Errorf("%s: got %d with %v", operation, got.StatusCode, h)
			}
		}
	}
}

func TestRequestsOfASessionCutAnywhere(t *testing.T) {
	r := serveFallback(t, nil)
	l := r.stream()
	c := r.open()
	l.begin()
	request := fmt.Sprintf("POST %sxhr_send HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n[\"frame\"]", sessionPath)
	in := dial(t, r.addr)
	answers := bufio.NewReader(in)
	for piece := 1; piece < len(request); piece += 7 {
		for rest := request; rest != ""; {
			n := min(piece, len(rest))
			if _, err := io.WriteString(in, rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got := readAnswer(t, answers); got.status != 204 {
			t.Fatalf("in pieces of %d: %d %q", piece, got.status, got.body)
		}
		c.expect(t, "messages frame")
	}
}

func TestHTTP10ProxyGetsTheStream(t *testing.T) {
	r := serveFallback(t, nil)
	conn := dial(t, r.addr)
	fmt.Fprintf(conn, "POST %sxhr_streaming HTTP/1.0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", sessionPath)
	c := r.open()
	l := &lines{t, conn, bufio.NewReader(conn)}
	l.begin()
	l.expect("o", `a["hello"]`)
	c.Closed(4200, "")
	l.expect(`c[4200,""]`)
	l.expectEnd()
}

// messagesOf returns numbered messages of all sizes, some of them beyond the
// basic plane.
func messagesOf(n int, seed uint64) []string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i, " ", strings.Repeat([]string{"x", "é", "😀", `"\`}[rnd.IntN(4)], rnd.IntN(20_000)))
	}
	return out
}

// pusher-js drops a stream after 256 Ki UTF-16 units and opens another. Nothing
// may be under way then.
func TestStreamThatIsOpenedAgainLosesAndRepeatsNothing(t *testing.T) {
	r := serveFallback(t, nil)
	want := messagesOf(150, 7)
	k := &scriptClient{t: t}
	l := r.stream()
	c := receive(t, r.opened, "the connection")
	// What waits leaves in one line: few may, or all go at once in one stream.
	waiting := make(chan struct{}, 8)
	go func() {
		for _, m := range want {
			waiting <- struct{}{}
			c.Message([]byte(m))
		}
	}()
	streams := 1
	l.begin()
	for units := 0; len(k.messages) < len(want); {
		line, err := l.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d messages: %v", len(k.messages), err)
		}
		had := len(k.messages)
		k.take(line)
		for range len(k.messages) - had {
			<-waiting
		}
		if units += len(utf16.Encode([]rune(line))); units > 256<<10 {
			if l.Buffered() > 0 {
				t.Fatalf("%d bytes come behind the line at which a client drops the stream", l.Buffered())
			}
			l.c.Close()
			l, units = r.stream(), 0
			streams++
			if len(k.messages) < len(want) {
				l.begin()
			}
		}
	}
	if !slices.Equal(k.messages, want) {
		t.Errorf("got %d messages, other than the %d that were sent", len(k.messages), len(want))
	}
	if streams < 3 {
		t.Errorf("%d streams, want several", streams)
	}
}

func TestPollsLoseAndRepeatNothing(t *testing.T) {
	r := serveFallback(t, nil)
	want := messagesOf(100, 8)
	k := &scriptClient{t: t}
	conn := dial(t, r.addr)
	in := bufio.NewReader(conn)
	r.write(conn, "xhr", "")
	c := receive(t, r.opened, "the connection")
	go func() {
		for _, m := range want {
			c.Message([]byte(m))
		}
	}()
	for {
		for line := range strings.Lines(readAnswer(t, in).body) {
			k.take(line)
		}
		if len(k.messages) >= len(want) {
			break
		}
		r.write(conn, "xhr", "")
	}
	if !slices.Equal(k.messages, want) {
		t.Errorf("got %d messages, other than the %d that were sent", len(k.messages), len(want))
	}
}

func TestNewerReceivingRequestReplacesTheOlder(t *testing.T) {
	for _, operation := range []string{"xhr_streaming", "xhr"} {
		t.Run("a stream replaces "+operation, func(t *testing.T) {
			r := serveFallback(t, nil)
			l := r.stream()
			c := r.open()
			l.begin()
			l.expect("o", `a["hello"]`)
			if operation == "xhr" {
				older := r.post("xhr", "")
				l.expectEnd()
				c.expect(t, "control")
				defer func() {
					if got := readAnswer(t, bufio.NewReader(older)); got.status != 200 || got.body != "" {
						t.Errorf("the older poll got %d %q, want an empty 200", got.status, got.body)
					}
				}()
			}
			newer := r.stream()
			if operation != "xhr" {
				l.expectEnd()
			}
			c.expect(t, "control")
			c.Message([]byte("for the newer"))
			newer.begin()
			newer.expect(`a["for the newer"]`)
		})
	}
}

func TestSessionEndsWithoutAReceiver(t *testing.T) {
	short := func(o *Options, _ *fixture) { o.Fallback.GraceTime = 20 * time.Millisecond }
	for _, tt := range []struct {
		name string
		act  func(r *fakeReactor) *fakeConn
	}{
		{"when its stream is cut", func(r *fakeReactor) *fakeConn {
			l := r.stream()
			c := r.open()
			l.begin()
			l.c.Close()
			return c
		}},
		{"when its poll is cut", func(r *fakeReactor) *fakeConn {
			conn := r.post("xhr", "")
			c := receive(r.t, r.opened, "the connection")
			conn.Close()
			return c
		}},
		{"when no other poll comes", func(r *fakeReactor) *fakeConn {
			conn := r.post("xhr", "")
			c := r.open()
			readAnswer(r.t, bufio.NewReader(conn)).checkLines(r.t, "o", `a["hello"]`)
			return c
		}},
		{"when a stream is not opened again", func(r *fakeReactor) *fakeConn {
			l := r.stream()
			c := r.open()
			l.begin()
			large := strings.Repeat("x", 256<<10)
			c.Message([]byte(large))
			l.expect("o")
			_, _ = io.Copy(io.Discard, l) // until it is given up
			return c
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := serveFallback(t, short)
			tt.act(r).expect(t, "close")
			r.poll("xhr_send", `["late"]`).check(t, 404, "There is no such session")
		})
	}
}

func TestClientThatReadsNothing(t *testing.T) {
	r := serveFallback(t, func(o *Options, _ *fixture) { o.WriteTimeout = 50 * time.Millisecond })
	l := r.stream()
	c := r.open()
	if err := l.c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
		t.Fatal(err)
	}
	// One line, and much more than socket buffers hold.
	large := bytes.Repeat([]byte("x"), 16<<20)
	c.Message(large)
	if got := c.Buffered(); got < len(large) {
		t.Errorf("%d bytes count as unread while nobody reads, want all %d", got, len(large))
	}
	c.expect(t, "close")
}

// What was under way to the older request is lost, so that nothing may follow on
// the newer one as if it had arrived.
func TestSessionEndsWhenMessagesAreLostOnAnOlderStream(t *testing.T) {
	r := serveFallback(t, func(o *Options, _ *fixture) { o.WriteTimeout = 200 * time.Millisecond })
	l := r.stream()
	c := r.open()
	l.begin()
	l.expect("o", `a["hello"]`)
	if err := l.c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
		t.Fatal(err)
	}
	c.Message(bytes.Repeat([]byte("x"), 16<<20)) // much more than socket buffers hold
	if _, err := l.ReadByte(); err != nil {
		t.Fatal(err)
	}
	newer := r.stream()
	c.expect(t, "control") // it has replaced the older one
	c.Message([]byte("behind what was lost"))
	c.expect(t, "close")
	if got := readAnswer(t, newer.Reader); got.status != 503 {
		t.Errorf("the newer stream got %d %.100q, want 503", got.status, got.body)
	}
}

func TestShutdownEndsSessions(t *testing.T) {
	r := serveFallback(t, nil)
	l := r.stream()
	c := r.open()
	l.begin()
	l.expect("o", `a["hello"]`)
	other := dial(t, r.addr)
	fmt.Fprintf(other, "POST /pusher/app/%s/1/other/xhr HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", appKey)
	polling := receive(t, r.opened, "the other connection")

	c.Closed(4200, "restart")
	r.stop()
	l.expect(`c[4200,"restart"]`)
	l.expectEnd()
	if got := readAnswer(t, bufio.NewReader(other)); got.status != 503 || !got.closed {
		t.Errorf("the poll got %d, closed %v, want 503 and the end", got.status, got.closed)
	}
	c.expect(t, "close")
	polling.expect(t, "close")
}

func TestUTF16Units(t *testing.T) {
	for _, text := range []string{"", "x", "é", "€", "😀", "a😀é\n"} {
		if got, want := utf16Units([]byte(text)), len(utf16.Encode([]rune(text))); got != want {
			t.Errorf("%q has %d units, want %d", text, got, want)
		}
	}
}

func FuzzParseMessages(f *testing.F) {
	for _, seed := range []string{`[]`, `["a","\ud800"]`, `["a",]`, `[null]`, "[\"\xff\"]", ` ["a"] `} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		messages, ok := parseMessages(body)
		if string(body) != before {
			t.Fatal("the body was changed")
		}
		total := 0
		for _, m := range messages {
			total += len(m)
		}
		// The shortest escape of a character is no shorter than what it stands for.
		if ok && total > 3*len(body) {
			t.Fatalf("%d bytes of messages in %d", total, len(body))
		}
	})
}

func TestFallbackOptions(t *testing.T) {
	for _, o := range []FallbackOptions{{MaxSessions: -1}, {HeartbeatInterval: -1}, {GraceTime: -1}} {
		if _, err := New(Options{Node: &fakeNode{Node: new(pusher.Node)}, Fallback: o}); err == nil || !strings.Contains(err.Error(), "fallback") {
			t.Errorf("%+v: got %v, want an error that names it", o, err)
		}
	}
}
