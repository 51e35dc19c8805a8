package rest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"resound/pusher"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 10 * time.Second

// fakeReactor opens connections that the test drives.
type fakeReactor struct {
	t      *testing.T
	addr   string
	opened chan *fakeConn
	stop   func()
}

// fakeConn is a connection without a socket. What the client does is in posts.
type fakeConn struct {
	FallbackStream
	handshake FallbackHandshake
	posts     chan string
	full      bool
}

func (c *fakeConn) PostMessages(payloads [][]byte) bool {
	if c.full {
		return false
	}
	c.posts <- "messages " + string(bytes.Join(payloads, []byte("|")))
	return true
}

func (c *fakeConn) PostControl() { c.posts <- "control" }

func (c *fakeConn) PostClose() {
	c.posts <- "close"
	c.Shut()
}

// expect waits for what the client does next.
func (c *fakeConn) expect(t *testing.T, want ...string) {
	t.Helper()
	for _, post := range want {
		if got := receive(t, c.posts, post); got != post {
			t.Fatalf("posted %q, want %q", got, post)
		}
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return got
}

// serveFallback serves the routes on a loopback port, with connections in the
// hands of the test.
func serveFallback(t *testing.T, change func(*Options, *fixture)) *fakeReactor {
	t.Helper()
	r := &fakeReactor{t: t, opened: make(chan *fakeConn, 100)}
	f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
		o.Fallback.Open = func(via net.Conn, h FallbackHandshake, s FallbackStream) FallbackConn {
			if _, ok := via.(*net.TCPConn); !ok {
				t.Errorf("the session came by %T, want what the listener accepted", via)
			}
			c := &fakeConn{FallbackStream: s, handshake: h, posts: make(chan string, 1000)}
			r.opened <- c
			return c
		}
	})
	if change != nil {
		change(&f.server.options, f)
	}
	r.addr, r.stop = f.serveTCP()
	t.Cleanup(func() { r.stop() })
	return r
}

const (
	sessionPath = "/pusher/app/" + appKey + "/123/abcdefgh/"
	sessionArgs = "?protocol=7&client=js&version=8.4.0&t=1&n=1"
)

// post sends a request of the session 123/abcdefgh and leaves the answer unread.
func (r *fakeReactor) post(operation, body string) net.Conn {
	r.t.Helper()
	c := dial(r.t, r.addr)
	r.write(c, operation, body)
	return c
}

func (r *fakeReactor) write(c net.Conn, operation, body string) {
	r.t.Helper()
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nOrigin: http://page.test\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		sessionPath+operation+sessionArgs, len(body), body); err != nil {
		r.t.Fatal(err)
	}
}

// open opens the session and returns its connection.
func (r *fakeReactor) open() *fakeConn {
	r.t.Helper()
	c := receive(r.t, r.opened, "the connection")
	c.Message([]byte("hello"))
	return c
}

// lines reads a streaming response.
type lines struct {
	t *testing.T
	c net.Conn
	*bufio.Reader
}

// stream opens a streaming response, whose head is read with the first line.
func (r *fakeReactor) stream() *lines {
	r.t.Helper()
	c := r.post("xhr_streaming", "")
	return &lines{r.t, c, bufio.NewReader(c)}
}

// begin reads the head.
func (l *lines) begin() {
	l.t.Helper()
	response, err := http.ReadResponse(l.Reader, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Access-Control-Allow-Origin") != "*" || response.ContentLength >= 0 {
		l.t.Fatalf("got %d with %v", response.StatusCode, response.Header)
	}
}

func (l *lines) expect(want ...string) {
	l.t.Helper()
	for _, line := range want {
		if got, err := l.ReadString('\n'); err != nil || got != line+"\n" {
			l.t.Fatalf("got the line %.100q, %v, want %.100q", got, err, line)
		}
	}
}

func (l *lines) expectEnd() {
	l.t.Helper()
	if rest, err := io.ReadAll(l); err != nil || len(rest) > 0 {
		l.t.Fatalf("got %.100q, %v, want the end", rest, err)
	}
}

// poll makes a request and returns its answer.
func (r *fakeReactor) poll(operation, body string) response {
	r.t.Helper()
	c := r.post(operation, body)
	defer c.Close()
	return readAnswer(r.t, bufio.NewReader(c))
}

func readAnswer(t *testing.T, in *bufio.Reader) response {
	t.Helper()
	got, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d: a script of another origin may not read the answer", got.StatusCode)
	}
	return response{got.StatusCode, got.Header, string(body), got.Close}
}

// checkLines compares the answer to a poll.
func (got response) checkLines(t *testing.T, want ...string) {
	t.Helper()
	if text := strings.Join(want, "\n") + "\n"; got.status != 200 || got.body != text {
		t.Fatalf("got %d %.100q, want the lines %.100q", got.status, got.body, text)
	}
}

// scriptClient is what pusher-js does with the lines of receiving requests.
type scriptClient struct {
	t        *testing.T
	opened   bool
	messages []string
}

// take reads one line, and takes it as a script would.
func (k *scriptClient) take(line string) {
	k.t.Helper()
	switch line[0] {
	case 'o':
		if k.opened {
			k.t.Fatal("the server lost the session")
		}
		k.opened = true
	case 'a':
		var messages []string
		if err := json.Unmarshal([]byte(line[1:]), &messages); err != nil || !k.opened {
			k.t.Fatalf("%.100q: %v, opened %v", line, err, k.opened)
		}
		k.messages = append(k.messages, messages...)
	default:
		k.t.Fatalf("got %.100q", line)
	}
}
