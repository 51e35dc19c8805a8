package node_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"resound/frame"
	"resound/loop"
	"resound/pusher"
	"resound/pusher/rest"
	"resound/pusher/transcript"
)

// TestTranscriptsOverStreaming plays the golden conversations with clients that
// cannot speak WebSocket: nothing may be different.
func TestTranscriptsOverStreaming(t *testing.T) {
	files, err := filepath.Glob("../../../pusher/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			transcript.Run(t, f, startStreaming, false)
		})
	}
}

// streamingServer is a tcpServer whose clients stream.
type streamingServer struct{ *tcpServer }

func startStreaming(t *testing.T, o pusher.AppOptions) transcript.Server {
	listener := loop.NewHTTPListener(&net.TCPAddr{})
	s := startEngine(t, o, loop.Options{HandOver: listener.Offer})
	server, err := rest.New(rest.Options{Node: s.node, Fallback: rest.FallbackOptions{
		GraceTime: time.Second, // after which a client that was dropped is gone
		Open: func(via net.Conn, h rest.FallbackHandshake, to rest.FallbackStream) rest.FallbackConn {
			c := via.(*loop.HTTPConn)
			return c.Reactor().PostOpen(frame.Request{Path: h.Path, Query: h.Query, Origin: h.Origin}, h.Client, to)
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-served // net.ErrClosed
	})
	return streamingServer{s}
}

func (s streamingServer) Open(key, origin string) transcript.Client {
	return openStream(s.t, s.engine.Addr().String(), "xhr_streaming", key, origin, func(was int64) {
		s.until("the connection is gone", func() bool { return s.engine.Stats().Connections < was })
	}, func() int64 { return s.engine.Stats().Connections })
}

// streamClient is a session with a streaming response, or with polls.
type streamClient struct {
	t         *testing.T
	addr      string
	operation string
	key       string // and the query
	session   string
	origin    string
	body      io.ReadCloser
	lines     *bufio.Reader
	messages  []string // read and not yet asked for

	connections func() int64
	dropped     func(was int64)
}

var sessions atomic.Int64

func openStream(t *testing.T, addr, operation, key, origin string, dropped func(int64), connections func() int64) *streamClient {
	if !strings.Contains(key, "?") {
		key += "?protocol=7&client=js&version=8.4.0"
	}
	c := &streamClient{
		t: t, addr: addr, operation: operation, key: key, origin: origin, dropped: dropped, connections: connections,
		session: fmt.Sprintf("/1/session%d/", sessions.Add(1)),
	}
	c.receive()
	t.Cleanup(func() { _ = c.body.Close() })
	return c
}

// transport makes a connection for each request, as a browser does for a stream.
var transport = &http.Transport{DisableKeepAlives: true}

func (c *streamClient) post(operation, body string) *http.Response {
	key, query, _ := strings.Cut(c.key, "?")
	r, err := http.NewRequest("POST", "http://"+c.addr+"/pusher/app/"+key+c.session+operation+"?"+query, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.origin != "" {
		r.Header.Set("Origin", c.origin)
	}
	response, err := transport.RoundTrip(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return response
}

// receive makes a receiving request.
func (c *streamClient) receive() {
	response := c.post(c.operation, "")
	if response.StatusCode != 200 {
		c.t.Fatalf("%s: status %d", c.operation, response.StatusCode)
	}
	c.body, c.lines = response.Body, bufio.NewReader(response.Body)
}

func (c *streamClient) Send(payload string) {
	body, err := json.Marshal([]string{payload})
	if err != nil {
		c.t.Fatal(err)
	}
	response := c.post("xhr_send", string(body))
	_ = response.Body.Close()
	if response.StatusCode != 204 {
		c.t.Fatalf("xhr_send: status %d", response.StatusCode)
	}
}

func (c *streamClient) Drop() {
	was := c.connections()
	_ = c.body.Close()
	c.dropped(was)
}

func (c *streamClient) Next() string {
	for len(c.messages) == 0 {
		line, err := c.lines.ReadString('\n')
		if err == io.EOF && c.operation == "xhr" {
			_ = c.body.Close()
			c.receive()
			continue
		}
		if err != nil {
			return err.Error()
		}
		switch line[0] {
		case 'o', 'h':
		case 'a':
			if err := json.Unmarshal([]byte(line[1:]), &c.messages); err != nil {
				c.t.Fatalf("%s: %v", line, err)
			}
		case 'c':
			var last []any
			if err := json.Unmarshal([]byte(line[1:]), &last); err != nil || len(last) != 2 {
				c.t.Fatalf("%s: %v", line, err)
			}
			return fmt.Sprintf("closed %v %v", last[0], last[1])
		default:
			c.t.Fatalf("got the line %q", line)
		}
	}
	next := c.messages[0]
	c.messages = c.messages[1:]
	return next
}

// expect reads up to a message that contains want.
func (c *streamClient) expect(want string) {
	c.t.Helper()
	for {
		got := c.Next()
		if strings.Contains(got, want) {
			return
		}
		if strings.HasPrefix(got, "closed") {
			c.t.Fatalf("got %s, want a message with %s", got, want)
		}
	}
}

// TestFallbackThroughANode has a whole node serve a WebSocket client and others
// that cannot speak it, events of the application and of clients, and a drain.
func TestFallbackThroughANode(t *testing.T) {
	for _, operation := range []string{"xhr_streaming", "xhr"} {
		t.Run(operation, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resound.yml")
			text := `
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 2, drain_timeout: 0}}
apps: {apps: [{app_id: "1", key: key, secret: secret}]}`
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			addr, stop := runNode(t, file)
			c := openStream(t, addr, operation, "key", "", nil, nil)
			c.expect("pusher:connection_established")
			c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
			c.expect("pusher_internal:subscription_succeeded")

			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			ws, _, err := websocket.Dial(ctx, "ws://"+addr+"/app/key", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer ws.CloseNow()
			if err := ws.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)); err != nil {
				t.Fatal(err)
			}
			for range 2 { // established, subscribed
				if _, _, err := ws.Read(ctx); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 20 {
				triggerSigned(t, addr, fmt.Sprintf(`{"name":"Happened","channel":"news","data":"%d"}`, i))
			}
			for i := range 20 {
				want := fmt.Sprintf(`{"event":"Happened","data":"%d","channel":"news"}`, i)
				if got := c.Next(); got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
				if _, got, err := ws.Read(ctx); err != nil || string(got) != want {
					t.Fatalf("over WebSocket: got %s, %v, want %s", got, err, want)
				}
			}
			c.Send(`{"event":"client-x","channel":"news","data":{"a":1}}`)
			if _, got, err := ws.Read(ctx); err != nil || !strings.Contains(string(got), "client-x") {
				t.Fatalf("got %s, %v, want the client event", got, err)
			}
			_ = ws.CloseNow()
			if operation == "xhr" {
				stop() // between polls nobody can be told
				return
			}
			closed := make(chan string, 1)
			go func() { closed <- c.Next() }()
			stop()
			if got := <-closed; !strings.HasPrefix(got, "closed 4200 ") {
				t.Errorf("got %s, want to be closed with 4200", got)
			}
		})
	}
}

func TestFallbackClientThatFetchesNothingIsClosedAsSlow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resound.yml")
	text := `
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 1, drain_timeout: 0, max_outbound_bytes: 65536}}
apps: {apps: [{app_id: "1", key: key, secret: secret}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, _ := runNode(t, file)
	c := openStream(t, addr, "xhr", "key", "", nil, nil)
	c.expect("pusher:connection_established")
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	c.expect("pusher_internal:subscription_succeeded")
	const events, bytes = 20, 8000
	for i := range events {
		triggerSigned(t, addr, fmt.Sprintf(`{"name":"e%d","channel":"news","data":%q}`, i, strings.Repeat("x", bytes)))
	}
	for i := range events {
		got := c.Next()
		if strings.HasPrefix(got, "closed 4100 ") {
			// What it may leave unread, and the event that was one too many.
			if i*bytes < 64<<10 || i*bytes > 64<<10+2*bytes {
				t.Errorf("closed after %d events of %d bytes, want some 64 KiB kept", i, bytes)
			}
			return
		}
		if want := fmt.Sprintf(`{"event":"e%d"`, i); !strings.HasPrefix(got, want) {
			t.Fatalf("got %.60s, want %s", got, want)
		}
	}
	t.Error("it got everything, want to be closed with 4100")
}

// triggerSigned triggers an event as a server library does.
func triggerSigned(t *testing.T, addr, body string) {
	t.Helper()
	sum := md5.Sum([]byte(body))
	query := fmt.Sprintf("auth_key=key&auth_timestamp=%d&auth_version=1.0&body_md5=%s", time.Now().Unix(), hex.EncodeToString(sum[:]))
	h := hmac.New(sha256.New, []byte("secret"))
	h.Write([]byte("POST\n/apps/1/events\n" + query))
	response, err := http.Post("http://"+addr+"/apps/1/events?"+query+"&auth_signature="+hex.EncodeToString(h.Sum(nil)), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("trigger: status %d", response.StatusCode)
	}
}
