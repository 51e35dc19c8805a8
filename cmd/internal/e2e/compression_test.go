package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestCompression talks to a node that compresses with clients of each kind.
func TestCompression(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{env: map[string]string{"RESOUND_COMPRESSION": "true"}})
	long := strings.Repeat("the same again, ", 300)
	for _, row := range []struct {
		name string
		mode websocket.CompressionMode
		want string
	}{
		{"a client without compression", websocket.CompressionDisabled, ""},
		{"a client without context takeover", websocket.CompressionNoContextTakeover, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{"a client with context takeover", websocket.CompressionContextTakeover, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			c, response, err := websocket.Dial(ctx, "ws://"+s.address()+"/app/"+testApp.key, &websocket.DialOptions{
				HTTPClient: client, CompressionMode: row.mode, CompressionThreshold: 1,
			})
			if err != nil {
				t.Fatal(err)
			}
			defer c.CloseNow()
			if got := response.Header.Get("Sec-WebSocket-Extensions"); got != row.want {
				t.Errorf("got extensions %q, want %q", got, row.want)
			}
			c.SetReadLimit(1 << 20)
			read := func() event {
				_, text, err := c.Read(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return decode(t, string(text))
			}
			read() // pusher:connection_established
			// Long enough that the client compresses it, whatever its threshold.
			subscribe := `{"event":"pusher:subscribe","data":{"channel":"news"},"padding":"` + strings.Repeat("x", 2000) + `"}`
			if err := c.Write(ctx, websocket.MessageText, []byte(subscribe)); err != nil {
				t.Fatal(err)
			}
			if got := read().Event; got != "pusher_internal:subscription_succeeded" {
				t.Fatalf("got %s", got)
			}
			for _, data := range []string{"short", long, long + "again"} {
				s.api().trigger(t, "news", "update", data)
				if got := read(); got.Event != "update" || got.text(t) != data {
					t.Errorf("got %s of %d bytes, want update of %d", got.Event, len(got.Data), len(data))
				}
			}
		})
	}
}
