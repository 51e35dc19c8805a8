package redis

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"resound/channels/cluster"
)

// slotOfChannel returns the slot in which a channel lives, in words of Redis.
func slotOfChannel(a *Adapter, c cluster.Channel) string {
	return fmt.Sprint(slotOfTag(a.names.base[bucketOf(a.names.topic(c))]))
}

// owner returns the server that has a slot, and another one.
func owner(t *testing.T, servers []*server, slot string) (from, to *server) {
	t.Helper()
	for i := range 100_000 {
		tag := fmt.Sprintf("{%d}", i)
		if fmt.Sprint(slotOfTag(tag)) != slot {
			continue
		}
		for j, s := range servers {
			c := s.client()
			// Only the owner takes a message.
			err := c.Do(context.Background(), c.B().Spublish().Channel(tag).Message("").Build()).Error()
			c.Close()
			if err == nil {
				return s, servers[(j+1)%len(servers)]
			}
		}
	}
	t.Fatalf("nobody has slot %s", slot)
	return nil, nil
}

// move gives a slot to another server, keys and all.
func move(t *testing.T, servers []*server, slot string) {
	t.Helper()
	from, to := owner(t, servers, slot)
	beginMove(slot, from, to)
	endMove(servers, slot, from, to)
}

func beginMove(slot string, from, to *server) {
	to.do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.text("CLUSTER", "MYID"))
	from.do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.text("CLUSTER", "MYID"))
}

// endMove fails when a key was made at the new server already, as REPLACE is not said.
func endMove(servers []*server, slot string, from, to *server) {
	for {
		keys := from.list("CLUSTER", "GETKEYSINSLOT", slot, "100")
		if len(keys) == 0 {
			break
		}
		from.do(append([]string{"MIGRATE", "127.0.0.1", fmt.Sprint(to.port), "", "0", "5000", "KEYS"}, keys...)...)
	}
	assign(servers, slot, to)
}

// assign says to all that a server has a slot, to that server first.
func assign(servers []*server, slot string, to *server) {
	id := to.text("CLUSTER", "MYID")
	to.do("CLUSTER", "SETSLOT", slot, "NODE", id)
	for _, s := range servers {
		if s != to {
			s.do("CLUSTER", "SETSLOT", slot, "NODE", id)
		}
	}
}

// clusterOptions have timeouts longer than what a test does while a slot moves.
func clusterOptions(t *testing.T, servers []*server) Options {
	o := testOptions(t)
	o.Mode, o.Addresses, o.Timeout = Cluster, []string{servers[1].address()}, 10*time.Second
	return o
}

// roster is a listener that keeps the members of the channel that it watches, and its
// last event, be it told or found.
type roster struct {
	*listener
	members map[string]bool
	kept    string
	seq     uint64
}

func newRoster() *roster { return &roster{listener: newListener(), members: make(map[string]bool)} }

func (r *roster) Watched(c cluster.Channel, s *cluster.Snapshot) {
	r.note(func() {
		r.watched[c.Name]++
		clear(r.members)
		for _, m := range s.Members {
			r.members[m.ID] = true
		}
		if s.Kept != nil {
			r.kept = string(s.Kept.Payload)
		}
		r.seq = s.Seq
	})
}

func (r *roster) Deliver(p cluster.Publication, _ bool) {
	r.note(func() { r.kept = string(p.Payload) })
}

func (r *roster) Edge(e cluster.Edge) {
	r.note(func() {
		if e.Seq <= r.seq {
			r.members["told out of order"] = true
		}
		r.seq = e.Seq
		switch e.Kind {
		case cluster.MemberAdded:
			r.members[e.Member.ID] = true
		case cluster.MemberRemoved:
			delete(r.members, e.Member.ID)
		}
	})
}

// has reports whether these are the members.
func (r *roster) has(users ...string) bool {
	for _, user := range users {
		if !r.members[user] {
			return false
		}
	}
	return len(r.members) == len(users)
}

// moving is a channel of a Redis Cluster, with one node that watches it and one that
// states.
type moving struct {
	channel  cluster.Channel
	watching *Adapter
	stating  *Adapter
	seen     *roster
	own      *listener
	users    []string // present through stating
}

func newMoving(t *testing.T, o Options) *moving {
	m := &moving{channel: named("presence-room"), watching: newAdapter(t, o), seen: newRoster()}
	m.seen.onRestate = func() { m.watching.Watch(m.channel, true) }
	if err := m.watching.Start(t.Context(), m.seen); err != nil {
		t.Fatal(err)
	}
	m.stating, m.own = join(t, o)
	m.own.onRestate = func() {
		var users []string
		m.own.note(func() { users = slices.Clone(m.users) })
		for _, id := range users {
			m.stating.Seat(m.channel, user(id))
		}
		m.stating.Hold(m.channel, len(users), false)
	}
	m.seen.onRestate()
	m.seen.until(t, "watched", func() bool { return m.seen.watched[m.channel.Name] == 1 })
	m.come("ann")
	m.come("cid")
	m.seen.until(t, "ann and cid", func() bool { return m.seen.has("ann", "cid") })
	return m
}

func (m *moving) come(id string) {
	m.own.note(func() { m.users = append(m.users, id) })
	m.stating.Seat(m.channel, user(id))
	m.stating.Hold(m.channel, len(m.users), false)
}

func (m *moving) leave(id string) {
	m.own.note(func() { m.users = slices.DeleteFunc(m.users, func(u string) bool { return u == id }) })
	m.stating.Unseat(m.channel, id)
	m.stating.Hold(m.channel, len(m.users), false)
}

// counted checks what Redis says once no node is missing in it.
func (m *moving) counted(t *testing.T, users ...string) {
	t.Helper()
	var members []cluster.Member
	var q cluster.Occupancy
	unlocked(t, m.own, "no node is missing", func() bool {
		var failed, failedToo error
		members, failed = m.watching.Members(t.Context(), m.channel)
		q, failedToo = m.watching.Channel(t.Context(), m.channel)
		return failed == nil && failedToo == nil
	})
	var got []string
	for _, member := range members {
		got = append(got, member.ID)
	}
	slices.Sort(got)
	if !slices.Equal(got, users) {
		t.Errorf("members: %v, want %v", got, users)
	}
	if q.Subscriptions != len(users) || q.Users != len(users) {
		t.Errorf("channel: %+v, want %d of each", q, len(users))
	}
}

// right is counted, and that nobody was told twice that the channel is occupied.
func (m *moving) right(t *testing.T, users ...string) {
	t.Helper()
	m.counted(t, users...)
	m.own.note(func() {
		occupied := 0
		for _, e := range m.own.decided {
			if e.Kind == cluster.Occupied {
				occupied++
			}
		}
		if occupied != 1 {
			t.Errorf("occupied was decided %d times", occupied)
		}
	})
}

// cleaned waits until old registrations were cleaned up.
func (m *moving) cleaned(t *testing.T, servers []*server) {
	t.Helper()
	root := m.watching.names.root
	from, _ := owner(t, servers, fmt.Sprint(slotOfTag(root)))
	unlocked(t, m.own, "old registrations end", func() bool {
		return len(from.list("ZRANGE", root+":leases", "0", "-1")) == 2 && len(from.list("ZRANGE", root+":claims", "0", "-1")) == 0
	})
}

// refusals is how many calls were refused because a slot moves.
func refusals(servers []*server) (n int) {
	for _, s := range servers {
		_, rest, _ := strings.Cut(s.text("INFO", "errorstats"), "errorstat_TRYAGAIN:count=")
		count, _, _ := strings.Cut(rest, "\r")
		more, _ := strconv.Atoi(count)
		n += more
	}
	return n
}

func TestMastersOfARedisClusterChange(t *testing.T) {
	servers := startCluster(t)

	t.Run("statements wait while a slot moves", func(t *testing.T) {
		m := newMoving(t, clusterOptions(t, servers))
		slot := slotOfChannel(m.watching, m.channel)
		from, to := owner(t, servers, slot)
		before := refusals(servers)
		beginMove(slot, from, to)
		m.leave("cid")
		m.come("bob")
		m.stating.Publish(cluster.Publication{Channel: m.channel, Payload: []byte("kept"), Keep: time.Minute})
		unlocked(t, m.own, "refused", func() bool { return refusals(servers) > before })
		endMove(servers, slot, from, to)
		m.seen.until(t, "told", func() bool { return m.seen.has("ann", "bob") && m.seen.kept == "kept" })
		m.right(t, "ann", "bob")
		m.own.until(t, "stated again once it is over", func() bool { return m.own.restated > 0 })
		m.seen.until(t, "stated again once it is over", func() bool { return m.seen.restated > 0 })
		m.cleaned(t, servers)
		m.seen.until(t, "the same members", func() bool { return m.seen.has("ann", "bob") })
		m.right(t, "ann", "bob")
	})

	t.Run("webhooks wait while a slot moves", func(t *testing.T) {
		a, l := join(t, clusterOptions(t, servers))
		q := openQueue(t, a, OutboxOptions{})
		put(t, q, "one")
		drain(t, q, 1) // the empty stream stays
		slot := fmt.Sprint(slotOfTag(q.key[:strings.IndexByte(q.key, '}')+1]))
		from, to := owner(t, servers, slot)
		before := refusals(servers)
		beginMove(slot, from, to)
		put(t, q, "two", "three")
		unlocked(t, l, "refused", func() bool { return refusals(servers) > before })
		endMove(servers, slot, from, to)
		if got, want := events(drain(t, q, 2)), []string{"two", "three"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})

	t.Run("people come and go while slots move", func(t *testing.T) {
		a, l := join(t, clusterOptions(t, servers))
		const channels, users, rounds = 8, 5, 3
		room := func(i int) cluster.Channel { return named(fmt.Sprint("presence-", i)) }
		last := func() {
			for i := range channels {
				a.Hold(room(i), 2, false)
				a.Seat(room(i), user("last"))
				for u := range users {
					a.Unseat(room(i), fmt.Sprint("user", u))
				}
			}
		}
		l.onRestate = last
		moved, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; ; n++ {
				select {
				case <-moved:
					return
				default:
				}
				for i := range channels {
					a.Hold(room(i), 1+n%3, false)
					a.Seat(room(i), user(fmt.Sprint("user", n%users)))
					a.Unseat(room(i), fmt.Sprint("user", (n+3)%users))
				}
				for i := range a.flushers {
					_ = a.flushers[i].wait(t.Context(), a.session.Load())
				}
			}
		}()
		for range rounds {
			for i := range channels {
				move(t, servers, slotOfChannel(a, room(i)))
			}
		}
		close(moved)
		<-done
		last()
		var rows []cluster.NamedOccupancy
		for i := range channels {
			rows = append(rows, cluster.NamedOccupancy{Name: room(i).Name, Occupancy: cluster.Occupancy{Subscriptions: 2, Users: 1}})
		}
		unlocked(t, l, "all is right", func() bool {
			got, err := a.Channels(t.Context(), "app", "presence-", 2*channels)
			slices.SortFunc(got, func(a, b cluster.NamedOccupancy) int { return strings.Compare(a.Name, b.Name) })
			return err == nil && slices.Equal(got, rows)
		})
		if n := edges(cluster.Occupied, l); n > channels {
			t.Errorf("%d channels were occupied %d times", channels, n)
		}
		if n := a.Stats().Reconnect; n != 0 {
			t.Errorf("redis was lost %d times", n)
		}
	})

	t.Run("a slot that comes without its keys is stated again", func(t *testing.T) {
		m := newMoving(t, clusterOptions(t, servers))
		slot := slotOfChannel(m.watching, m.channel)
		from, to := owner(t, servers, slot)
		for _, key := range from.list("CLUSTER", "GETKEYSINSLOT", slot, "1000") {
			from.do("DEL", key)
		}
		assign(servers, slot, to)
		m.own.until(t, "stated again", func() bool { return m.own.restated > 0 })
		m.cleaned(t, servers)
		m.seen.until(t, "told", func() bool { return m.seen.has("ann", "cid") })
		m.counted(t, "ann", "cid")
	})

	t.Run("a refused topic cuts off no other", func(t *testing.T) {
		a, l := join(t, clusterOptions(t, servers))
		c := named("chat")
		from, _ := owner(t, servers, slotOfChannel(a, c))
		var others []string
		for i := 0; len(others) < 50; i++ {
			name := fmt.Sprint("chat", i)
			if s, _ := owner(t, servers, slotOfChannel(a, named(name))); s == from && slotOfChannel(a, named(name)) != slotOfChannel(a, c) {
				others = append(others, name)
				a.Watch(named(name), false)
			}
		}
		l.until(t, "watched", func() bool { return len(l.watched) == len(others) })
		move(t, servers, slotOfChannel(a, c))
		a.Watch(c, false)
		l.until(t, "watched", func() bool { return l.watched[c.Name] == 1 })
		l.note(func() {
			if len(l.missing) > 0 {
				t.Errorf("%d channels of other slots were cut off", len(l.missing))
			}
		})
	})

	t.Run("a slot moves to a server that nobody knows yet", func(t *testing.T) {
		added := addServer(t, servers)
		m := newMoving(t, clusterOptions(t, servers))
		slot := slotOfChannel(m.watching, m.channel)
		from, _ := owner(t, servers, slot)
		all := append(slices.Clone(servers), added)
		beginMove(slot, from, added)
		endMove(all, slot, from, added)
		m.seen.until(t, "watched there", func() bool { return m.seen.watched[m.channel.Name] > 1 })
		m.come("bob")
		m.seen.until(t, "bob", func() bool { return m.seen.has("ann", "bob", "cid") })
		m.right(t, "ann", "bob", "cid")
		m.own.note(func() {
			if n := m.watching.Stats().Reconnect + m.stating.Stats().Reconnect; n != 0 {
				t.Errorf("redis was lost %d times", n)
			}
		})
	})
}

// addServer adds a server without slots to a cluster.
func addServer(t *testing.T, servers []*server) *server {
	t.Helper()
	s, bus := startClusterServer(t)
	servers[0].do("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(s.port), bus)
	id := s.text("CLUSTER", "MYID")
	for _, known := range servers {
		await(t, "the cluster does not know the new server", func() bool {
			return strings.Contains(known.text("CLUSTER", "NODES"), id) && !strings.Contains(known.text("CLUSTER", "NODES"), "handshake")
		})
	}
	await(t, "the new server does not know the cluster", func() bool {
		return strings.Contains(s.text("CLUSTER", "INFO"), "cluster_state:ok")
	})
	return s
}

// await looks until something is so that no adapter tells.
func await(t *testing.T, otherwise string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
		time.Sleep(20 * time.Millisecond) // Redis Cluster gossips ten times a second
	}
}

// TestFailoverToTheMasterBefore: a failover leads to a server that was known as a master,
// and that may lack what was said since.
func TestFailoverToTheMasterBefore(t *testing.T) {
	servers := startCluster(t)
	one, two := servers[0], addServer(t, servers)
	two.do("CLUSTER", "REPLICATE", one.text("CLUSTER", "MYID"))
	follows := func(master, replica *server) {
		await(t, "the replica does not follow", func() bool {
			return strings.Contains(replica.text("INFO", "replication"), "master_link_status:up")
		})
		id := master.text("CLUSTER", "MYID")
		for _, s := range servers { // who does not know it as a replica has no vote for it
			await(t, "the replica is not known", func() bool {
				return strings.Contains(s.text("CLUSTER", "NODES"), "slave "+id)
			})
		}
	}
	follows(one, two)
	m := newMoving(t, clusterOptions(t, servers))
	for _, pair := range [][2]*server{{one, two}, {two, one}, {one, two}} {
		master, replica := pair[0], pair[1]
		follows(master, replica)
		var own, seen int
		m.own.note(func() { own = m.own.restated })
		m.seen.note(func() { seen = m.seen.restated })
		replica.do("CLUSTER", "FAILOVER")
		m.own.until(t, "stated again", func() bool { return m.own.restated > own })
		m.seen.until(t, "stated again", func() bool { return m.seen.restated > seen })
	}
	m.come("bob")
	m.seen.until(t, "bob", func() bool { return m.seen.has("ann", "bob", "cid") })
	m.right(t, "ann", "bob", "cid")
}

// reaches checks that an adapter finds its way to every master.
func reaches(t *testing.T, servers []*server) {
	t.Helper()
	a, l := join(t, clusterOptions(t, servers))
	if a.Stats().Degraded {
		t.Fatal("the client reaches the cluster, the adapter does not")
	}
	for i := range 30 { // some for each
		c := named(fmt.Sprint("chat", i))
		a.Watch(c, false)
		l.until(t, "watched", func() bool { return l.watched[c.Name] == 1 })
	}
}

func TestEndpointsOfARedisClusterWithoutAHost(t *testing.T) {
	servers := startCluster(t, "--cluster-preferred-endpoint-type", "unknown-endpoint")
	reaches(t, servers)
}

func TestEndpointsOfARedisClusterOverIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("there is no IPv6 here")
	}
	l.Close()
	servers := startCluster(t, "--bind", "127.0.0.1", "::1", "--cluster-announce-ip", "::1")
	for _, s := range servers {
		await(t, "the endpoints are not told", func() bool { return strings.Count(s.do("CLUSTER", "SLOTS"), `"::1"`) == 3 })
	}
	reaches(t, servers)
}

// TestALinkIsDroppedForItsOwnFaults: one server refuses, the others are as good as
// before.
func TestALinkIsDroppedForItsOwnFaults(t *testing.T) {
	refusing, silent, good := startServer(t), startServer(t), startServer(t)
	a, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{timeout: time.Second, publish: "PUBLISH", register: make(chan struct{}, 1)}
	s.ctx, s.cancel = context.WithCancelCause(t.Context())
	ls := newLinks(&a.bus, s)
	connect := func(sv *server) *link {
		c := sv.client()
		t.Cleanup(c.Close)
		l := &link{address: sv.address()}
		l.client, l.release = c.Dedicate()
		return l
	}
	links := []*link{connect(refusing), connect(silent), connect(good)}
	for b := range ls.buckets {
		ls.buckets[b] = links[b%len(links)]
	}
	refusing.do("ACL", "SETUSER", "default", "-subscribe") // stands for MOVED
	silent.kill()
	// The order in which links are asked is another each time.
	for range 20 {
		topics := map[uint32]*topic{0: {}, 1: {}, 2: {}}
		if err := ls.subscribe(t.Context(), []uint32{0, 1, 2}, topics); err == nil {
			t.Fatal("subscribed at servers that refuse or are gone")
		}
		if topics[0].subscribed != nil || topics[1].subscribed != nil || topics[2].subscribed != links[2] {
			t.Fatal("not the topics of the good server are subscribed to")
		}
	}
	if slices.ContainsFunc(a.bus.broken, func(l *link) bool { return l != links[1] }) {
		t.Error("links were reported that answer")
	}
	if !slices.Contains(a.bus.broken, links[1]) {
		t.Error("the link that is gone was not reported")
	}
	if !ls.stale {
		t.Error("nobody looks where the refused topic is")
	}
}
