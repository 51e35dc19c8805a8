package loop_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"resound/loop"
)

// startTLS runs a script behind TLS.
func startTLS(t *testing.T, o loop.Options) (*loop.Engine, *script, string) {
	t.Helper()
	o.TLS = serverTLS()
	return startScript(t, o, nil)
}

// dialTCP connects without TLS.
func dialTCP(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// openTLS completes both handshakes.
func openTLS(t *testing.T, c net.Conn, o *tls.Config, name string) *tls.Conn {
	t.Helper()
	secure := tls.Client(c, o)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	upgrade(t, secure, name)
	return secure
}

// clientHello is the first record of a client.
func clientHello(t *testing.T) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, clientTLS()).Handshake()
		_ = theirs.Close()
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(ours, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8+int(header[4]))
	if _, err := io.ReadFull(ours, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// TestTLSBadHandshakes sends what is no handshake; each costs its sender alone.
func TestTLSBadHandshakes(t *testing.T) {
	e, s, addr := startTLS(t, loop.Options{})
	healthy := openTLS(t, dialTCP(t, addr), clientTLS(), "healthy")
	hello := clientHello(t)
	const alert = "\x15\x03"
	for _, row := range []struct{ name, send, want string }{
		{"plain HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		{"a plain WebSocket handshake", handshake, "This port speaks TLS: use wss:// or https://."},
		{"garbage", "\x00\x01\x02\x03\x04\x05\x06\x07", "HTTP/1.1 400 Bad Request"},
		{"SSLv2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "HTTP/1.1 400 Bad Request"},
		{"a record that is too long", "\x16\x03\x01\xff\xff", ""},
		{"an empty record", "\x16\x03\x01\x00\x00", alert},
		{"a record of zeros", "\x16\x03\x01\x00\x04\x00\x00\x00\x00", alert},
		{"garbage behind the hello", string(hello) + strings.Repeat("x", 100), "\x16\x03\x03"},
		{"more behind the hello than a handshake can be", string(hello) + "\x16\x03\x01\x40\x00" + strings.Repeat("x", 1<<18), ""},
		{"a hello that says too much", string(hello[:9]) + strings.Repeat("\xff", len(hello)-9), alert},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := dialTCP(t, addr)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(c, row.send) // the server may end it before all is sent
			}()
			got, _ := io.ReadAll(c)
			if !bytes.Contains(got, []byte(row.want)) {
				t.Errorf("got %q, want %q", got, row.want)
			}
			<-sent
		})
	}
	for _, row := range []struct {
		name string
		o    *tls.Config
	}{
		{"no common version", &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}},
		{"no common protocol", &tls.Config{NextProtos: []string{"h2"}}},
		{"the client does not believe the certificate", &tls.Config{ServerName: "127.0.0.1"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.o.InsecureSkipVerify = row.o.ServerName == ""
			if err := tls.Client(dialTCP(t, addr), row.o).Handshake(); err == nil {
				t.Error("the handshake succeeded")
			}
		})
	}
	echoes(t, healthy)
	s.do(t, func() {})
	if got := e.Stats(); got.TLS != 1 || got.TLSFailed == 0 || got.Panics != 0 {
		t.Errorf("got %d handshakes, %d failed, %d panics, want 1, some, none", got.TLS, got.TLSFailed, got.Panics)
	}
}

// cutter sends each byte in a segment of its own.
type cutter struct{ net.Conn }

func (c cutter) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func TestTLSByteByByte(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			_, _, addr := startTLS(t, loop.Options{})
			o := clientTLS()
			o.MaxVersion = version
			c := openTLS(t, cutter{dialTCP(t, addr)}, o, "a")
			payload := strings.Repeat("0123456789", 10)
			send(t, c, masked(0x1, true, payload))
			receive(t, c, ws.OpText, payload)
		})
	}
}

// TestTLSLargeMessageInPieces has messages span records and turns.
func TestTLSLargeMessageInPieces(t *testing.T) {
	_, _, addr := startTLS(t, loop.Options{MaxOutboundBytes: 4 << 20})
	c := openTLS(t, dialTCP(t, addr), clientTLS(), "a")
	payload := strings.Repeat("0123456789abcdef", 1<<15)
	f := ws.MaskFrame(ws.NewTextFrame([]byte(payload)))
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, f); err != nil {
		t.Fatal(err)
	}
	go func() {
		for rest := b.Bytes(); len(rest) > 0; {
			n := min(len(rest), 50_001)
			if _, err := c.Write(rest[:n]); err != nil {
				return // the reader reports
			}
			rest = rest[n:]
		}
	}()
	receive(t, c, ws.OpText, payload)
	echoes(t, c)
}

// TestTLSCloseSaysGoodbye wants the close code, and then TLS's own end: without it
// a client cannot tell the end from an attack.
func TestTLSCloseSaysGoodbye(t *testing.T) {
	_, s, addr := startTLS(t, loop.Options{})
	c := openTLS(t, dialTCP(t, addr), clientTLS(), "a")
	s.do(t, func() { s.Close(s.conns["a"], 4009, "go away") })
	receiveClose(t, c, 4009)
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end of TLS", err)
	}
}

// TestTLSEndOfTheClient has a client say goodbye without a close frame.
func TestTLSEndOfTheClient(t *testing.T) {
	closed := make(chan string, 1)
	o := loop.Options{TLS: serverTLS()}
	_, _, addr := startScript(t, o, func(s *script) { s.onClosed = func(name string) { closed <- name } })
	c := openTLS(t, dialTCP(t, addr), clientTLS(), "a")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, closed, "the close"); got != "a" {
		t.Errorf("%s was closed", got)
	}
}

// TestTLSSilentClientsEnd has clients stop at every place of the handshakes.
func TestTLSSilentClientsEnd(t *testing.T) {
	o, clock := stopped(loop.Options{HandshakeTimeout: 10 * time.Second})
	e, s, addr := startTLS(t, o)
	healthy := openTLS(t, dialTCP(t, addr), clientTLS(), "healthy")
	hello := clientHello(t)
	var silent []net.Conn
	for _, sent := range []string{"", string(hello[:3]), string(hello[:100]), string(hello)} {
		c := dialTCP(t, addr)
		if _, err := io.WriteString(c, sent); err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	half := tls.Client(dialTCP(t, addr), clientTLS())
	if err := half.Handshake(); err != nil {
		t.Fatal(err)
	}
	if _, err := half.Write([]byte("GET /x HTTP/1.1\r\n")); err != nil {
		t.Fatal(err)
	}
	for got := e.Stats(); got.Sockets < int64(len(silent))+2 || got.TLS < 2; got = e.Stats() {
		s.do(t, func() {})
	}
	clock.sweepAt(t, 10*time.Second, e, s)
	for i, c := range silent {
		got, err := io.ReadAll(c)
		if err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
			t.Errorf("client %d: %v after %q", i, err, got)
		}
	}
	if got, err := io.ReadAll(half); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
		t.Errorf("got %q, %v, want to be told that it was too slow", got, err)
	}
	echoes(t, healthy)
}

// TestTLSPlainPort has a second port without TLS.
func TestTLSPlainPort(t *testing.T) {
	e, _, addr := startTLS(t, loop.Options{PlainAddr: "127.0.0.1:0"})
	secure := openTLS(t, dialTCP(t, addr), clientTLS(), "secure")
	plain := dialTCP(t, e.PlainAddr().String())
	upgrade(t, plain, "plain")
	echoes(t, secure)
	echoes(t, plain)
}

// TestTLSUpgradeOnAConnectionThatServedHTTP is what a proxy does that keeps its
// connections.
func TestTLSUpgradeOnAConnectionThatServedHTTP(t *testing.T) {
	listener := loop.NewHTTPListener(&net.TCPAddr{})
	o := loop.Options{
		TLS: serverTLS(), WebSocketPrefix: "/app/",
		HandOver: listener.Offer,
	}
	_, _, addr := startScript(t, o, nil)
	served := make(chan error, 1)
	go func() { served <- returnUpgrades(listener) }()
	t.Cleanup(func() {
		_ = listener.Close()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})

	c := tls.Client(dialTCP(t, addr), clientTLS())
	if _, err := io.WriteString(c, "GET /apps HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := readUntil(t, c, "fine"); !strings.HasSuffix(got, "fine") {
		t.Fatalf("got %q", got)
	}
	// The first frame follows in the same record as the handshake's end.
	if _, err := io.WriteString(c, appHandshake+string(masked(0x1, true, "early"))); err != nil {
		t.Fatal(err)
	}
	want := "\r\n\r\n\x81\x05early"
	if got := readUntil(t, c, want); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, want) {
		t.Fatalf("got %q", got)
	}
	echoes(t, c)
}

// returnUpgrades answers every request with "fine" and gives handshakes back.
func returnUpgrades(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		for {
			head, err := readHead(c)
			if err != nil {
				break
			}
			if bytes.Contains(head, []byte("Upgrade: websocket")) {
				if err := c.(*loop.HTTPConn).Return(head); err != nil {
					return err
				}
				break
			}
			fmt.Fprintf(c, "HTTP/1.1 %d OK\r\nContent-Length: 4\r\n\r\nfine", http.StatusOK)
		}
		_ = c.Close()
	}
}

// readHead reads byte by byte, so that nothing behind the head is lost.
func readHead(r io.Reader) (head []byte, err error) {
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := r.Read(one); err != nil {
			return nil, err
		}
		head = append(head, one[0])
	}
	return head, nil
}

// TestTLSHandedOverWritesAreEncrypted uses what writers look for beside Write: a file
// has all of it, and would send plaintext.
func TestTLSHandedOverWritesAreEncrypted(t *testing.T) {
	l := loop.NewHTTPListener(&net.TCPAddr{})
	_, _, addr := startTLS(t, loop.Options{HandOver: l.Offer, WebSocketPrefix: "/app/"})
	c := tls.Client(dialTCP(t, addr), clientTLS())
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	h, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := io.WriteString(h, "a string, "); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(h, strings.NewReader("a stream, ")); err != nil {
		t.Fatal(err)
	}
	long := bufio.NewWriterSize(h, 16)
	if _, err := long.WriteString(strings.Repeat("x", 100) + "."); err != nil || long.Flush() != nil {
		t.Fatal(err)
	}
	want := "a string, a stream, " + strings.Repeat("x", 100) + "."
	if got := readUntil(t, c, "."); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
