package loop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"resound/loop"
	"resound/loop/echo"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(benchServerEnv); kind != "" {
		serveBench(kind)
		return
	}
	goleak.VerifyTestMain(m,
		// gnet keeps its worker pool for the life of the process.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// start runs an engine for the length of a test and returns its address.
func start(t *testing.T, e *loop.Engine, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run() }()
	select {
	case <-e.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e.Addr().String()
}

func local(o loop.Options) loop.Options {
	o.Addr = "127.0.0.1:0"
	if overTLS {
		o.TLS = serverTLS()
	}
	return o
}

func TestEcho(t *testing.T) {
	e, err := echo.New(local(loop.Options{Reactors: 2}))
	addr := start(t, e, err)
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			client, s := httpClient(&http.Transport{})
			c, _, err := websocket.Dial(ctx, "ws"+s+"://"+addr+"/", &websocket.DialOptions{HTTPClient: client})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.CloseNow()
			c.SetReadLimit(echo.MaxMessageBytes)
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 5} {
				want := make([]byte, n)
				for j := range want {
					want[j] = byte(rnd.IntN(256))
				}
				if err := c.Write(ctx, websocket.MessageBinary, want); err != nil {
					t.Errorf("write %d bytes: %v", n, err)
					return
				}
				_, got, err := c.Read(ctx)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes came back as %d: %v", n, len(got), err)
					return
				}
			}
			if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if got := e.Stats(); got.Connections != 0 || got.Panics != 0 || got.Closes[1000] != 20 {
		t.Errorf("after all clients closed: %+v", got)
	}
}

// TestStreamCutAnywhere sends a handshake and frames in pieces of every size.
func TestStreamCutAnywhere(t *testing.T) {
	e, err := echo.New(local(loop.Options{Reactors: 1}))
	addr := start(t, e, err)
	for piece := 1; piece < 40; piece++ {
		stream := append([]byte(handshake), masked(0x1, true, "hello")...)
		stream = append(stream, masked(0x1, false, "frag")...)
		stream = append(stream, masked(0x9, true, "ping")...)
		stream = append(stream, masked(0x0, true, "ment")...)
		c := connect(t, addr)
		go func() {
			for len(stream) > 0 {
				n := min(piece, len(stream))
				if _, err := c.Write(stream[:n]); err != nil {
					return
				}
				stream = stream[n:]
			}
		}()
		want := "\r\n\r\n\x81\x05hello\x8a\x04ping\x81\x08fragment"
		if got := readUntil(t, c, want); !strings.HasSuffix(got, want) {
			t.Fatalf("pieces of %d: got %q", piece, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	e, err := echo.New(local(loop.Options{Reactors: 1, WebSocketPrefix: "/app/"}))
	addr := start(t, e, err)
	for _, row := range []struct {
		name, send, want string
	}{
		{"no upgrade header", "GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 426 "},
		{"wrong version", strings.Replace(appHandshake, "Version: 13", "Version: 8", 1), "HTTP/1.1 426 "},
		{"head too large", "GET /app/x HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 9000), "HTTP/1.1 431 "},
		{"unmasked frame", appHandshake + "\x81\x01a", "\x88\x25\x03\xeaframes from a client must be masked"},
		{"frame too large, body never sent", appHandshake + "\x82\xff\x00\x00\x00\x10\x00\x00\x00\x00abcd", "\x03\xf1Maximum message size exceeded"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := connect(t, addr)
			if _, err := io.WriteString(c, row.send); err != nil {
				t.Fatal(err)
			}
			if got := readUntil(t, c, row.want); !strings.Contains(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("want the connection to end, got %v", err)
			}
		})
	}
}

func TestHandsHTTPOver(t *testing.T) {
	var listener *loop.HTTPListener
	e, err := echo.New(local(loop.Options{
		Reactors: 2, WebSocketPrefix: "/app/",
		HandOver: func(c *loop.HTTPConn) bool { return listener.Offer(c) },
	}))
	if err != nil {
		t.Fatal(err)
	}
	listener = loop.NewHTTPListener(e.Addr())
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	addr := start(t, e, nil)
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})

	client, s := httpClient(&http.Transport{MaxConnsPerHost: 4})
	defer client.CloseIdleConnections()
	for _, n := range []int{0, 100, 1 << 20} {
		for range 10 {
			resp, err := client.Post("http"+s+"://"+addr+"/apps/1/events", "text/plain", bytes.NewReader(make([]byte, n)))
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := fmt.Sprintf("POST /apps/1/events %d", n); string(got) != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	if got := e.Stats(); got.HandedOver == 0 || got.HandedOver > 4 {
		t.Errorf("handed over %d connections for keep-alive requests on at most 4", got.HandedOver)
	}
}

func TestPortInUse(t *testing.T) {
	first, err := echo.New(local(loop.Options{Reactors: 1}))
	addr := start(t, first, err)
	if second, err := echo.New(loop.Options{Addr: addr, Reactors: 1}); err == nil {
		second.Close()
		t.Error("a second server took the port without being told to share it")
	}
	third, err := echo.New(loop.Options{Addr: addr, Reactors: 1, ReusePort: true})
	if err != nil {
		t.Fatal(err)
	}
	third.Close()
}

const handshake = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

var appHandshake = strings.Replace(handshake, "GET / ", "GET /app/x ", 1)

func masked(op byte, fin bool, payload string) []byte {
	b := []byte{op, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	if fin {
		b[0] |= 0x80
	}
	for i := range len(payload) {
		b = append(b, payload[i]^byte(i%4+1))
	}
	return b
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if overTLS {
		secure := tls.Client(c, clientTLS())
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		return secure
	}
	return c
}

func readUntil(t *testing.T, c net.Conn, want string) string {
	t.Helper()
	var got []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(got), want) {
		n, err := c.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			return string(got)
		}
	}
	return string(got)
}
