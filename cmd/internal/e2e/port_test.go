package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The tests of this file write bytes by hand: what one port has to make of them.

// handshake is an opening handshake, from its request line to its last header.
func handshake(requestLine string, headers ...string) string {
	return requestLine + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
}

const (
	host       = "Host: localhost"
	upgrade    = "Upgrade: websocket"
	connection = "Connection: Upgrade"
	key        = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	version    = "Sec-WebSocket-Version: 13"
	getApp     = "GET /app/reverb-key HTTP/1.1"
)

func TestPortRefusesWrongHandshakes(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	tests := []struct {
		name   string
		sent   string
		status int
		header string // "Name: value" that the answer has
	}{
		{"another method", handshake("POST /app/reverb-key HTTP/1.1", host, upgrade, "Connection: close", key, version, "Content-Length: 0"), 405, "Allow: GET, HEAD"},
		{"HTTP/1.0", handshake("GET /app/reverb-key HTTP/1.0", host, upgrade, connection, key, version), 505, ""},
		{"no host", handshake(getApp, upgrade, connection, key, version), 400, ""},
		{"no upgrade", handshake(getApp, host, "Connection: close", key, version), 426, "Upgrade: websocket"},
		{"an upgrade to something else", handshake(getApp, host, "Upgrade: h2c", connection, key, version), 426, "Upgrade: websocket"},
		{"no connection header", handshake(getApp, host, upgrade, key, version), 400, ""},
		{"no key", handshake(getApp, host, upgrade, connection, version), 400, ""},
		{"a key that is too short", handshake(getApp, host, upgrade, connection, "Sec-WebSocket-Key: c2hvcnQ=", version), 400, ""},
		{"another version", handshake(getApp, host, upgrade, connection, key, "Sec-WebSocket-Version: 8"), 426, "Sec-WebSocket-Version: 13"},
		{"an unknown path", handshake("GET /nothing HTTP/1.1", host, "Connection: close"), 404, ""},
		{"no HTTP", "\x16\x03\x01\x02\x00\r\n\r\n", 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conn := s.connect(t)
			send(t, conn, tt.sent)
			reader := bufio.NewReader(conn)
			got, err := http.ReadResponse(reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			if err != nil {
				t.Fatal(err)
			}
			got.Body.Close()
			if got.StatusCode != tt.status || got.ContentLength <= 0 || len(body) == 0 {
				t.Errorf("%d with Content-Length %d and %q, want %d with a text", got.StatusCode, got.ContentLength, body, tt.status)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && got.Header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, got.Header.Get(name), value)
			}
			// A failed handshake never goes on as a WebSocket.
			if more, err := io.ReadAll(reader); err != nil || len(more) != 0 {
				t.Errorf("%q and %v behind the answer, want the end", more, err)
			}
		})
	}
}

// maskedText is a text frame with an all-zero mask.
func maskedText(payload string) string {
	return string([]byte{0x81, 0x80 | byte(len(payload)), 0, 0, 0, 0}) + payload
}

func TestPortKeepsWhatComesWithTheHandshake(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	conn := s.connect(t)
	send(t, conn, handshake(getApp, host, upgrade, connection, key, version)+maskedText(`{"event":"pusher:ping"}`))
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	// RFC 6455 section 1.3: the answer to the sample nonce.
	if got := response.Header.Get("Sec-WebSocket-Accept"); response.StatusCode != 101 || got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("handshake answered with %d %q", response.StatusCode, got)
	}
	for _, want := range []string{"pusher:connection_established", "pusher:pong"} {
		head := make([]byte, 2)
		if _, err := io.ReadFull(reader, head); err != nil {
			t.Fatal(err)
		}
		payload := make([]byte, head[1])
		if head[1] > 125 {
			t.Fatalf("frame with a long length %#x, want a short one", head)
		}
		if _, err := io.ReadFull(reader, payload); err != nil {
			t.Fatal(err)
		}
		if got := decode(t, string(payload)); got.Event != want {
			t.Errorf("received %s, want %s", got.Event, want)
		}
	}
}

func TestPortServesManyRequestsOnOneConnection(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	k := open(t, s)
	k.join(t, "news", "")
	path := "/apps/" + testApp.id + "/events"
	var sent strings.Builder
	const requests = 5
	for i := range requests {
		body := fmt.Sprintf(`{"name":"Event","channel":"news","data":"%d"}`, i)
		fmt.Fprintf(&sent, "POST %s?%s HTTP/1.1\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
			path, s.api().signedQuery(http.MethodPost, path, nil, body), host, len(body), body)
	}
	conn := s.connect(t)
	send(t, conn, sent.String()) // all of them before the first answer
	reader := bufio.NewReader(conn)
	for i := range requests {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || string(body) != "{}" {
			t.Errorf("answer %d: %d %q %v, want 200 {}", i, response.StatusCode, body, err)
		}
		response.Body.Close()
	}
	for i := range requests {
		k.expectEvent(t, "Event", "news", fmt.Sprint(i))
	}
}
