package node_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"resound/loop"
	"resound/pusher"
	"resound/pusher/transcript"
)

// TestTranscriptsOverTCP plays the golden conversations of package pusher
// against event loops and sockets, with a clock of its own.
func TestTranscriptsOverTCP(t *testing.T) {
	files, err := filepath.Glob("../../../pusher/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			t.Parallel()
			transcript.Run(t, f, startTCP, false)
		})
	}
}

// TestTranscriptsOverTLS plays them behind TLS.
func TestTranscriptsOverTLS(t *testing.T) {
	files, err := filepath.Glob("../../../pusher/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	example := httptest.NewTLSServer(nil) // for its certificate
	defer example.Close()
	start := func(t *testing.T, o pusher.AppOptions) transcript.Server {
		s := startEngine(t, o, loop.Options{TLS: &tls.Config{Certificates: example.TLS.Certificates}})
		s.scheme, s.client = "wss", &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: example.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}}}
		return s
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			transcript.Run(t, f, start, false)
		})
	}
}

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

type tcpServer struct {
	t      *testing.T
	node   *pusher.Node
	app    *pusher.App
	engine *loop.Engine
	clock  atomic.Int64 // nanoseconds
	scheme string
	client *http.Client // nil means the usual one
}

func startTCP(t *testing.T, o pusher.AppOptions) transcript.Server {
	return startEngine(t, o, loop.Options{})
}

// startEngine runs a reactor with options of the test.
func startEngine(t *testing.T, o pusher.AppOptions, lo loop.Options) *tcpServer {
	s := &tcpServer{t: t, scheme: "ws"}
	s.clock.Store(time.Unix(1_700_000_000, 0).UnixNano())
	now := func() time.Time { return time.Unix(0, s.clock.Load()) }
	var err error
	s.node, err = pusher.NewNode(pusher.Options{
		Apps: []pusher.AppConfig{{ID: transcript.AppID, Key: transcript.Key, Secret: transcript.Secret, Options: o}},
		Now:  now,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.app = s.node.AppByID(transcript.AppID)
	lo.Addr, lo.Reactors, lo.WebSocketPrefix, lo.Now, lo.TickInterval = "127.0.0.1:0", 1, "/app/", now, -1
	lo.NewHandler = func(r *loop.Reactor) loop.Handler { return s.node.NewShard(r.Index(), r) }
	s.engine, err = loop.New(lo)
	if err != nil {
		t.Fatal(err)
	}
	s.node.Attach([]pusher.Mailbox{s.engine.Reactors()[0]})
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Run() }()
	<-s.engine.Ready()
	t.Cleanup(func() {
		if panics := s.engine.Stats().Panics; panics > 0 {
			t.Errorf("%d panics", panics)
		}
		if err := s.engine.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// until waits for a condition that is on its way.
func (s *tcpServer) until(what string, ok func() bool) {
	for deadline := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited too long until %s", what)
		}
	}
}

func (s *tcpServer) settle() {
	s.until("the mailbox is empty", func() bool { return s.engine.Reactors()[0].Pending() == 0 })
}

func (s *tcpServer) Open(key, origin string) transcript.Client {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	if !strings.Contains(key, "?") {
		key += "?protocol=7&client=js&version=8.4.0&flash=false"
	}
	c, _, err := websocket.Dial(ctx, s.scheme+"://"+s.engine.Addr().String()+"/app/"+key, &websocket.DialOptions{HTTPHeader: h, HTTPClient: s.client})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.CloseNow() })
	return &tcpClient{s, c}
}

func (s *tcpServer) Advance(d time.Duration) {
	s.clock.Add(int64(d))
	s.engine.Tick()
	s.node.Recount()
	s.settle()
}

func (s *tcpServer) Trigger(channel, event, data, except string) {
	id, _ := pusher.ParseSocketID(except)
	if err := s.node.Trigger(s.app, pusher.Event{Channel: channel, Name: token(event), Data: token(data), Except: id}); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

func (s *tcpServer) Terminate(user string) {
	if err := s.node.TerminateUser(s.app, user); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

func token(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

type tcpClient struct {
	server *tcpServer
	conn   *websocket.Conn
}

func (c *tcpClient) Send(payload string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(payload)); err != nil {
		c.server.t.Fatal(err)
	}
}

func (c *tcpClient) Drop() {
	was := c.server.engine.Stats().Connections
	_ = c.conn.CloseNow()
	c.server.until("the connection is gone", func() bool { return c.server.engine.Stats().Connections < was })
}

func (c *tcpClient) Next() string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, payload, err := c.conn.Read(ctx)
	if closed := (websocket.CloseError{}); errors.As(err, &closed) {
		return fmt.Sprintf("closed %d %s", closed.Code, closed.Reason)
	}
	if err != nil {
		return err.Error()
	}
	return string(payload)
}
