package pusher

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"resound/channels/cluster"
)

// TestAnAppRemovedFromOneNodeLeavesTheCluster: others may still have it. What the
// node stated of it ends, be it that the cluster answers only afterwards.
func TestAnAppRemovedFromOneNodeLeavesTheCluster(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{Watchlist: true}}
	f := NewFakeCluster(t, config, 2, 0)
	here, there := f.nodes[0], f.nodes[1]
	join := func(user string) *fakeConn {
		c := here.Open("k", "")
		id := here.reactor.shard.socketID(c.handle).String()
		data := fmt.Sprintf(`{"user_id":%q}`, user)
		sig := here.app.Secret().AppendChannel(nil, id, "presence-a", data)
		here.reactor.shard.OnMessage(c.handle, true, fmt.Appendf(nil,
			`{"event":"pusher:subscribe","data":{"channel":"presence-a","auth":"k:%s","channel_data":%q}}`, sig, data))
		data = fmt.Sprintf(`{"id":%q,"watchlist":["x","y"]}`, user)
		sig = here.app.Secret().AppendUser(nil, id, data)
		here.reactor.shard.OnMessage(c.handle, true, fmt.Appendf(nil,
			`{"event":"pusher:signin","data":{"auth":"k:%s","user_data":%q}}`, sig, data))
		return c
	}
	join("ann")
	f.pump()
	here.node.StateConnections()
	f.hub.Pause(f.adapters[0])
	join("bob")
	removed, err := here.node.Reload(Limits{}, nil)
	if err != nil || len(removed) != 1 {
		t.Fatalf("got %d removed, %v", len(removed), err)
	}
	if _, err := here.node.Reload(Limits{}, []AppConfig{config}); err == nil || !strings.Contains(err.Error(), `app "1"`) {
		t.Errorf("an app that is not gone yet comes back: %v", err)
	}
	here.closeAll(removed[0])
	f.hub.Resume(f.adapters[0])
	f.pump()
	here.node.StateConnections()
	f.pump()

	c := cluster.Channel{App: "1", Name: "presence-a"}
	if list, err := f.adapters[1].Members(context.Background(), c); err != nil || len(list) != 0 {
		t.Errorf("members: got %v, %v", list, err)
	}
	if rows, err := f.adapters[1].Channels(context.Background(), "1", "", 1<<20); err != nil || len(rows) != 0 {
		t.Errorf("channels: got %v, %v", rows, err)
	}
	if got := there.node.AppConnections(there.app); got != 0 {
		t.Errorf("connections: got %d", got)
	}
	if got := here.node.ClusterStats().Topics; got != 0 {
		t.Errorf("%d channels are still watched", got)
	}
	if _, err := here.node.Reload(Limits{}, []AppConfig{config}); err != nil {
		t.Errorf("an app that is gone does not come back: %v", err)
	}
}

// TestAnAppIsRemovedDuringAnOutage: what is left of it is not stated again.
func TestAnAppIsRemovedDuringAnOutage(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s"}
	f := NewFakeCluster(t, config, 2, 0)
	here := f.nodes[0]
	c := here.Open("k", "")
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	f.pump()
	f.hub.Outage()
	f.pump()
	removed, err := here.node.Reload(Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	here.closeAll(removed[0])
	f.hub.Restore()
	f.pump()
	here.node.StateConnections()
	f.pump()
	if rows, err := f.adapters[1].Channels(context.Background(), "1", "", 1<<20); err != nil || len(rows) != 0 {
		t.Errorf("channels: got %v, %v", rows, err)
	}
	if _, err := here.node.Reload(Limits{}, []AppConfig{config}); err != nil {
		t.Errorf("it does not come back: %v", err)
	}
}

// TestAWatchlistThatIsSwitchedOnKnowsWhoIsOnline: who signed in before is online
// all the same.
func TestAWatchlistThatIsSwitchedOnKnowsWhoIsOnline(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s"}
	f := NewFakeCluster(t, config, 2, 0)
	signIn := func(n *Fake, user string) *fakeConn {
		c := n.Open("k", "")
		id := n.reactor.shard.socketID(c.handle).String()
		data := fmt.Sprintf(`{"id":%q,"watchlist":["ann","bob"]}`, user)
		c.Send(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":"k:%s","user_data":%q}}`, n.app.Secret().AppendUser(nil, id, data), data))
		f.pump()
		return c
	}
	ann := signIn(f.nodes[0], "ann")
	// Over Redis the edge is often decided before the topic is subscribed to, and
	// nobody asks for the state without watchlists: the node does not know.
	f.nodes[0].app.users.Edge("ann", false)
	config.Options.Watchlist = true
	for _, n := range f.nodes {
		if _, err := n.node.Reload(Limits{}, []AppConfig{config}); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range f.nodes {
		got := strings.Join(signIn(n, "cleo").got, "\n")
		if !strings.Contains(got, `{"name":"online","user_ids":["ann"]}`) || !strings.Contains(got, `{"name":"offline","user_ids":["bob"]}`) {
			t.Errorf("node %d: got %s", i, got)
		}
	}
	ann.got = nil
	ann.Drop()
	f.pump()
	for i, n := range f.nodes {
		if n.app.users.Look("ann").Online {
			t.Errorf("node %d: ann is online still", i)
		}
	}
}

// TestAnAppThatIsAddedDuringAnOutageServes: as the others do, then and afterwards.
func TestAnAppThatIsAddedDuringAnOutageServes(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s"}
	added := AppConfig{ID: "2", Key: "k2", Secret: "s"}
	f := NewFakeCluster(t, config, 2, 0)
	here := f.nodes[0]
	f.hub.Outage()
	f.pump()
	if _, err := here.node.Reload(Limits{}, []AppConfig{config, added}); err != nil {
		t.Fatal(err)
	}
	c := here.Open("k2", "")
	c.got = nil
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	if got := c.Next(); !strings.Contains(got, "subscription_succeeded") {
		t.Errorf("got %s, want the answer", got)
	}
	f.hub.Restore()
	f.pump()
	if rows, err := f.adapters[1].Channels(context.Background(), "2", "", 1<<20); err != nil || len(rows) != 1 {
		t.Errorf("after the outage: got %v, %v", rows, err)
	}
}

// TestWatchlistsThatAreSwitchedOffTakeNobodyAway: nobody asks who is online any
// more, so nobody is said to have gone.
func TestWatchlistsThatAreSwitchedOffTakeNobodyAway(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{Watchlist: true}}
	f := NewFakeCluster(t, config, 2, 0)
	ann, bob := f.nodes[0].Open("k", ""), f.nodes[1].Open("k", "")
	f.nodes[1].signIn(bob, "bob", "")
	f.pump()
	f.nodes[0].signIn(ann, "ann", `"bob"`)
	f.pump()
	if got := ann.got[len(ann.got)-1]; !strings.Contains(got, `{"name":"online","user_ids":["bob"]}`) {
		t.Fatalf("got %s, want that bob is online", got)
	}
	ann.got = nil
	reload := func(watchlist bool) {
		config.Options.Watchlist = watchlist
		for _, n := range f.nodes {
			if _, err := n.node.Reload(Limits{}, []AppConfig{config}); err != nil {
				t.Fatal(err)
			}
		}
		f.pump()
	}
	reload(false)
	f.hub.Outage()
	f.pump()
	f.hub.Restore()
	f.pump()
	if len(ann.got) != 0 {
		t.Errorf("ann got %q, and bob never left", ann.got)
	}
	bob.Drop()
	f.pump()
	reload(true)
	if got := strings.Join(ann.got, ""); strings.Count(got, `{"name":"offline","user_ids":["bob"]}`) != 1 {
		t.Errorf("ann got %q, want once that bob left", got)
	}
}
