package redis

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"resound/channels/cluster"
)

// sluggish is a listener that takes no counts while gate is closed, so that
// statements that ask for one wait.
type sluggish struct {
	*listener
	gate chan struct{}
}

func (s *sluggish) Counted(cluster.Channel, int, uint64) { <-s.gate }

// TestStatingAgainMayTakeLongerThanALease: what a node stated before stands until
// it has stated everything again.
func TestStatingAgainMayTakeLongerThanALease(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	_, other := join(t, o)
	a, l := newAdapter(t, o), &sluggish{newListener(), make(chan struct{})}
	open := sync.OnceFunc(func() { close(l.gate) })
	t.Cleanup(open) // before the adapter is closed, which waits for it
	if err := a.Start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	const channels = 3 * flusherCount * maxPipelineStatements
	state := func(counted bool) {
		for i := range channels {
			a.Hold(named(fmt.Sprint("chat", i)), 1, counted)
		}
	}
	l.onRestate = func() { state(true) }
	state(false)
	l.until(t, "stated", func() bool { return len(l.decided) == channels })

	a.session.Load().askRegister()
	l.until(t, "asked to state again", func() bool { return l.restated == 1 })
	time.Sleep(2 * o.Lease) // twice as long as the old registration would stand by itself
	open()
	leases := func() int { return len(s.list("ZRANGE", a.names.root+":leases", "0", "-1")) }
	unlocked(t, l.listener, "the old registration ends", func() bool { return leases() == 2 })
	if n := edges(cluster.Vacated, l.listener, other); n != 0 {
		t.Errorf("%d channels were vacated though they are held", n)
	}
	unlocked(t, l.listener, "and is cleaned up", func() bool {
		return len(s.list("ZRANGE", a.names.root+":claims", "0", "-1")) == 0
	})
	if n := edges(cluster.Vacated, l.listener, other); n != 0 {
		t.Errorf("%d channels were vacated by the clean-up", n)
	}
}

// TestTheFirstToFindRedisAgainBuriesNobody: after an outage that outlasted every
// lease the nodes come back one after the other.
func TestTheFirstToFindRedisAgainBuriesNobody(t *testing.T) {
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	o := s.options(t)
	room := named("presence-room")
	var proxies []*proxy
	var listeners []*listener
	for i := range 2 {
		p := newProxy(t, s.address())
		o.Addresses = []string{p.address()}
		a, l := join(t, o)
		user := cluster.Member{ID: fmt.Sprint("user", i), IDJSON: "1", Info: "{}"}
		l.onRestate = func() { a.Seat(room, user) }
		l.onRestate()
		l.until(t, "seated", func() bool { return l.seated[user.ID] != 0 })
		proxies, listeners = append(proxies, p), append(listeners, l)
	}
	for i, p := range proxies {
		p.set(func(p *proxy) { p.down = true })
		p.cut()
		listeners[i].until(t, "degraded", func() bool { return listeners[i].degraded })
	}
	time.Sleep(o.Lease + o.Lease/4) // every lease ends
	for i, p := range proxies {
		p.set(func(p *proxy) { p.down = false })
		listeners[i].until(t, "back", func() bool { return !listeners[i].degraded && listeners[i].restated == 1 })
	}
	root := newNames(o.Prefix, 0, defaultTopics).root
	unlocked(t, listeners[0], "old registrations end", func() bool {
		return len(s.list("ZRANGE", root+":leases", "0", "-1")) == 2 && len(s.list("ZRANGE", root+":claims", "0", "-1")) == 0
	})
	if n := edges(cluster.MemberRemoved, listeners...); n != 0 {
		t.Errorf("%d members were taken for gone", n)
	}
}

// parted is a listener that notes whether the last snapshot may lack nodes.
type parted struct {
	*listener
	partial, whole int
}

func (p *parted) Watched(_ cluster.Channel, s *cluster.Snapshot) {
	p.note(func() {
		if s.Partial {
			p.partial++
		} else {
			p.whole++
		}
	})
}

// TestASnapshotOfAClusterThatComesBackIsPartial: nodes state again one after the
// other, and each asks for the state meanwhile.
func TestASnapshotOfAClusterThatComesBackIsPartial(t *testing.T) {
	s := startServer(t)
	a, l := newAdapter(t, s.options(t)), &parted{listener: newListener()}
	if err := a.Start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	room := named("presence-room")
	l.onRestate = func() { a.Watch(room, true) }
	l.onRestate()
	l.until(t, "watched", func() bool { return l.whole == 1 })
	s.do("FLUSHALL")
	l.until(t, "watched in part", func() bool { return l.partial == 1 })
	l.until(t, "watched whole", func() bool { return l.whole == 2 })
}

// TestStatingAgainMissesNothing: while a node registers again, its connection for
// subscriptions is as good as before.
func TestStatingAgainMissesNothing(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease = 10 * time.Second
	a, l := join(t, o)
	publisher, _ := join(t, o)
	c := named("chat")
	follow(t, a, l, c)
	const rounds, events = 20, 500
	var want []string
	for round := range rounds {
		a.session.Load().askRegister()
		for range events {
			want = append(want, fmt.Sprint(len(want)))
			publisher.Publish(cluster.Publication{Channel: c, Payload: []byte(want[len(want)-1])})
		}
		l.until(t, "stated again", func() bool { return l.restated == round+1 })
	}
	l.until(t, "the last event", func() bool {
		got := l.delivered[c.Name]
		return len(got) > 0 && got[len(got)-1] == want[len(want)-1]
	})
	if got := l.delivered[c.Name]; !slices.Equal(got, want) {
		t.Errorf("%d of %d events were delivered, or in another order: %+v", len(got), len(want), a.Stats())
	}
	unlocked(t, l, "nothing else is subscribed to", func() bool { return a.Stats().Topics == 1 })
}

// TestTheLeaseIsKeptWhileEverythingIsStated: a node with very much to state is not gone.
func TestTheLeaseIsKeptWhileEverythingIsStated(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	_, other := join(t, o)
	a, l := join(t, o)
	room := named("presence-room")
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	l.onRestate = func() {
		<-gate
		a.Seat(room, user("ann"))
	}
	a.Seat(room, user("ann"))
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 })
	l.note(func() { l.seated["ann"] = 0 })
	a.session.Load().askRegister()
	l.until(t, "asked to state again", func() bool { return l.restated == 1 })
	a.session.Load().askRegister() // once more, which has to wait
	time.Sleep(2 * o.Lease)        // twice as long as it would be taken for alive
	open()
	l.until(t, "asked to state again", func() bool { return l.restated == 2 })
	unlocked(t, l, "everything was stated", a.hasStated)
	if n := a.Stats().Fenced; n != 2 {
		t.Errorf("registered again %d times, want twice", n)
	}
	if n := edges(cluster.MemberRemoved, l, other); n != 0 {
		t.Errorf("%d members were taken for gone", n)
	}
}

// TestANodeThatLeavesDoesNotRegisterAgain: though it was about to, once everything is stated.
func TestANodeThatLeavesDoesNotRegisterAgain(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease = 30 * time.Second // it has one as long as it is not given back
	other, _ := join(t, o)
	a, l := join(t, o)
	gate := make(chan struct{})
	l.onRestate = func() { <-gate }
	a.session.Load().askRegister()
	l.until(t, "asked to state again", func() bool { return l.restated == 1 })
	registering := make(chan error)
	go func() { registering <- a.reregister(a.session.Load()) }()
	unlocked(t, l, "the registration waits", func() bool { return a.Stats().Fenced == 2 })
	if err := a.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	close(gate)
	if err := <-registering; err != nil {
		t.Error(err)
	}
	if owners := s.list("HKEYS", a.names.root+":owners"); !slices.Equal(owners, []string{other.node}) {
		t.Errorf("%q are registered, want the other node alone", owners)
	}
}

// TestANodeThatBeganAloneHasSubscribers: what it watches first is nothing that nobody was
// told of.
func TestANodeThatBeganAloneHasSubscribers(t *testing.T) {
	s := startServer(t)
	s.kill()
	a, l := newAdapter(t, s.options(t)), newListener()
	first := make(chan bool, 1)
	l.onRestate = func() { first <- a.newWatch().first }
	if err := a.Start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	if <-first {
		t.Error("a channel of a node that served alone counts as one that nobody was told of")
	}
}

// TestNothingIsStatedForARegistrationThatEnded: of a batch under way, what is not sent when
// the node registers again would be nobody's to take back.
func TestNothingIsStatedForARegistrationThatEnded(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	other, _ := join(t, o)
	p := newProxy(t, s.address())
	p.set(func(p *proxy) { p.delay = 10 * time.Millisecond })
	o.Addresses = []string{p.address()}
	a, l := join(t, o)
	c := named("presence-room")
	l.onRestate = func() {} // everybody has left meanwhile
	for i := range 20 * maxPipelineStatements {
		a.Seat(c, user(fmt.Sprint("user", i)))
	}
	l.until(t, "some are seated", func() bool { return len(l.seated) > 0 })
	s.do("FLUSHALL")
	l.until(t, "registered again", func() bool { return l.restated == 1 })
	unlocked(t, l, "the old registration is cleaned up", func() bool {
		return len(s.list("ZRANGE", a.names.root+":leases", "0", "-1")) == 2 && len(s.list("ZRANGE", a.names.root+":claims", "0", "-1")) == 0
	})
	a.Seat(c, user("last"))
	l.until(t, "everything was said", func() bool { return l.seated["last"] != 0 })
	members, err := other.Members(t.Context(), c)
	if err != nil && !errors.Is(err, cluster.ErrPartial) {
		t.Fatal(err)
	}
	if len(members) != 1 {
		t.Errorf("%d members, want the last one alone", len(members))
	}
}

// TestATopicIsNotLeftBetweenRegistrations: a turn of the bus that began with one
// registration goes on after the next has begun.
func TestATopicIsNotLeftBetweenRegistrations(t *testing.T) {
	p := newPlayed(t)
	a, b := p.adapter, &p.adapter.bus
	b.byTopic[p.topic] = &topic{channels: []request{{channel: p.channel}}, subscribed: &link{}}
	again := func() {
		a.forget()
		a.accepting.Store(true)
		a.Watch(p.channel, false)
		b.expect()
	}
	again()
	epoch := a.epoch.Load()
	b.forget() // what the turn does first
	again()
	b.takeRequests(epoch)
	if len(b.dirty) != 0 {
		t.Error("the topic is unsubscribed from, before the new request for it was looked at")
	}
}

// TestStatingAgainDuringThePurge: a node registers again while another cleans up after
// its last registration.
func TestStatingAgainDuringThePurge(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, l := join(t, o)
	_, other := join(t, o)
	const channels, users = 300, 10
	state := func() {
		for i := range channels {
			c := named(fmt.Sprint("presence-", i))
			a.Hold(c, users, false)
			for u := range users {
				a.Seat(c, cluster.Member{ID: fmt.Sprint("user", i, "-", u), IDJSON: "1", Info: "{}"})
			}
		}
	}
	l.onRestate = state
	state()
	all := func() bool { return len(l.seated) == channels*users }
	l.until(t, "seated", all)
	for round := range 3 {
		l.note(func() { clear(l.seated) })
		last := incarnationName{a.node, a.incarnation.Load()}.String()
		root := a.names.root
		s.do("ZREM", root+":leases", last)
		s.do("ZADD", root+":claims", "0", last)
		l.until(t, "stated again", func() bool { return l.restated == round+1 && all() })
		unlocked(t, other, "cleaned up", func() bool {
			return len(s.list("ZRANGE", root+":claims", "0", "-1")) == 0 && len(s.list("ZRANGE", root+":leases", "0", "-1")) == 2
		})
		var rows []cluster.NamedOccupancy
		unlocked(t, l, "no node is missing", func() bool {
			var err error
			rows, err = a.Channels(t.Context(), "app", "presence-", 2*channels)
			return err == nil
		})
		if len(rows) != channels {
			t.Fatalf("%d channels, want %d", len(rows), channels)
		}
		for _, row := range rows {
			if row.Subscriptions != users || row.Users != users {
				t.Errorf("round %d: %+v, want %d of each", round, row, users)
			}
		}
	}
	balance := edges(cluster.MemberAdded, l, other) - edges(cluster.MemberRemoved, l, other)
	if balance != channels*users {
		t.Errorf("told of %d more that came than left, want %d", balance, channels*users)
	}
}
