package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"resound/channels/cluster"
)

// returning is two nodes that lost Redis together, one of which published meanwhile.
type returning struct {
	server                *server
	publisher, subscriber *Adapter
	heard, told           *listener // of the subscriber and the publisher
	proxies               [2]*proxy
	want                  []string
}

func loseRedis(t *testing.T, o Options, s *server) *returning {
	r := &returning{server: s}
	for i := range r.proxies {
		r.proxies[i] = newProxy(t, s.address())
	}
	o.Addresses = []string{r.proxies[0].address()}
	r.publisher, r.told = join(t, o)
	o.Addresses = []string{r.proxies[1].address()}
	r.subscriber, r.heard = join(t, o)
	watch := func() {
		r.subscriber.Watch(named("chat"), false)
		r.subscriber.Watch(named("cache-chat"), true)
	}
	r.heard.onRestate = watch
	watch()
	r.heard.until(t, "watched", func() bool { return r.heard.watched["chat"]*r.heard.watched["cache-chat"] == 1 })
	unlocked(t, r.told, "the publisher knows of both", func() bool { return r.publisher.Stats().Nodes == 2 })
	for _, p := range r.proxies {
		p.set(func(p *proxy) { p.down = true })
		p.cut()
	}
	for _, l := range []*listener{r.told, r.heard} {
		l.until(t, "degraded", func() bool { return l.degraded })
	}
	for i := range 10 {
		r.want = append(r.want, fmt.Sprint(i))
		payload := []byte(r.want[i])
		r.publisher.Publish(cluster.Publication{Channel: named("chat"), Payload: payload})
		r.publisher.Publish(cluster.Publication{Channel: named("cache-chat"), Payload: payload, Keep: time.Minute, Name: `"e"`, Data: `"x"`})
	}
	return r
}

// find lets a node find Redis again.
func (r *returning) find(t *testing.T, i int) {
	t.Helper()
	l := []*listener{r.told, r.heard}[i]
	r.proxies[i].set(func(p *proxy) { p.down = false })
	l.until(t, "back", func() bool { return !l.degraded && l.restated == 1 })
}

// TestTheSpoolWaitsUntilTheOthersListen: the first node that is back must not publish
// what nobody hears.
func TestTheSpoolWaitsUntilTheOthersListen(t *testing.T) {
	for _, test := range []struct {
		name  string
		wiped bool
	}{{"of a redis that has what it had", false}, {"of a redis that is empty", true}} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t)
			o := s.options(t)
			o.Lease = 20 * time.Second // however busy the host, the other comes back in it
			r := loseRedis(t, o, s)
			if test.wiped {
				s.do("FLUSHALL")
			}
			r.find(t, 0)
			r.publisher.Publish(cluster.Publication{Channel: named("chat"), Payload: []byte("afterwards")})
			ask := func() error {
				_, err := r.publisher.Channel(t.Context(), named("chat"))
				return err
			}
			if err := ask(); !errors.Is(err, cluster.ErrPartial) {
				t.Errorf("a query while a node is missing: %v, want ErrPartial", err)
			}
			r.find(t, 1)
			r.heard.until(t, "everything", func() bool {
				return len(r.heard.delivered["chat"]) == 11 && len(r.heard.delivered["cache-chat"]) == 10
			})
			if got := r.heard.delivered["chat"]; !slices.Equal(got, append(slices.Clone(r.want), "afterwards")) {
				t.Errorf("delivered: %q", got)
			}
			if got := r.heard.delivered["cache-chat"]; !slices.Equal(got, r.want) {
				t.Errorf("delivered of those that are kept: %q", got)
			}
			unlocked(t, r.told, "the spool is empty", func() bool { return r.publisher.Stats().Spooled == 0 })
			unlocked(t, r.told, "no node is missing", func() bool { return ask() == nil })
			if st := r.publisher.Stats(); st.Unheard+st.Dropped != 0 {
				t.Errorf("stats: %+v", st)
			}
		})
	}
}

// TestTheSpoolDoesNotWaitForever: who does not come back is given up, and counted.
func TestTheSpoolDoesNotWaitForever(t *testing.T) {
	s := startServer(t)
	r := loseRedis(t, s.options(t), s)
	s.do("FLUSHALL")
	r.find(t, 0)
	unlocked(t, r.told, "the spool is empty", func() bool { return r.publisher.Stats().Spooled == 0 })
	if got := r.publisher.Stats().Unheard; got != 20 {
		t.Errorf("unheard: got %d, want 20", got)
	}
}

// TestANodeThatStopsDoesNotWaitForOthers: what it has leaves with it.
func TestANodeThatStopsDoesNotWaitForOthers(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	a.comeback.await([]string{a.node, "another"})
	a.Publish(cluster.Publication{Channel: named("chat"), Payload: []byte("x")})
	if err := a.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := a.Stats(); st.Spooled != 0 || st.Unheard != 1 {
		t.Errorf("stats: %+v, want nothing spooled and 1 unheard", st)
	}
}

func TestWhoIsAwaited(t *testing.T) {
	const lease = time.Second
	type heard struct {
		nodes, listening string
		listens          bool
		after            time.Duration
	}
	for _, test := range []struct {
		name       string
		known      []string
		heard      heard
		over, late bool
	}{
		{"nobody else", []string{"me"}, heard{"me", "", true, 0}, true, false},
		{"this node itself", []string{"me"}, heard{"me", "", false, 2 * lease}, false, false},
		{"one that is not registered again", []string{"me", "b"}, heard{"me", "me", true, lease / 2}, false, false},
		{"not beyond a lease", []string{"me", "b"}, heard{"me", "me", true, lease}, true, true},
		{"one that is registered and does not listen", []string{"me", "b"}, heard{"me b", "me", true, 4 * lease}, false, false},
		{"not for ever", []string{"me", "b"}, heard{"me b", "me", true, 5 * lease}, true, true},
		{"all are back", []string{"me", "b"}, heard{"me b", "b", true, 0}, true, false},
		{"one that was not known", []string{"me"}, heard{"me new", "", true, 0}, false, false},
		{"another in its place does not count", []string{"me", "b"}, heard{"me new", "new", true, 0}, false, false},
		{"anybody, for a lease, when nobody was known", nil, heard{"me", "", true, lease / 2}, false, false},
		{"and then nobody is missing", nil, heard{"me", "", true, lease}, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c comeback
			c.await(test.known)
			h := test.heard
			if over, _ := c.hear("me", nil, nil, true, lease); over {
				t.Fatal("over before the registration")
			}
			c.registered(1)
			c.began = c.began.Add(-h.after)
			over, late := c.hear("me", strings.Fields(h.nodes), strings.Fields(h.listening), h.listens, lease)
			if over != test.over || late != test.late || c.holds() == over || c.awaits() == over {
				t.Errorf("over %v, late %v, holds %v; want %v, %v", over, late, c.holds(), test.over, test.late)
			}
		})
	}
}
