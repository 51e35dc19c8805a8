package rest

import (
	"context"
	"testing"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
	"resound/pusher"
)

// clusterFixture is a fixture one of two nodes of which serves, while the other
// one has what subscribe and join make.
type clusterFixture struct {
	*fixture
	hub   *local.Hub
	here  *pusher.App
	other cluster.Adapter // of the other node
}

func newCluster(t *testing.T, change func(*Options, *pusher.AppOptions)) *clusterFixture {
	t.Helper()
	hub := local.NewShuffledHub(1)
	mine, theirs := hub.NewAdapter(), hub.NewAdapter()
	f := newFixtureIn(t, mine, change)
	second, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{{ID: appID, Key: appKey, Secret: appSecret}}, Cluster: theirs})
	if err != nil {
		t.Fatal(err)
	}
	for a, n := range map[cluster.Adapter]*pusher.Node{mine: f.node.Node, theirs: second} {
		if err := a.Start(context.Background(), n.Deliverer()); err != nil {
			t.Fatal(err)
		}
	}
	out := &clusterFixture{fixture: f, hub: hub, here: f.app, other: theirs}
	f.app = second.AppByID(appID)
	return out
}

func TestQueriesTellOfTheWholeCluster(t *testing.T) {
	f := newCluster(t, nil)
	f.subscribe("a", 2)
	f.join("presence-a", "1", "2")
	f.here.Directory().Subscribe("a", 0, testNow)
	f.other.SetConnections(appID, 7)
	f.hub.Settle()
	f.call(appPath+"/connections", "").check(t, 200, `{"connections":7}`)
	f.call(eventsPath, `{"name":"e","channels":["a","presence-a","b"],"data":"x","info":"subscription_count,user_count"}`).
		check(t, 200, `{"channels":{"a":{"subscription_count":3},"presence-a":{"user_count":2},"b":{}}}`)
	f.call(appPath+"/batch_events", `{"batch":[{"name":"e","channel":"presence-a","data":"x","info":"user_count"},{"name":"e","channel":"a","data":"x"}]}`).
		check(t, 200, `{"batch":[{"user_count":2},{}]}`)
	f.call(appPath+"/channels?info=subscription_count", "").
		check(t, 200, `{"channels":{"a":{"subscription_count":3},"presence-a":{}}}`)
}

func TestSignedInUsersAreNoChannels(t *testing.T) {
	f := newCluster(t, nil)
	f.other.Hold(cluster.Channel{App: appID, Name: cluster.UserPrefix + "ann"}, 1, false)
	f.hub.Settle()
	f.call(appPath+"/channels", "").check(t, 200, `{"channels":{}}`)
	f.call(appPath+"/channels/%23server-to-user-ann", "").check(t, 200, `{"occupied":false}`)
}

// TestAListThatCannotBeHasAnAnswer: the limits themselves are pusher's.
func TestAListThatCannotBeHasAnAnswer(t *testing.T) {
	f := newFixture(t, nil)
	f.node.listErr = pusher.ErrTooManyChannels
	f.call(appPath+"/channels", "").check(t, 400, "Bad request: more than 1000000 channels are occupied. Ask for some of them with filter_by_prefix.")
	f.node.listErr = pusher.ErrListTimeout
	got := f.call(appPath+"/channels", "")
	got.check(t, 503, "Service unavailable: the list of channels was not complete within 10s. Try again, or ask for some of them with filter_by_prefix.")
	if got.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestOutage: while the other nodes are out of reach a node answers with what it
// knows itself, or refuses if it is told to.
func TestOutage(t *testing.T) {
	for _, row := range []struct {
		name      string
		refuse    bool
		trigger   int
		ready     int
		readyBody string
	}{
		{"serve", false, 200, 200, `{"ready":true,"degraded":"redis"}`},
		{"refuse", true, 503, 503, `{"ready":false,"reason":"degraded"}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newCluster(t, func(o *Options, _ *pusher.AppOptions) { o.RefuseDegraded = row.refuse })
			f.subscribe("a", 2)
			f.here.Directory().Subscribe("a", 0, testNow)
			f.hub.Settle()
			f.call(appPath+"/channels?info=subscription_count", "").check(t, 200, `{"channels":{"a":{"subscription_count":3}}}`)
			f.send("GET", "/ready", "").check(t, 200, `{"ready":true}`)

			f.hub.Outage()
			f.hub.Settle()
			f.call(appPath+"/channels?info=subscription_count", "").check(t, 200, `{"channels":{"a":{"subscription_count":1}}}`)
			got := f.call(eventsPath, `{"name":"e","channel":"a","data":"x"}`)
			if retry := got.header.Get("Retry-After"); got.status != row.trigger || (retry != "") != row.refuse {
				t.Errorf("a trigger is answered %d with Retry-After %q, want %d", got.status, retry, row.trigger)
			}
			f.send("GET", "/ready", "").check(t, row.ready, row.readyBody)
			if refused := f.server.Stats().RefusedDegraded; (refused == 1) != row.refuse {
				t.Errorf("%d refusals are counted", refused)
			}

			f.hub.Restore()
			f.hub.Settle()
			f.send("GET", "/ready", "").check(t, 200, `{"ready":true}`)
			f.call(appPath+"/channels?info=subscription_count", "").check(t, 200, `{"channels":{"a":{"subscription_count":3}}}`)
		})
	}
}
