package pusher

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
)

// leaving is a node that is about to end: its successor is told what it decides.
type leaving struct {
	cluster.Deliverer
	successor cluster.Deliverer
}

func (l leaving) Decided(e cluster.Edge) { l.successor.Decided(e) }

// TestHandOverModel plays at random on a node that is alone, then on it and its
// successor while they are a cluster of two, then on the successor alone, and again:
// nobody may notice.
func TestHandOverModel(t *testing.T) {
	seeds := uint64(300)
	if testing.Short() {
		seeds = 30
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newClusterModel(t, seed, 0)
			c := m.cluster
			c.nodes = []*Fake{c.newNode(nil)}
			for round := range uint64(2) {
				m.steps(100)
				old := c.nodes[0]
				c.hub = local.NewShuffledHub(seed + round)
				successor, predecessor := c.hub.NewAdapter(), c.hub.NewAdapter()
				next := c.newNode(successor)
				if err := predecessor.Start(context.Background(), leaving{old.node.Deliverer(), next.node.Deliverer()}); err != nil {
					t.Fatal(err)
				}
				old.node.Connect(predecessor)
				m.steps(20)
				c.pump() // before all is stated the successor gets no connections
				c.nodes = append(c.nodes, next)
				m.steps(100)
				for i, v := range m.slots {
					if v != nil && v.node == old {
						m.closeSlot(i)
					}
				}
				c.pump()
				m.vacant(old)
				if err := predecessor.Leave(context.Background()); err != nil {
					t.Fatal(err)
				}
				c.pump()
				c.nodes = c.nodes[1:]
				next.node.Disconnect(c.hub)
				m.check()
			}
			m.steps(50)
			m.end()
		})
	}
}

// TestHandOverThatFails has the successor die when it has half of the connections.
func TestHandOverThatFails(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newClusterModel(t, seed, 0)
			m.hooks.unsure = true // those of the successor die with it
			c := m.cluster
			c.nodes = []*Fake{c.newNode(nil)}
			m.steps(100)
			old := c.nodes[0]
			c.hub = local.NewShuffledHub(seed)
			successor, predecessor := c.hub.NewAdapter(), c.hub.NewAdapter()
			next := c.newNode(successor)
			c.start(predecessor, old)
			old.node.Connect(predecessor)
			c.pump()
			c.nodes = append(c.nodes, next)
			m.steps(100)
			m.check()
			c.hub.Kill(predecessor)
			for i, v := range m.slots {
				if v != nil && v.node == next {
					for channel, s := range v.subs {
						m.leaves(channel, s)
					}
					m.slots[i] = nil
				}
			}
			c.nodes = c.nodes[:1]
			old.node.Disconnect(nil)
			m.check()
			m.steps(50)
			m.end()
		})
	}
}

// TestWhatThePredecessorEndedIsNotKept: an event for which it had no room takes the place of
// the one before it at its successor too.
func TestWhatThePredecessorEndedIsNotKept(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{MaxCachedBytes: 2000}}, 0, 0)
	old := f.newNode(nil)
	f.nodes, f.hub = []*Fake{old}, local.NewHub()
	successor, predecessor := f.hub.NewAdapter(), f.hub.NewAdapter()
	next := f.newNode(successor)
	if err := predecessor.Start(context.Background(), leaving{old.node.Deliverer(), next.node.Deliverer()}); err != nil {
		t.Fatal(err)
	}
	old.node.Connect(predecessor)
	f.pump()
	f.nodes = append(f.nodes, next)
	next.Trigger("cache-news", "old", "1", "")
	old.Trigger("cache-news", strings.Repeat("e", 3000), "2", "")
	f.pump()
	if err := predecessor.Leave(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.pump()
	f.nodes = f.nodes[1:]
	next.node.Disconnect(f.hub)
	c := next.Open("k", "")
	next.say(c, `{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
	f.pump()
	if got := c.got[len(c.got)-1]; !strings.Contains(got, "cache_miss") {
		t.Errorf("got %s, want a miss", got)
	}
}
