package node_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"resound/loop"
	"resound/pusher"
	"resound/pusher/transcript"
)

// TestSlowFrames: a message that comes by the byte is no sign of life, so that its
// connection ends as a silent one does, and it holds no more than a message may
// have.
func TestSlowFrames(t *testing.T) {
	const ping, pong = 60 * time.Second, 30 * time.Second
	for _, tt := range []struct{ name, begin, drip string }{
		{"a frame header that stops", "\x81\xfe\x03", ""},
		{"a payload by the byte", "\x81\xfe\x03\xe8\x00\x00\x00\x00", "a"},
		{"a ping by the byte", "\x89\xfd\x00\x00\x00\x00", "a"},
		{"half a frame header", "\x81", ""},
		{"fragments that say nothing", "\x01\x80\x00\x00\x00\x00", "\x00\x80\x00\x00\x00\x00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := startEngine(t, pusher.AppOptions{PingInterval: ping, PongTimeout: pong}, loop.Options{})
			c, r := rawOpen(t, s)
			drip := func(text string) {
				if _, err := io.WriteString(c, text); err != nil {
					t.Fatal(err)
				}
			}
			drip(tt.begin)
			for range 6 {
				drip(tt.drip)
				s.Advance(ping / 6)
			}
			if got := readFrame(t, r); !strings.Contains(got, "pusher:ping") {
				t.Fatalf("got %s, want a ping: bytes of a message are no message", got)
			}
			for range 3 {
				drip(tt.drip)
				s.Advance(pong / 3)
			}
			if got := readFrame(t, r); !strings.Contains(got, "4201") {
				t.Fatalf("got %s, want an error", got)
			}
			head := make([]byte, 4)
			if _, err := io.ReadFull(r, head); err != nil || head[0] != 0x88 || binary.BigEndian.Uint16(head[2:]) != 4201 {
				t.Errorf("got % x, %v, want a close frame with 4201", head, err)
			}
			s.Advance(time.Second)
			for range 6 { // a close that is not answered
				s.Advance(time.Second)
			}
			s.until("the socket is closed", func() bool { return s.engine.Stats().Sockets == 0 })
		})
	}
}

// rawOpen is a connection that has read what it is told first.
func rawOpen(t *testing.T, s *tcpServer) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", s.engine.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /app/%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", transcript.Key)
	r := bufio.NewReader(c)
	if answer, err := http.ReadResponse(r, nil); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(answer, err)
	}
	if got := readFrame(t, r); !strings.Contains(got, "connection_established") {
		t.Fatalf("got %s", got)
	}
	return c, r
}
