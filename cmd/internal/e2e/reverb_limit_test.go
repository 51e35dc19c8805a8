package e2e

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

var limitBehaviors = []behavior{
	{34, "a_message_over_one_byte", "", func(t *testing.T, w *world) {
		k := w.dial(t, "reverb-key-3", "http://laravel.com")
		k.next(t) // pusher:connection_established
		k.send(t, `{"event":"pusher:ping"}`)
		k.expectTooLarge(t)
	}},
	{38, "a_message_over_10000_bytes", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.send(t, pad(`{"event":"pusher:ping","data":"`, 10_000, `"}`))
		k.expect(t, `{"event":"pusher:pong"}`)
		k.send(t, pad(`{"event":"pusher:ping","data":"`, 10_001, `"}`))
		k.expectTooLarge(t)
	}},
	{39, "a_message_of_20000_bytes_where_allowed", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "large")
		k.send(t, pad(`{"event":"pusher:subscribe","data":{"channel":"test-39","channel_data":"[\"`, 20_000, `\"]"}}`))
		k.expect(t, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"test-39"}`)
	}},
	{40, "a_request_in_many_pieces", "", func(t *testing.T, w *world) {
		body := pad(`{"name":"Event","channel":"test-40","data":"`, 150_000, `"}`)
		k := w.open(t)
		k.join(t, "test-40", "")
		conn := w.connect(t)
		path := "/apps/" + w.api().app.id + "/events"
		send(t, conn, "POST "+path+"?"+w.api().signedQuery(http.MethodPost, path, nil, body)+" HTTP/1.1\r\n"+
			"Host: "+w.address()+"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n")
		for rest := body; rest != ""; {
			n := min(len(rest), 1000)
			send(t, conn, rest[:n])
			rest = rest[n:]
		}
		got, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(got), "HTTP/1.1 200 ") || !strings.HasSuffix(string(got), "\r\n\r\n{}") {
			t.Errorf("answer %q, want 200 {}", got)
		}
		if got := decode(t, k.next(t)); got.Event != "Event" || len(got.text(t)) < 149_000 {
			t.Errorf("received %s with %d bytes, want the whole event", got.Event, len(got.Data))
		}
	}},
}

// expectTooLarge waits for the close that follows a message over the limit.
func (k *socket) expectTooLarge(t *testing.T) {
	t.Helper()
	if got := k.expectClose(t, 1009); got.Reason != "Maximum message size exceeded" {
		t.Errorf("close reason %q, want %q", got.Reason, "Maximum message size exceeded")
	}
}

// pad puts as much between two texts as makes size bytes of them.
func pad(head string, size int, tail string) string {
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

// connect opens a TCP connection, for what no client library sends.
func (s *server) connect(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", s.address(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}
