package node_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
)

// TestNodesOfACluster runs two nodes over sockets: an event of a client of one
// reaches a client of the other, connections are told of, an outage shows at
// /ready, and a node that stops takes back what it stated.
func TestNodesOfACluster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resound.yml")
	text := "servers: {reverb: {host: 127.0.0.1, port: 0, workers: 2, drain_timeout: 0, scaling: {enabled: true, on_outage: refuse}}}\n" +
		"apps: {apps: [{app_id: '1', key: key, secret: secret}]}"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	hub := local.NewHub()
	adapters := []*local.Adapter{hub.NewAdapter(), hub.NewAdapter()}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var conns []*websocket.Conn
	var addrs []string
	var stops []func()
	for _, a := range adapters {
		addr, stop := runNodeIn(t, file, a)
		c, _, err := websocket.Dial(ctx, "ws://"+addr+"/app/key", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		conns, addrs, stops = append(conns, c), append(addrs, addr), append(stops, stop)
	}
	say := func(c *websocket.Conn, message string) {
		t.Helper()
		if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
	}
	next := func(c *websocket.Conn, want string) {
		t.Helper()
		_, got, err := c.Read(ctx)
		if err != nil || !strings.Contains(string(got), want) {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}
	for _, c := range conns {
		next(c, "connection_established")
		say(c, `{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		next(c, "subscription_succeeded")
	}
	say(conns[1], `{"event":"client-x","channel":"news","data":{"a":1}}`)
	next(conns[0], `{"event":"client-x","channel":"news","data":{"a":1}}`)

	for deadline := time.Now().Add(patience); adapters[0].OtherConnections("1") != 1; time.Sleep(10 * time.Millisecond) { // stated once a second
		if time.Now().After(deadline) {
			t.Fatal("the second node never told of its connection")
		}
	}

	ready := func() string {
		t.Helper()
		resp, err := http.Get("http://" + addrs[0] + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return fmt.Sprint(resp.StatusCode, " ", string(body))
	}
	hub.Outage()
	hub.Settle()
	if got, want := ready(), `503 {"ready":false,"reason":"degraded"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	hub.Restore()
	hub.Settle()
	if got, want := ready(), `200 {"ready":true}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	stops[0]()
	if o, err := adapters[1].Channel(ctx, cluster.Channel{App: "1", Name: "news"}); err != nil || o.Subscriptions != 1 {
		t.Errorf("a stopped node left %+v, %v, want 1 subscription", o, err)
	}
}
