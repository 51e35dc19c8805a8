package echo_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// TestRFC6455Handshake sends handshakes whole and a byte at a time.
func TestRFC6455Handshake(t *testing.T) {
	e, addr := serve(t)
	for _, row := range []struct {
		section, name, old, new string
		want                    int
	}{
		{"4.2.2", "the example", "", "", 101},
		{"4.2.1", "names of headers in capitals", "Sec-WebSocket-Key", "SEC-WEBSOCKET-KEY", 101},
		{"4.2.1", "names of headers in small letters", "Upgrade:", "upgrade:", 101},
		{"4.2.1", "websocket in capitals", "websocket", "WebSocket", 101},
		{"4.2.1", "Connection is a list", "Connection: Upgrade", "Connection: keep-alive, Upgrade", 101},
		{"4.2.1", "Upgrade is a list", "Upgrade: websocket", "Upgrade: h2c, websocket", 101},
		{"4.2.1", "headers nobody knows", "Host: a", "Host: a\r\nX-Unknown: 1\r\nCookie: a=b", 101},
		{"4.2.2", "no subprotocol is chosen", "Host: a", "Host: a\r\nSec-WebSocket-Protocol: chat, superchat", 101},
		{"9.1", "no unknown extension is chosen", "Host: a", "Host: a\r\nSec-WebSocket-Extensions: x-unknown; a=1", 101},
		{"4.2.1", "an origin", "Host: a", "Host: a\r\nOrigin: https://example.com", 101},
		{"4.2.1", "a later minor version of HTTP", "HTTP/1.1", "HTTP/1.2", 101},
		{"4.2.1", "HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 505},
		{"4.2.1", "no Host", "Host: a\r\n", "", 400},
		{"4.2.1", "no Upgrade", "Upgrade: websocket\r\n", "", 426},
		{"4.2.1", "another Upgrade", "websocket", "websocket2", 426},
		{"4.2.1", "no Connection", "Connection: Upgrade\r\n", "", 400},
		{"4.2.1", "no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400},
		{"4.2.1", "a key of 15 bytes", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", 400},
		{"4.2.1", "a key that is no base64", "dGhl", "d!hl", 400},
		{"4.2.2", "no version", "Sec-WebSocket-Version: 13\r\n", "", 426},
		{"4.2.2", "version 8", "Version: 13", "Version: 8", 426},
		{"4.2.2", "version 013", "Version: 13", "Version: 013", 426},
	} {
		t.Run(row.name, func(t *testing.T) {
			head := strings.Replace(request, row.old, row.new, 1)
			for _, piece := range []int{len(head), 1} {
				c := dial(t, addr)
				defer c.Close()
				for rest := head; rest != ""; rest = rest[min(piece, len(rest)):] {
					if _, err := io.WriteString(c, rest[:min(piece, len(rest))]); err != nil {
						t.Fatal(err)
					}
					turnAround(e)
				}
				got, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = got.Body.Close()
				if got.StatusCode != row.want {
					t.Errorf("RFC 6455 section %s, in pieces of %d: got status %d, want %d", row.section, piece, got.StatusCode, row.want)
				}
				checkUpgrade(t, got)
			}
		})
	}
}

// checkUpgrade holds the headers of an answer against RFC 6455 section 4.2.2.
func checkUpgrade(t *testing.T, got *http.Response) {
	t.Helper()
	h := got.Header
	switch got.StatusCode {
	case http.StatusSwitchingProtocols:
		if h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" || !strings.EqualFold(h.Get("Upgrade"), "websocket") ||
			!strings.EqualFold(h.Get("Connection"), "Upgrade") || h.Get("Sec-WebSocket-Protocol")+h.Get("Sec-WebSocket-Extensions") != "" {
			t.Errorf("got headers %v", h)
		}
	case http.StatusUpgradeRequired:
		if h.Get("Upgrade") == "" {
			t.Errorf("426 without Upgrade: %v", h)
		}
	}
}

// shake makes the handshake of the other tests.
func shake(t *testing.T, c net.Conn) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	var head []byte
	for b := make([]byte, 1); !strings.HasSuffix(string(head), "\r\n\r\n"); head = append(head, b[0]) {
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		t.Fatalf("got %q", head)
	}
}
