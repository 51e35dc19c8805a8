package pusher

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// TestClusterAtOnce runs the reactors of several nodes at the same time, while
// the application triggers and the cluster is lost and found. In the end
// everybody has been answered and knows the same roster. It is for the race
// detector above all.
func TestClusterAtOnce(t *testing.T) {
	const steps, channel = 1500, "presence-cache-a"
	nonces := make(chan uint64, 1)
	nonces <- 0
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{Watchlist: true, SubscriptionCount: true}}, 3, 5, func(o *Options) {
		o.NewNonce = func() uint64 {
			n := <-nonces + 1
			nonces <- n
			return n
		}
	})
	workers := make([]*worker, len(f.nodes))
	var running sync.WaitGroup
	for i, n := range f.nodes {
		n.reactor.cluster = nil // each pumps its own mail
		workers[i] = &worker{node: n, channel: channel, rnd: rand.New(rand.NewPCG(uint64(i), 3))}
		running.Go(func() {
			for range steps {
				workers[i].step()
			}
		})
		running.Go(func() {
			for j := range steps / 10 {
				for _, to := range []string{channel, "news", "#server-to-user-u1"} {
					_ = n.node.Trigger(n.app, Event{Channel: to, Name: fmt.Sprintf(`"e%d"`, j), Data: `"x"`})
				}
				n.node.StateConnections()
				n.node.Present(n.app, channel, "u1")
			}
		})
	}
	running.Go(func() {
		for range 5 {
			f.hub.Outage()
			f.hub.Settle()
			f.hub.Restore()
			f.hub.Settle()
		}
	})
	running.Wait()
	f.pump()
	f.hub.Expire()
	f.pump()

	users := map[string]bool{}
	for _, w := range workers {
		for _, user := range w.joined {
			users[user] = true
		}
	}
	for _, w := range workers {
		for conn, user := range w.joined {
			answers := 0
			for _, payload := range conn.got {
				if strings.Contains(payload, "subscription_succeeded") && strings.Contains(payload, channel) {
					answers++
				}
			}
			if answers == 0 {
				t.Errorf("%s on a connection was never answered", user)
			}
		}
		members, _ := w.node.app.Directory().Members(channel)
		if len(w.joined) > 0 && len(members) != len(users) {
			t.Errorf("a node knows %d members, want %d", len(members), len(users))
		}
	}
	if len(users) == 0 {
		t.Error("nobody is left to compare")
	}
}

// worker is the goroutine of one reactor.
type worker struct {
	node    *Fake
	channel string
	rnd     *rand.Rand
	conns   []*fakeConn
	joined  map[*fakeConn]string // user of each subscription
}

func (w *worker) step() {
	r := w.node.reactor
	if w.joined == nil {
		w.joined = map[*fakeConn]string{}
	}
	switch n := w.rnd.IntN(10); {
	case n < 3 || len(w.conns) == 0:
		r.pumpSome()
		if len(w.conns) < 15 {
			w.conns = append(w.conns, r.openConn("/app/k", ""))
		}
		return
	case n < 4:
		i := w.rnd.IntN(len(w.conns))
		w.conns[i].Drop()
		delete(w.joined, w.conns[i])
		w.conns = append(w.conns[:i], w.conns[i+1:]...)
		return
	}
	c := w.conns[w.rnd.IntN(len(w.conns))]
	say := func(message string) { r.shard.OnMessage(c.handle, true, []byte(message)) }
	id := r.shard.socketID(c.handle).String()
	user := fmt.Sprint("u", w.rnd.IntN(6))
	switch w.rnd.IntN(4) {
	case 0:
		say(`{"event":"pusher:unsubscribe","data":{"channel":"` + w.channel + `"}}`)
		delete(w.joined, c)
	case 1:
		say(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	case 2:
		data := fmt.Sprintf(`{"id":%q,"watchlist":["u1","u2"]}`, user)
		sig := w.node.app.Secret().AppendUser(nil, id, data)
		say(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":"k:%s","user_data":%q}}`, sig, data))
	default:
		if w.joined[c] != "" {
			return
		}
		data := fmt.Sprintf(`{"user_id":%q}`, user)
		sig := w.node.app.Secret().AppendChannel(nil, id, w.channel, data)
		say(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":%q,"auth":"k:%s","channel_data":%q}}`, w.channel, sig, data))
		w.joined[c] = user
	}
}

// TestAppsAreAddedWhileAnOutageBeginsOrEnds: whichever is first, their clients do
// not wait during it, and the cluster knows of them afterwards.
func TestAppsAreAddedWhileAnOutageBeginsOrEnds(t *testing.T) {
	config := AppConfig{ID: "1", Key: "k", Secret: "s"}
	f := NewFakeCluster(t, config, 2, 0)
	here := f.nodes[0]
	apps := []AppConfig{config}
	for i := range 300 {
		id := fmt.Sprint("added-", i)
		apps = append(apps[:1], AppConfig{ID: id, Key: id, Secret: "s"})
		outage := i%2 == 0
		var both sync.WaitGroup
		both.Go(func() {
			if outage {
				f.hub.Outage()
			} else {
				f.hub.Restore()
			}
			f.hub.Settle()
		})
		both.Go(func() {
			if _, err := here.node.Reload(Limits{}, apps); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		c := here.Open(id, "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		f.pump()
		if len(c.got) != 2 {
			t.Fatalf("%s got %q, want an answer; outage: %v", id, c.got, outage)
		}
		if rows, err := f.adapters[1].Channels(t.Context(), id, "", 1); !outage && (err != nil || len(rows) != 1) {
			t.Fatalf("the cluster knows %v of %s, %v", rows, id, err)
		}
	}
}
