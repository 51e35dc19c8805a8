package redis

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/clustertest"
)

// proxied is a cluster over a real Redis; each node reaches it through a proxy.
type proxied struct {
	t       *testing.T
	server  *server
	options Options

	mu      sync.Mutex
	proxies map[cluster.Adapter]*proxy
	down    bool
}

func openProxied(t *testing.T, s *server) *proxied {
	return &proxied{t: t, server: s, options: testOptions(t), proxies: make(map[cluster.Adapter]*proxy)}
}

// testOptions has leases so short that a test can wait for their end, and a
// prefix of its own.
func testOptions(t *testing.T) Options {
	return Options{
		Prefix:     t.Name(),
		Lease:      2500 * time.Millisecond,
		Timeout:    1500 * time.Millisecond,
		MaxBackoff: 200 * time.Millisecond,
		Logger:     slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func (c *proxied) Node(t *testing.T) cluster.Adapter {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := newProxy(t, c.server.address())
	p.set(func(p *proxy) { p.down = c.down })
	o := c.options
	o.Addresses = []string{p.address()}
	a := newAdapter(t, o)
	c.proxies[a] = p
	return a
}

// newAdapter makes an adapter that is closed with the test.
func newAdapter(t *testing.T, o Options) *Adapter {
	t.Helper()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := a.Close(ctx); err != nil {
			t.Logf("close: %v", err)
		}
	})
	return a
}

func (c *proxied) set(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
	for _, p := range c.proxies {
		p.set(func(p *proxy) { p.down = down })
		if down {
			p.cut()
		}
	}
}

func (c *proxied) Outage()  { c.set(true) }
func (c *proxied) Restore() { c.set(false) }
func (c *proxied) Expire()  {}

// Kill cuts a node off and abandons it.
func (c *proxied) Kill(a cluster.Adapter) {
	p := c.proxy(a)
	p.set(func(p *proxy) { p.down = true })
	p.cut()
	a.(*Adapter).stop()
}

func (c *proxied) proxy(a cluster.Adapter) *proxy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.proxies[a]
}

func (c *proxied) Pause(a cluster.Adapter) {
	c.proxy(a).set(func(p *proxy) { p.stalled = true })
}

func (c *proxied) Resume(a cluster.Adapter) {
	c.proxy(a).set(func(p *proxy) { p.stalled = false })
}

func (c *proxied) Junk(t *testing.T, ch cluster.Channel) (messages int) {
	t.Helper()
	n := newNames(c.options.Prefix, 0, defaultTopics)
	topic := n.topic(ch)
	valid := appendOrigin(n.appendCID(appendHeader(nil, kindPlain), topic, ch), "0123456789abcdef", 1)
	for _, message := range []string{
		"", "junk", `{"event":"x"}`, "rs", "rs\x01", "rs\x02P", "rs\x01?", "rs\x01P\xff\xff\xff\xff",
		string(valid), string(appendField(appendField(valid, ""), "x")) + "tail",
	} {
		c.server.do("PUBLISH", n.topicName(topic), message)
		messages++
	}
	return messages
}

func TestAdapterKeepsTheContract(t *testing.T) {
	s := startServer(t)
	clustertest.Run(t, func(t *testing.T) clustertest.Cluster { return openProxied(t, s) })
}
