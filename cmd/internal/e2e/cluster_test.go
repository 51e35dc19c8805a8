package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	added   = "pusher_internal:member_added"
	removed = "pusher_internal:member_removed"
)

// nodes starts several nodes on one Redis.
func nodes(t *testing.T, r *redisServer, n int, env map[string]string) []*server {
	t.Helper()
	all := make([]*server, n)
	for i := range all {
		all[i] = start(t, startOptions{env: r.environment(env)})
	}
	return all
}

// mark triggers an event by one node, behind which nothing that came before it can
// be at the sockets.
func mark(t *testing.T, by *server, channel, name string, sockets ...*socket) {
	t.Helper()
	by.api().trigger(t, channel, name, "{}")
	for _, k := range sockets {
		k.expectEvent(t, name, channel, "{}")
	}
}

func TestClusterIsOneServer(t *testing.T) {
	t.Parallel()
	s := nodes(t, startRedis(t), 3, nil)
	ann, bob, carol := open(t, s[0]), open(t, s[1]), open(t, s[2])

	t.Run("an event reaches the subscribers of all nodes", func(t *testing.T) {
		for _, k := range []*socket{ann, bob, carol} {
			k.join(t, "news", "")
		}
		for i, by := range s {
			mark(t, by, "news", fmt.Sprint("By", i), ann, bob, carol)
		}
	})
	t.Run("and never the socket that caused it", func(t *testing.T) {
		s[2].api().post(t, "/events", map[string]any{"name": "Others", "channel": "news", "data": "{}", "socket_id": bob.id}, `{}`)
		ann.expectEvent(t, "Others", "news", "{}")
		carol.expectEvent(t, "Others", "news", "{}")
		bob.send(t, `{"event":"client-typing","channel":"news","data":{"n":1}}`)
		for _, k := range []*socket{ann, carol} {
			k.expect(t, `{"event":"client-typing","channel":"news","data":{"n":1}}`)
		}
		mark(t, s[0], "news", "Behind", ann, bob, carol)
	})
	t.Run("members are told once, wherever they are", func(t *testing.T) {
		ann.join(t, "presence-room", memberOf("ann"))
		bob.join(t, "presence-room", memberOf("bob"))
		ann.expectEvent(t, added, "presence-room", memberOf("bob"))
		got := carol.join(t, "presence-room", memberOf("bob"))
		if want := `"count":2,"ids":["ann","bob"]`; !strings.Contains(got.text(t), want) {
			t.Errorf("carol is told %s, want %s", got.Data, want)
		}
		mark(t, s[1], "presence-room", "Both", ann, bob, carol)
		bob.send(t, `{"event":"pusher:unsubscribe","data":{"channel":"presence-room"}}`)
		mark(t, s[0], "presence-room", "One", ann, carol)
		for _, by := range s {
			by.api().eventually(t, "/channels/presence-room", "user_count", `{"occupied":true,"user_count":2}`)
			by.api().eventually(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"bob"}]}`)
		}
		carol.send(t, `{"event":"pusher:unsubscribe","data":{"channel":"presence-room"}}`)
		ann.expectEvent(t, removed, "presence-room", `{"user_id":"bob"}`)
	})
	t.Run("the last event of a cache channel is everywhere", func(t *testing.T) {
		s[0].api().trigger(t, "cache-price", "Changed", `{"price":7}`)
		// The trigger is answered before Redis has it: who subscribes elsewhere in that
		// moment is told of a miss and then gets the event.
		eventually(t, "the event is kept for all nodes", func() bool {
			return strings.Contains(s[2].api().get(t, "/channels/cache-price", "cache").body, `"cache":{`)
		})
		carol.join(t, "cache-price", "")
		carol.expectEvent(t, "Changed", "cache-price", `{"price":7}`)
		s[1].api().trigger(t, "cache-price", "Changed", `{"price":8}`)
		carol.expectEvent(t, "Changed", "cache-price", `{"price":8}`)
		ann.join(t, "cache-price", "")
		ann.expectEvent(t, "Changed", "cache-price", `{"price":8}`)
	})
	t.Run("every node knows all", func(t *testing.T) {
		for _, by := range s {
			by.api().eventually(t, "/connections", "", `{"connections":3}`)
			by.api().eventually(t, "/channels", "subscription_count",
				`{"channels":{"news":{"subscription_count":3},"cache-price":{"subscription_count":2},"presence-room":{}}}`)
			by.api().expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"}]}`)
		}
	})
	t.Run("a user is terminated by any node", func(t *testing.T) {
		s[2].api().post(t, "/users/ann/terminate_connections", map[string]any{}, `{}`)
		ann.expectError(t, 4009, "Connection was terminated by the application")
		ann.expectClose(t, 4009)
		s[1].api().eventually(t, "/channels/presence-room", "", `{"occupied":false}`)
	})
}

// TestClusterOutlivesANode kills a node, and stops one longer than its lease.
func TestClusterOutlivesANode(t *testing.T) {
	t.Parallel()
	s := nodes(t, startRedis(t), 3, nil)
	ann, bob, carol := open(t, s[0]), open(t, s[1]), open(t, s[2])
	ann.join(t, "presence-room", memberOf("ann"))
	bob.join(t, "presence-room", memberOf("bob"))
	ann.expectEvent(t, added, "presence-room", memberOf("bob"))
	carol.join(t, "presence-room", memberOf("carol"))
	ann.expectEvent(t, added, "presence-room", memberOf("carol"))
	bob.expectEvent(t, added, "presence-room", memberOf("carol"))

	s[1].signal(t, syscall.SIGKILL)
	for _, k := range []*socket{ann, carol} {
		k.expectEvent(t, removed, "presence-room", `{"user_id":"bob"}`)
	}
	s[2].api().expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"carol"}]}`)

	s[2].signal(t, syscall.SIGSTOP)
	ann.expectEvent(t, removed, "presence-room", `{"user_id":"carol"}`)
	s[2].signal(t, syscall.SIGCONT)
	ann.expectEvent(t, added, "presence-room", memberOf("carol"))
	// carol, who never left for herself, is told nothing.
	mark(t, s[0], "presence-room", "After", ann, carol)
	s[2].api().expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"carol"}]}`)
}

func TestClusterOutlivesRedis(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	s := nodes(t, r, 2, nil)
	s = append(s, start(t, startOptions{env: r.environment(map[string]string{"RESOUND_SCALING_ON_OUTAGE": "refuse"})}))
	ann, bob := open(t, s[0]), open(t, s[1])
	ann.join(t, "presence-room", memberOf("ann"))
	bob.join(t, "presence-room", memberOf("bob"))
	ann.expectEvent(t, added, "presence-room", memberOf("bob"))

	r.kill(t)
	ready := func(s *server) string {
		got := request(t, http.MethodGet, s.url("/ready"), "")
		return fmt.Sprint(got.status, strings.Contains(got.body, "degraded"))
	}
	for i, want := range []string{"200 true", "200 true", "503 true"} {
		eventually(t, "/ready tells of the outage", func() bool { return ready(s[i]) == want })
	}
	const refused = `{"name":"E","channel":"a","data":"{}"}`
	for route, body := range map[string]string{"/events": refused, "/batch_events": `{"batch":[` + refused + `]}`} {
		if got := s[2].api().do(t, http.MethodPost, route, nil, body); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
			t.Errorf("%s of a node that refuses: %d %s", route, got.status, got.body)
		}
	}
	// What is local goes on at once.
	mark(t, s[0], "presence-room", "Local", ann)
	carol := open(t, s[0])
	carol.join(t, "presence-room", memberOf("carol"))
	ann.expectEvent(t, added, "presence-room", memberOf("carol"))
	dan := open(t, s[1])
	dan.join(t, "presence-room", memberOf("dan"))
	bob.expectEvent(t, added, "presence-room", memberOf("dan"))
	ann.close(t)
	carol.expectEvent(t, removed, "presence-room", `{"user_id":"ann"}`)
	s[0].api().expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"bob"},{"id":"carol"}]}`)

	r.start(t) // empty
	for i := range s {
		eventually(t, "/ready tells of the end of the outage", func() bool { return ready(s[i]) == "200 false" })
	}
	for _, by := range s {
		eventually(t, "every node has the whole roster", func() bool {
			got := by.api().get(t, "/channels/presence-room/users", "").body
			return len(got) == len(`{"users":[{"id":"bob"},{"id":"carol"},{"id":"dan"}]}`) &&
				strings.Contains(got, "bob") && strings.Contains(got, "carol") && strings.Contains(got, "dan")
		})
	}
	// Each is told what it does not know, and events cross again.
	want := "bob carol dan"
	for k, known := range map[*socket]string{carol: "bob carol", bob: "ann bob dan", dan: "ann bob dan"} {
		expectRoster(t, s[2], k, "presence-room", known, want)
	}
}

// TestClusterSharesTheQuotaOfConnections: as of about a second ago, and of a node that is
// killed until its lease has ended.
func TestClusterSharesTheQuotaOfConnections(t *testing.T) {
	t.Parallel()
	s := nodes(t, startRedis(t), 3, map[string]string{"REVERB_APP_MAX_CONNECTIONS": "2"})
	open(t, s[0])
	ann := open(t, s[1])
	for _, by := range s {
		by.api().eventually(t, "/connections", "", `{"connections":2}`)
	}
	refused := dial(t, s[2], testApp, nil)
	refused.expectError(t, 4004, "Application is over connection quota")
	refused.expectClose(t, 4004)
	ann.close(t)
	s[2].api().eventually(t, "/connections", "", `{"connections":1}`)
	open(t, s[2])
	s[0].signal(t, syscall.SIGKILL)
	s[0].wait(t)
	s[1].api().eventually(t, "/connections", "", `{"connections":1}`)
	open(t, s[1])
}

// TestClusterShowsInStatusAndMetrics looks at a cluster, and at one without Redis.
func TestClusterShowsInStatusAndMetrics(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := startCommanded(t, startOptions{env: r.environment(nil)})
	other := start(t, startOptions{env: r.environment(nil)})
	ann := open(t, c.server)
	ann.join(t, "news", "")
	mark(t, other, "news", "Crossed", ann)
	says := func(parts ...string) func() bool {
		return func() bool {
			text := c.run(t, "status") + request(t, http.MethodGet, c.url("/metrics"), "").body
			return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
		}
	}
	eventually(t, "a node knows of another", says("connected", "2 nodes, 1 topics; 0 publications sent, 1 received",
		"\nresound_cluster_degraded 0\n", "\nresound_cluster_nodes 2\n", "\nresound_cluster_publications_received_total 1\n"))
	r.kill(t)
	eventually(t, "the outage shows", says("degraded", "0 nodes", "\nresound_cluster_degraded 1\n"))
}

// TestClusterOutlivesAHangingRedis stops Redis and lets it go on, with what was
// stated before: who left meanwhile does not come back, and nobody else goes.
func TestClusterOutlivesAHangingRedis(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	s := nodes(t, r, 2, nil)
	ann, bob, carol, dan := open(t, s[0]), open(t, s[0]), open(t, s[1]), open(t, s[0])
	ann.join(t, "presence-room", memberOf("ann"))
	for k, name := range map[*socket]string{bob: "bob", dan: "dan"} {
		k.join(t, "presence-room", memberOf(name))
		ann.expectEvent(t, added, "presence-room", memberOf(name))
	}
	carol.join(t, "presence-room", memberOf("carol"))
	ann.expectEvent(t, added, "presence-room", memberOf("carol"))

	r.signal(t, syscall.SIGSTOP)
	dan.close(t) // before anybody knows that Redis hangs
	ann.expectEvent(t, removed, "presence-room", `{"user_id":"dan"}`)
	for _, by := range s {
		eventually(t, "/ready tells of the outage", func() bool {
			return strings.Contains(request(t, http.MethodGet, by.url("/ready"), "").body, "degraded")
		})
	}
	bob.close(t)
	ann.expectEvent(t, removed, "presence-room", `{"user_id":"bob"}`)
	r.signal(t, syscall.SIGCONT)
	for _, by := range s {
		eventually(t, "/ready tells of the end of the outage", func() bool {
			return !strings.Contains(request(t, http.MethodGet, by.url("/ready"), "").body, "degraded")
		})
		by.api().eventually(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"carol"}]}`)
	}
	gone := map[string]bool{}
	for range 2 {
		e := decode(t, carol.next(t))
		if e.Event != removed {
			t.Fatalf("carol is told %s %s", e.Event, e.Data)
		}
		gone[e.text(t)] = true
	}
	if !gone[`{"user_id":"bob"}`] || !gone[`{"user_id":"dan"}`] {
		t.Errorf("carol is told of %v, want bob and dan", gone)
	}
	mark(t, s[1], "presence-room", "After", ann, carol)
}

// expectRoster triggers events until the roster that the socket is told of by then
// is want. Rosters are user ids with spaces between, in their order.
func expectRoster(t *testing.T, by *server, k *socket, channel, known, want string) {
	t.Helper()
	roster := map[string]bool{}
	for id := range strings.FieldsSeq(known) {
		roster[id] = true
	}
	marks := 0
	eventually(t, "the roster is "+want, func() bool {
		marks++
		name := fmt.Sprint("Mark", marks)
		by.api().trigger(t, channel, name, "{}")
		for {
			e := decode(t, k.next(t))
			var member struct {
				ID string `json:"user_id"`
			}
			switch e.Event {
			case added, removed:
				if err := json.Unmarshal([]byte(e.text(t)), &member); err != nil || roster[member.ID] == (e.Event == added) {
					t.Fatalf("told %s %s, and knew %v", e.Event, e.Data, roster)
				}
				roster[member.ID] = e.Event == added
				if !roster[member.ID] {
					delete(roster, member.ID)
				}
			case name:
				return strings.Join(slices.Sorted(maps.Keys(roster)), " ") == want
			}
		}
	})
}

// TestClusterTellsWebhooksOnce: whichever nodes take part, each edge is told once.
func TestClusterTellsWebhooksOnce(t *testing.T) {
	t.Parallel()
	r, hooks := startRedis(t), startReceiver(t)
	o := withHooks(t, map[string]any{"subscription_count": true}, hooks.hook("/hook", nil))
	var s []*server
	for i := range 3 {
		o.env = r.environment(map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), fmt.Sprint(i))})
		s = append(s, start(t, o))
	}
	ann, bob := open(t, s[0]), open(t, s[1])
	for _, k := range []*socket{ann, bob} {
		k.join(t, "presence-room", memberOf(map[*socket]string{ann: "ann", bob: "bob"}[k]))
		k.subscribe(t, "news")
	}
	hooks.expectEvent(t, counted("news", 2))
	bob.close(t)
	hooks.expectEvent(t, hookOfMember("member_removed", "presence-room", "bob"))
	ann.close(t)
	for _, channel := range []string{"presence-room", "news"} {
		hooks.expectEvent(t, hookOf("channel_vacated", channel))
	}
	got := accepted(t, hooks.deliveries(t))
	for _, want := range []string{
		hookOf("channel_occupied", "news"), hookOf("channel_vacated", "news"),
		hookOf("channel_occupied", "presence-room"), hookOf("channel_vacated", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"), hookOfMember("member_removed", "presence-room", "ann"),
		hookOfMember("member_added", "presence-room", "bob"), hookOfMember("member_removed", "presence-room", "bob"),
		counted("news", 2),
	} {
		n := 0
		for _, event := range got {
			if sameJSON(event, want) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s was told %d times, want once; all:\n%s", want, n, strings.Join(got, "\n"))
		}
	}
}

// TestClusterTellsACacheMissOnce: clients of all nodes miss the event of a channel.
func TestClusterTellsACacheMissOnce(t *testing.T) {
	t.Parallel()
	r, hooks := startRedis(t), startReceiver(t)
	o := withHooks(t, nil, hooks.hook("/hook", nil))
	var clients []*socket
	for i := range 3 {
		o.env = r.environment(map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), fmt.Sprint(i))})
		clients = append(clients, open(t, start(t, o)))
	}
	begin := time.Now()
	for _, k := range clients {
		k.subscribe(t, "cache-price")
	}
	for i, k := range clients {
		k.subscribe(t, fmt.Sprint("last", i))
	}
	for i := range clients { // each node's come in their order
		hooks.expectEvent(t, hookOf("channel_occupied", fmt.Sprint("last", i)))
	}
	took := time.Since(begin)
	n := 0
	for _, event := range accepted(t, hooks.deliveries(t)) {
		if sameJSON(event, hookOf("cache_miss", "cache-price")) {
			n++
		}
	}
	// Once a second, should the host be that busy.
	if most := 1 + int(took/time.Second); n < 1 || n > most {
		t.Errorf("cache_miss was told %d times within %s, want %d at most", n, took, most)
	}
}

// TestClusterSendsTheWebhooksOfADeadNode kills the node that is about to send.
func TestClusterSendsTheWebhooksOfADeadNode(t *testing.T) {
	t.Parallel()
	r, hooks := startRedis(t), startReceiver(t)
	hooks.react(t, reaction{Status: http.StatusServiceUnavailable})
	o := withHooks(t, nil, hooks.hook("/hook", nil))
	var s []*server
	for i := range 2 {
		o.env = r.environment(map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), fmt.Sprint(i))})
		s = append(s, start(t, o))
		if i == 0 { // before there is another that could send
			open(t, s[0]).join(t, "first", "")
			hooks.expectDeliveries(t, 1)
		}
	}
	ann := open(t, s[0])
	ann.join(t, "presence-room", memberOf("ann"))
	ann.send(t, `{"event":"client-typing","channel":"presence-room","data":{"n":1}}`)
	eventually(t, "all of it waits in Redis", func() bool {
		return strings.Contains(request(t, http.MethodGet, s[1].url("/metrics"), "").body, `resound_webhook_events_waiting{state="queued"} 4`)
	})
	s[0].signal(t, syscall.SIGKILL)
	s[0].wait(t)
	hooks.react(t, reaction{Status: http.StatusOK})

	all := hooks.expectEvent(t, hookOf("channel_vacated", "presence-room")) // by who cleaned up
	got, ids := unrepeated(t, all)
	expectEvents(t, ofChannel(t, "presence-room", got),
		hookOf("channel_occupied", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"),
		`{"name":"client_event","channel":"presence-room","event":"client-typing","data":"{\"n\":1}","socket_id":`+quote(ann.id)+`,"user_id":"ann"}`,
		hookOfMember("member_removed", "presence-room", "ann"),
		hookOf("channel_vacated", "presence-room"))

	if refused := all[0].Headers["x-resound-event-ids"]; refused == "" || !strings.HasPrefix(strings.Join(ids, ","), refused) {
		t.Errorf("the node that is dead had sent %q first, the other %q, want the same", refused, ids)
	}
}

// hooked starts nodes on one Redis that send all webhooks to a receiver.
func hooked(t *testing.T, hooks *receiver, n int) []*server {
	t.Helper()
	r, o := startRedis(t), withHooks(t, nil, hooks.hook("/hook", nil))
	all := make([]*server, n)
	for i := range all {
		o.env = r.environment(map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), fmt.Sprint(i))})
		all[i] = start(t, o)
	}
	return all
}

// TestClusterTellsWhatADeadNodeHeldBack kills a node in the three seconds in which
// it waits whether a member comes back.
func TestClusterTellsWhatADeadNodeHeldBack(t *testing.T) {
	t.Parallel()
	hooks := startReceiver(t)
	s := hooked(t, hooks, 2)
	ann, bob := open(t, s[0]), open(t, s[0])
	ann.join(t, "presence-room", memberOf("ann"))
	bob.join(t, "presence-room", memberOf("bob"))
	bob.close(t)
	s[1].api().eventually(t, "/channels/presence-room", "user_count", `{"occupied":true,"user_count":1}`)
	s[0].signal(t, syscall.SIGKILL)
	s[0].wait(t)
	got, _ := unrepeated(t, hooks.expectEvent(t, hookOf("channel_vacated", "presence-room")))
	expectEvents(t, got,
		hookOf("channel_occupied", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"),
		hookOfMember("member_added", "presence-room", "bob"),
		hookOfMember("member_removed", "presence-room", "bob"),
		hookOfMember("member_removed", "presence-room", "ann"),
		hookOf("channel_vacated", "presence-room"))
}

// TestClusterKnowsWhoComesBackToAnotherNode: to the application nothing happened.
func TestClusterKnowsWhoComesBackToAnotherNode(t *testing.T) {
	t.Parallel()
	hooks := startReceiver(t)
	s := hooked(t, hooks, 2)
	ann, again := open(t, s[0]), open(t, s[1])
	ann.join(t, "presence-room", memberOf("ann"))
	ann.close(t)
	s[1].api().eventually(t, "/channels/presence-room", "", `{"occupied":false}`)
	again.join(t, "presence-room", memberOf("ann"))
	// Who leaves later is told of later.
	bob := open(t, s[0])
	bob.join(t, "presence-room", memberOf("bob"))
	bob.close(t)
	expectEvents(t, accepted(t, hooks.expectEvent(t, hookOfMember("member_removed", "presence-room", "bob"))),
		hookOf("channel_occupied", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"),
		hookOfMember("member_added", "presence-room", "bob"),
		hookOfMember("member_removed", "presence-room", "bob"))
}

// TestClusterNodeThatStopsTellsItsWebhooks: it may never start again.
func TestClusterNodeThatStopsTellsItsWebhooks(t *testing.T) {
	t.Parallel()
	r, hooks := startRedis(t), startReceiver(t)
	o := withHooks(t, nil, hooks.hook("/hook", nil))
	o.env = r.environment(map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), "kept")})
	s := start(t, o)
	open(t, s).join(t, "news", "")
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	expectEvents(t, accepted(t, hooks.deliveries(t)), hookOf("channel_occupied", "news"), hookOf("channel_vacated", "news"))
}

// TestClusterWithPusherJS spreads stock clients over nodes.
func TestClusterWithPusherJS(t *testing.T) {
	t.Parallel()
	env := startRedis(t).environment(map[string]string{"RESOUND_APP_WATCHLIST": "true"})
	s := setStage(t, startOptions{env: env})
	s.backend(t)
	first, second := s.server, start(t, startOptions{env: env})
	on := func(n *server, do func()) {
		s.server = n
		do()
	}

	on(first, func() { s.signIn(t, "ann", "ann") })
	s.expectValue(t, "ann", "watchlist", "", `{"name":"offline","user_ids":["bob","carol"]}`)
	on(second, func() { s.signIn(t, "bob", "bob") })
	s.expectValue(t, "ann", "watchlist", "", `{"name":"online","user_ids":["bob"]}`)
	// The back end talks to the first node.
	s.call(t, `{}`, "sendToUser", "bob", "Paid", map[string]any{"order": 7})
	s.expectUserEvent(t, "bob", "Paid", `{"order":7}`)

	on(first, func() {
		s.echo(t, "echo ann", "ann")
		s.subscribe(t, "echo ann", "presence", "room")
	})
	on(second, func() {
		s.echo(t, "echo bob", "bob")
		s.subscribe(t, "echo bob", "presence", "room")
	})
	s.expect(t, "echo ann", "joining", "room")
	s.whisper(t, "echo bob", "presence", "room", map[string]any{"typing": true})
	s.expectWhere(t, "echo ann", "whisper", "room", func(h happening) bool { return contains(h, "typing") })
	s.do(t, "disconnect", arguments{"client": "echo bob"})
	s.expect(t, "echo ann", "leaving", "room")
	s.do(t, "disconnect", arguments{"client": "bob"})
	s.expectValue(t, "ann", "watchlist", "", `{"name":"offline","user_ids":["bob"]}`)
}
