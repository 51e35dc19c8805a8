package node_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"resound/channels/cluster"
	"resound/cmd/internal/config"
	"resound/cmd/internal/node"
)

// TestWebhooksReachTheirReceiver runs a node whose app has a webhook, connects,
// subscribes and leaves, and reads what arrives, signature included. What is
// still held back when the node stops is sent by the next one.
func TestWebhooksReachTheirReceiver(t *testing.T) {
	events := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h := hmac.New(sha256.New, []byte("secret"))
		h.Write(body)
		if r.Header.Get("X-Pusher-Key") != "key" || r.Header.Get("X-Pusher-Signature") != hex.EncodeToString(h.Sum(nil)) {
			t.Errorf("key or signature: %v", r.Header)
		}
		var got struct{ Events []json.RawMessage }
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		for _, e := range got.Events {
			events <- string(e)
		}
	}))
	defer receiver.Close()

	dir := t.TempDir()
	file := filepath.Join(dir, "resound.yml")
	text := `
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 1, drain_timeout: 0, webhooks: {store: "` + filepath.Join(dir, "kept.jsonl") + `"}}}
apps: {apps: [{app_id: "1", key: key, secret: secret, webhooks: [{url: "` + receiver.URL + `", filter: {channel_name_ends_with: news}}]}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		select {
		case got := <-events:
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("waited for %s", want)
		}
	}

	addr, stop := runNode(t, file)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws://"+addr+"/app/key", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, m := range []string{
		`{"event":"pusher:subscribe","data":{"channel":"other"}}`,
		`{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`,
		`{"event":"client-x","channel":"cache-news","data":{"a":1}}`,
	} {
		if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	next(`{"name":"channel_occupied","channel":"cache-news"}`)
	next(`{"name":"cache_miss","channel":"cache-news"}`)
	select {
	case got := <-events:
		if !strings.HasPrefix(got, `{"name":"client_event","channel":"cache-news","event":"client-x","data":"{\"a\":1}","socket_id":"`) {
			t.Fatalf("got %s", got)
		}
	case <-time.After(patience):
		t.Fatal("waited for a client event")
	}
	stop()

	_, stop = runNode(t, file)
	next(`{"name":"channel_vacated","channel":"cache-news"}`)
	stop()
}

// runNode runs a node from a configuration file until stop is called.
func runNode(t *testing.T, file string) (addr string, stop func()) {
	t.Helper()
	return runNodeIn(t, file, nil)
}

// runNodeIn runs a node of a cluster.
func runNodeIn(t *testing.T, file string, adapter cluster.Adapter) (addr string, stop func()) {
	t.Helper()
	cfg, warnings, err := config.Load(config.Flags{ConfigFile: file}, nil, t.TempDir())
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	n, err := node.New(node.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), Cluster: adapter})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	<-n.Ready()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return n.Addr().String(), stop
}

func TestStoreThatNothingCanBeSavedTo(t *testing.T) {
	for _, row := range []struct{ name, store, want string }{
		{"no such directory", filepath.Join(t.TempDir(), "none", "kept.jsonl"), "cannot be written"},
		{"a directory", t.TempDir(), "is no regular file"},
		{"a device", "/dev/full", "is no regular file"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "resound.yml")
			text := `
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 1, webhooks: {store: "` + row.store + `"}}}
apps: {apps: [{app_id: "1", key: key, secret: secret, webhooks: [{url: "http://127.0.0.1:1"}]}]}`
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			c, _, err := config.Load(config.Flags{ConfigFile: file}, nil, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := node.New(node.Options{Config: c}); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}
