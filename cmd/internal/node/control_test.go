package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/cmd/internal/node"
)

// running is a node whose configuration file the test may change.
type running struct {
	*node.Node
	t    *testing.T
	file string
}

// runFile runs a node until the test ends.
func runFile(t *testing.T, text string) *running {
	t.Helper()
	r := &running{t: t, file: filepath.Join(t.TempDir(), "resound.yml")}
	r.write(text)
	load := func() (*config.Config, []config.Warning, error) {
		return config.Load(config.Flags{ConfigFile: r.file}, nil, t.TempDir())
	}
	cfg, _, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Node, err = node.New(node.Options{Config: cfg, Logger: slog.New(slog.DiscardHandler), Load: load}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }()
	<-r.Ready()
	t.Cleanup(func() {
		r.Stop()
		r.Stop() // again does nothing
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// write replaces the configuration file. The store of webhooks is the test's own.
func (r *running) write(text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "STORE", filepath.Join(filepath.Dir(r.file), "kept.jsonl"))
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// connect opens a connection and reads its first message.
func (r *running) connect(key string, say ...string) *websocket.Conn {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/app/%s", r.Addr(), key), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.CloseNow() })
	r.read(c)
	for _, m := range say {
		if err := c.Write(ctx, websocket.MessageText, []byte(m)); err != nil {
			r.t.Fatal(err)
		}
		r.read(c)
	}
	return c
}

func (r *running) read(c *websocket.Conn) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, m, err := c.Read(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(m)
}

const subscribeNews = `{"event":"pusher:subscribe","data":{"channel":"news"}}`

const twoApps = `
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 2, drain_timeout: 0, webhooks: {store: STORE}}}
apps: {apps: [{app_id: "1", key: k1, secret: s1}, {app_id: "2", key: k2, secret: s2}]}`

func TestConnectionsAreListed(t *testing.T) {
	r := runFile(t, twoApps)
	for range 600 { // several visits of each reactor
		r.connect("k1")
	}
	r.connect("k2", subscribeNews)
	list := func(q control.ConnectionQuery) (all []control.Connection) {
		t.Helper()
		err := r.Connections(t.Context(), q, func(c *control.Connection) error {
			all = append(all, *c)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	ids := map[string]bool{}
	for _, c := range list(control.ConnectionQuery{}) {
		ids[c.SocketID] = true
	}
	if len(ids) != 601 {
		t.Errorf("%d different connections, want 601", len(ids))
	}
	if got := len(list(control.ConnectionQuery{App: "1"})); got != 600 {
		t.Errorf("app 1 has %d connections, want 600", got)
	}
	one := list(control.ConnectionQuery{Channel: "news"})
	if len(one) != 1 || one[0].App != "2" || one[0].Subscriptions != 1 || one[0].Transport != "websocket" ||
		!strings.HasPrefix(one[0].Remote, "127.0.0.1:") || one[0].RTT == nil || one[0].IdleSeconds == nil {
		t.Errorf("got %+v", one)
	}
	if err := r.Connections(t.Context(), control.ConnectionQuery{App: "3"}, nil); !errors.Is(err, control.ErrUnknownApp) {
		t.Errorf("an unknown app: %v", err)
	}
	enough := errors.New("enough")
	if err := r.Connections(t.Context(), control.ConnectionQuery{}, func(*control.Connection) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the reader's error: %v", err)
	}
}

func TestSnapshotCounts(t *testing.T) {
	r := runFile(t, twoApps)
	c := r.connect("k1", subscribeNews)
	r.connect("k2", subscribeNews)
	_ = c.Close(websocket.StatusNormalClosure, "")
	want := time.Now().Add(patience)
	for r.Snapshot().Connections.Open != 1 { // the server hears of it in its own time
		if time.Now().After(want) {
			t.Fatal("the connection is still open")
		}
		time.Sleep(time.Millisecond)
	}
	s := r.Snapshot()
	if s.Channels != 1 || s.Totals.Received != 2 || s.Totals.Sent != 4 || s.Totals.Opened != 2 || len(s.Reactors) != 2 || s.State != "running" {
		t.Errorf("got %+v", s)
	}
	if len(s.Apps) != 2 || s.Apps[0].ID != "1" || s.Apps[0].Closed != 1 || s.Apps[1].Subscriptions != 1 {
		t.Errorf("apps: %+v", s.Apps)
	}
	if len(s.Closes) != 1 || s.Closes[0].Code != 1000 || s.Closes[0].Reason != "closed by the peer" {
		t.Errorf("closes: %+v", s.Closes)
	}
	if _, err := json.Marshal(s); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if err := r.WriteMetrics(&out); err != nil || !strings.Contains(out.String(), "resound_connections{app=\"2\"} 1\n") {
		t.Errorf("metrics: %v\n%s", err, out.String())
	}
}

func TestTailSeesEventsThatMatch(t *testing.T) {
	r := runFile(t, twoApps)
	c := r.connect("k1", subscribeNews)
	feed, err := r.Tail(control.TailQuery{App: "1", Channel: "n*", Event: "client-y*"})
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	for _, m := range []string{
		`{"event":"client-x","channel":"news","data":1}`,
		`{"event":"client-yes","channel":"news","data":{"a":"\u0041"}}`,
	} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if e, ok := feed.Receive(ctx); !ok {
		t.Error("no event")
	} else if e.App != "1" || e.Channel != "news" || e.Name != "client-yes" || string(e.Data) != `{"a":"\u0041"}` || e.Source != "client" || e.SocketID == "" {
		t.Errorf("got %+v", e)
	}
	if _, err := r.Tail(control.TailQuery{App: "3"}); !errors.Is(err, control.ErrUnknownApp) {
		t.Errorf("an unknown app: %v", err)
	}
}

func TestReloadKeepsConnectionsAndClosesThoseOfRemovedApps(t *testing.T) {
	r := runFile(t, twoApps)
	stays, goes := r.connect("k1", subscribeNews), r.connect("k2", subscribeNews)
	r.write(`
servers: {reverb: {host: 127.0.0.1, port: 0, workers: 1, drain_timeout: 0, max_connections: 5, webhooks: {store: STORE}}}
apps: {apps: [{app_id: "1", key: k1-new, secret: s1}, {app_id: "3", key: k3, secret: s3}]}`)
	done, err := r.Reload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d := done.Difference
	if fmt.Sprint(d.Added, d.Changed, d.Removed, d.Live, d.Restart) != "[3] [1] [2] [servers.reverb.max_connections] [servers.reverb.workers]" || len(done.Warnings) != 1 {
		t.Errorf("got %+v", done)
	}
	if got := r.read(goes); !strings.Contains(got, "4001") {
		t.Errorf("the removed app's connection got %s", got)
	}
	if _, _, err := goes.Read(t.Context()); websocket.CloseStatus(err) != 4001 {
		t.Errorf("the removed app's connection ended with %v, want 4001", err)
	}
	r.connect("k3")
	other := r.connect("k1-new", subscribeNews)
	if err := other.Write(t.Context(), websocket.MessageText, []byte(`{"event":"client-x","channel":"news","data":1}`)); err != nil {
		t.Fatal(err)
	}
	if got := r.read(stays); !strings.Contains(got, "client-x") {
		t.Errorf("the old connection got %s, want the event", got)
	}
	if got := r.Snapshot().Connections.Limit; got != 5 {
		t.Errorf("max_connections is %d, want 5", got)
	}
}

func TestReloadRefusesMistakesAsAWhole(t *testing.T) {
	r := runFile(t, twoApps)
	for _, row := range []struct{ name, text, says string }{
		{"a wrong value", strings.Replace(twoApps, "k1", "k9", 1) + "\n" + `default: nonsense`, "nonsense"},
		{"no YAML", `{{{`, "resound.yml"},
		{"more connections than descriptors", strings.Replace(twoApps, "workers: 2", "max_connections: 9000000, workers: 2", 1), "9000000"},
		{"a webhook of no type", strings.Replace(twoApps, "secret: s1", `secret: s1, webhooks: [{url: "http://127.0.0.1:1", event_types: [nothing]}]`, 1), "nothing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.write(row.text)
			if _, err := r.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want it to say %q", err, row.says)
			}
			r.connect("k1")
		})
	}
}

func TestReloadBringsWebhooks(t *testing.T) {
	got := make(chan string, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		got <- string(body)
	}))
	defer receiver.Close()
	r := runFile(t, twoApps)
	if r.Snapshot().Webhooks != nil {
		t.Error("there are webhooks already")
	}
	r.write(strings.Replace(twoApps, "secret: s1", `secret: s1, webhooks: [{url: "`+receiver.URL+`"}]`, 1))
	if _, err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.connect("k1", subscribeNews)
	select {
	case body := <-got:
		if !strings.Contains(body, "channel_occupied") {
			t.Errorf("got %s", body)
		}
	case <-time.After(patience):
		t.Fatal("no webhook")
	}
	if w := r.Snapshot().Webhooks; w == nil {
		t.Error("the snapshot has no webhooks")
	}
	r.write(twoApps)
	if _, err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.connect("k1", `{"event":"pusher:subscribe","data":{"channel":"other"}}`)
	if w := r.Snapshot().Webhooks; w.QueuedEvents+w.HeldEvents != 0 {
		t.Errorf("webhooks that are gone wait: %+v", w)
	}
}
