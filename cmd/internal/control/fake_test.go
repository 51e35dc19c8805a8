package control

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"resound/cmd/internal/config"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/history"
)

// patience bounds every wait; none is expected to last.
const patience = 20 * time.Second

// fakeNode is a Node in which everything is as the test says.
type fakeNode struct {
	connections func(ctx context.Context, yield func(*Connection) error) error
	feed        *Feed
	reloadErr   error
	history     *history.Store
	custom      []monitor.Custom
	stopped     chan struct{}
	once        sync.Once
}

func newFakeNode() *fakeNode {
	return &fakeNode{feed: NewFeed(func() {}), stopped: make(chan struct{})}
}

func (*fakeNode) Snapshot() monitor.Snapshot {
	return monitor.Snapshot{Version: "fake", Closes: []monitor.CloseCount{{Code: 4001, Reason: "why", Count: 2}}}
}

func (*fakeNode) Nodes(context.Context) []monitor.Node {
	return []monitor.Node{{ID: "a", Self: true, Figures: &monitor.Figures{Address: "ws1:8080"}}, {ID: "b"}}
}

func (n *fakeNode) Connections(ctx context.Context, q ConnectionQuery, yield func(*Connection) error) error {
	if q.App == "unknown" {
		return ErrUnknownApp
	}
	return n.connections(ctx, yield)
}

func (*fakeNode) Channels(app, prefix string) ([]Channel, error) {
	return []Channel{{App: app, Name: prefix + "news", Subscriptions: 3}, {App: app, Name: prefix + "x", Users: 1}}, nil
}

func (n *fakeNode) Tail(q TailQuery) (*Feed, error) {
	if q.App == "too many" {
		return nil, ErrTooMany
	}
	return n.feed, nil
}

func (*fakeNode) Credentials(app string) (Credentials, error) {
	return Credentials{App: app, Key: "k", Secret: "s", URL: "http://127.0.0.1:1"}, nil
}

func (*fakeNode) Restart(context.Context) (pid int, err error) { return 4711, nil }

func (n *fakeNode) Reload(context.Context) (Reloaded, error) {
	return Reloaded{Difference: config.Difference{Added: []string{"2"}}, Warnings: []string{"careful"}}, n.reloadErr
}

func (n *fakeNode) Stop() { n.once.Do(func() { close(n.stopped) }) }

func (n *fakeNode) WriteMetrics(w io.Writer) error {
	_, err := io.WriteString(w, "resound_up 1\n")
	return err
}

func (n *fakeNode) RecordCustom(metrics []monitor.Custom) error {
	n.custom = append(n.custom, metrics...)
	return nil
}

func (n *fakeNode) History() *history.Store { return n.history }

func (*fakeNode) DashboardLink() (string, error) { return "http://127.0.0.1:1/reverb?token=t", nil }

// serve answers for a node until the test ends.
func serve(t *testing.T, n Node) (*Server, *Client) {
	t.Helper()
	l, err := Listen(filepath.Join(t.TempDir(), "c.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, Options{Node: n})
	c := NewClient(s.Path())
	t.Cleanup(func() {
		c.Close()
		s.Close()
	})
	return s, c
}

// within waits for something that another goroutine does.
func within[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return got
}

// environment returns a getenv that knows only these variables.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// gone reports whether nothing has a name any more.
func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}
