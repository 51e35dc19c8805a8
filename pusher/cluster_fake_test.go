package pusher

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resound/channels/cluster/local"
)

// FakeCluster is fakes of several nodes, connected by a hub. Connections and
// triggers go to one node after the other.
type FakeCluster struct {
	t        *testing.T
	app      AppConfig
	change   func(*Options)
	hub      *local.Hub
	adapters []*local.Adapter
	nodes    []*Fake
	next     int
	nonce    uint64
	clock    atomic.Int64 // unix seconds; the hub's goroutine reads it
}

// NewFakeCluster returns a cluster whose hub delays and shuffles what it is told
// unless seed is 0.
func NewFakeCluster(t *testing.T, c AppConfig, nodes int, seed uint64) *FakeCluster {
	return newFakeCluster(t, c, nodes, seed, func(*Options) {})
}

func newFakeCluster(t *testing.T, c AppConfig, nodes int, seed uint64, change func(*Options)) *FakeCluster {
	f := &FakeCluster{t: t, app: c, change: change, hub: local.NewHub()}
	if seed != 0 {
		f.hub = local.NewShuffledHub(seed)
	}
	f.clock.Store(1_700_000_000)
	f.nodes, f.adapters = make([]*Fake, nodes), make([]*local.Adapter, nodes)
	for i := range nodes {
		f.replace(i)
	}
	return f
}

// replace starts a node in the place of another one, which is not stopped.
func (f *FakeCluster) replace(i int) {
	f.adapters[i] = f.hub.NewAdapter()
	f.nodes[i] = f.newNode(f.adapters[i])
}

// newNode returns a node that is connected by a, or one that is alone.
func (f *FakeCluster) newNode(a *local.Adapter) *Fake {
	o := Options{NewNonce: func() uint64 { f.nonce++; return f.nonce }}
	if a != nil {
		o.Cluster = a
	}
	f.change(&o)
	n := newFake(f.t, f.app, o)
	n.node.options.Now = func() time.Time { return time.Unix(f.clock.Load(), 0) }
	n.reactor.cluster = f
	if a != nil {
		f.start(a, n)
	}
	return n
}

func (f *FakeCluster) start(a *local.Adapter, n *Fake) {
	if err := a.Start(context.Background(), n.node.Deliverer()); err != nil {
		f.t.Fatal(err)
	}
}

// say sends a client's message, without waiting for anything.
func (f *Fake) say(c *fakeConn, format string, args ...any) {
	f.reactor.shard.OnMessage(c.handle, true, fmt.Appendf(nil, format, args...))
}

// join subscribes to a presence channel as a user.
func (f *Fake) join(c *fakeConn, channel, user string) {
	data := fmt.Sprintf(`{"user_id":%q}`, user)
	sig := f.app.Secret().AppendChannel(nil, f.reactor.shard.socketID(c.handle).String(), channel, data)
	f.say(c, `{"event":"pusher:subscribe","data":{"channel":%q,"auth":"k:%s","channel_data":%q}}`, channel, sig, data)
}

// signIn signs in as a user; watchlist is a list of JSON tokens.
func (f *Fake) signIn(c *fakeConn, user, watchlist string) {
	data := fmt.Sprintf(`{"id":%q,"watchlist":[%s]}`, user, watchlist)
	sig := f.app.Secret().AppendUser(nil, f.reactor.shard.socketID(c.handle).String(), data)
	f.say(c, `{"event":"pusher:signin","data":{"auth":"k:%s","user_data":%q}}`, sig, data)
}

// pump lets everything arrive that is on its way.
func (f *FakeCluster) pump() {
	for {
		f.hub.Settle()
		more := false
		for _, n := range f.nodes {
			more = n.reactor.pumpSome() || more
		}
		if !more {
			return
		}
	}
}

func (f *FakeCluster) turn() *Fake {
	f.next++
	return f.nodes[f.next%len(f.nodes)]
}

// Open connects to the next node; key may carry a query.
func (f *FakeCluster) Open(key, origin string) *fakeConn {
	for _, n := range f.nodes {
		n.node.StateConnections()
	}
	return f.turn().Open(key, origin)
}

func (f *FakeCluster) Advance(d time.Duration) {
	f.pump()
	f.clock.Add(int64(d / time.Second))
	for _, n := range f.nodes {
		n.reactor.advance(d)
		n.node.Recount()
	}
	f.pump()
}

func (f *FakeCluster) Trigger(channel, event, data, except string) {
	f.pump()
	f.turn().Trigger(channel, event, data, except)
	f.pump()
}

func (f *FakeCluster) Terminate(user string) {
	f.pump()
	f.turn().Terminate(user)
	f.pump()
}

// recordedHooks keeps webhooks.
type recordedHooks struct {
	mu  sync.Mutex
	all []Hook
}

func (r *recordedHooks) Publish(_ *App, h Hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, h)
}

// take returns what was told since it was called the last time.
func (r *recordedHooks) take() []Hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}
