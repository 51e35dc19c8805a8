package node_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUpgradeOnAKeptConnection: a proxy that keeps connections to the server open
// sends a WebSocket handshake after requests of the API. It must work, a frame
// after it too, and a request in absolute form.
func TestUpgradeOnAKeptConnection(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resound.yml")
	text := "servers: {reverb: {host: 127.0.0.1, port: 0, workers: 2, drain_timeout: 0}}\n" +
		"apps: {apps: [{app_id: '1', key: key, secret: secret}]}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, _ := runNode(t, file)
	const headers = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	for _, target := range []string{"/app/key?protocol=7", "http://x/app/key?protocol=7"} {
		for round := range 20 {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			if round%2 == 0 { // otherwise it is the first request
				if _, err := io.WriteString(c, "GET /up HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil || resp.StatusCode != 200 {
					t.Fatal(resp, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
			if _, err := io.WriteString(c, "GET "+target+" HTTP/1.1\r\n"+headers); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatal(resp, err)
			}
			if got := readFrame(t, r); !strings.Contains(got, "connection_established") {
				t.Fatalf("got %s", got)
			}
			ping := []byte(`{"event":"pusher:ping"}`)
			frame := append([]byte{0x81, 0x80 | byte(len(ping)), 0, 0, 0, 0}, ping...)
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
			if got := readFrame(t, r); got != `{"event":"pusher:pong"}` {
				t.Fatalf("got %s", got)
			}
		}
	}

	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /up HTTP/1.1\r\nHost: x\r\n\r\nGET /app/key HTTP/1.1\r\n"+strings.Replace(headers, "Version: 13", "Version: 8", 1)); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(c)
	if err != nil || !strings.Contains(string(all), "HTTP/1.1 426 ") || !strings.Contains(string(all), "Sec-WebSocket-Version: 13") {
		t.Errorf("a bad handshake on a kept connection: %s, %v", all, err)
	}
}

// readFrame reads a short text frame.
func readFrame(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	n := int(head[1])
	if n == 126 {
		if _, err := io.ReadFull(r, head); err != nil {
			t.Fatal(err)
		}
		n = int(head[0])<<8 | int(head[1])
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		t.Fatal(err)
	}
	return string(payload)
}
