package clustertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"resound/channels/cluster"
)

// Cluster is an adapter under test with the faults it can suffer.
type Cluster interface {
	// Node returns an adapter of one more node, not started. It is closed with
	// the test.
	Node(t *testing.T) cluster.Adapter

	// Outage takes the shared state out of every node's reach, Restore ends that.
	Outage()
	Restore()

	// Expire ends what was stated before an outage and not since, or leaves it to
	// the leases.
	Expire()

	// Kill ends a node without Close.
	Kill(a cluster.Adapter)

	// Pause stops a node until its lease is over and the others may clean up
	// after it; Resume lets it go on.
	Pause(a cluster.Adapter)
	Resume(a cluster.Adapter)

	// Junk puts messages that no adapter understands where a channel's come from,
	// and returns how many a watching node may count.
	Junk(t *testing.T, c cluster.Channel) (messages int)
}

type suite struct {
	t *testing.T
	Cluster
}

func (s *suite) start(n int) []*Node {
	s.t.Helper()
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = newNode(s.t, s.Node(s.t))
		if err := nodes[i].Start(s.t.Context(), nodes[i]); err != nil {
			s.t.Fatal(err)
		}
	}
	return nodes
}

var channelCount atomic.Int64

// channelOf returns a channel that no other test uses.
func channelOf(name string) cluster.Channel {
	return cluster.Channel{App: "app", Name: fmt.Sprintf("%s-%d", name, channelCount.Add(1))}
}

func plain(c cluster.Channel, payload string) cluster.Publication {
	return cluster.Publication{Channel: c, Payload: []byte(payload)}
}

func kept(c cluster.Channel, payload string) cluster.Publication {
	return cluster.Publication{Channel: c, Payload: []byte(payload), Keep: time.Minute, Name: `"event"`, Data: `"` + payload + `"`}
}

func payloads(list []cluster.Publication) (out []string) {
	for _, p := range list {
		out = append(out, string(p.Payload))
	}
	return out
}

func kinds(list []cluster.Edge, c cluster.Channel) (out []cluster.EdgeKind) {
	for _, e := range list {
		if e.Channel == c {
			out = append(out, e.Kind)
		}
	}
	return out
}

func equal[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// Run runs the suite. open returns a cluster without nodes.
func Run(t *testing.T, open func(t *testing.T) Cluster) {
	tests := []struct {
		name string
		run  func(s *suite)
	}{
		{"publications reach those who watch, once and in order, and not their publisher", publicationsReachWatchers},
		{"a node that does not watch any more gets nothing", unwatchEnds},
		{"except and binary payloads cross nodes unchanged", exceptCrosses},
		{"a kept publication comes back to its publisher and is numbered for all alike", keptComesBack},
		{"a kept publication is in the snapshot or told after it, never both", keptOrTold},
		{"a kept publication is gone when its time is over", keptExpires},
		{"watching again answers again", watchAgain},
		{"a channel is occupied once and vacated once", occupiedOnce},
		{"only the latest hold counts", latestHoldCounts},
		{"of two counts the one with the higher number is the later", countsAreNumbered},
		{"a count comes after the watch that was asked for before", countAfterWatch},
		{"the number of a count crosses", numberOfACountCrosses},
		{"a user is added with the first seat and removed with the last", membersOnce},
		{"a user who is seated has been told to those who follow", seatedIsTold},
		{"statements made twice change nothing", statementsRepeat},
		{"a snapshot knows what was stated before it was asked for", snapshotKnowsStatements},
		{"random joins and leaves agree with a model after every step", randomSteps},
		{"random joins and leaves at the same time are decided once each", randomRace},
		{"queries ask the whole cluster", queries},
		{"connections of the others are summed", connections},
		{"nodes tell of themselves as long as they are there", described},
		{"terminate reaches every other node", terminate},
		{"close takes back what the node stated and tells it", closeTakesBack},
		{"a killed node is cleaned up by exactly one survivor", killed},
		{"a node whose lease ended is cleaned up and asked to state again", fenced},
		{"an outage degrades, spools and restates", outage},
		{"what is stated again after an outage makes no edges", restateQuietly},
		{"a node may start during an outage", startInOutage},
		{"junk is counted and ignored", junk},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(&suite{t, open(t)}) })
	}
}

func publicationsReachWatchers(s *suite) {
	n := s.start(3)
	c := channelOf("chat")
	n[0].watch(c, false)
	n[1].watch(c, false)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint("event ", i))
		n[0].Publish(plain(c, want[i]))
	}
	n[1].until("all events", c, func(f Following) bool { return len(f.Delivered) >= len(want) })
	// What comes after them would show a repetition, and the publisher its own.
	n[2].Publish(plain(c, "last"))
	for _, node := range n[:2] {
		node.until("last event", c, func(f Following) bool { return slices.Contains(payloads(f.Delivered), "last") })
	}
	equal(s.t, "at the subscriber", payloads(n[1].told(c).Delivered), append(want, "last"))
	equal(s.t, "at the publisher", payloads(n[0].told(c).Delivered), []string{"last"})
	equal(s.t, "without interest", payloads(n[2].told(c).Delivered), nil)
}

func unwatchEnds(s *suite) {
	n := s.start(3)
	c, other := channelOf("chat"), channelOf("other")
	n[1].watch(c, false)
	n[2].watch(c, false)
	n[1].Unwatch(c)
	n[1].watch(other, false) // answered after the Unwatch was heard
	n[0].Publish(plain(c, "unwanted"))
	n[2].until("sent", c, func(f Following) bool { return len(f.Delivered) == 1 })
	n[1].watch(c, false)
	n[0].Publish(plain(c, "wanted"))
	n[1].until("wanted", c, func(f Following) bool { return slices.Contains(payloads(f.Delivered), "wanted") })
	equal(s.t, "delivered", payloads(n[1].told(c).Delivered), []string{"wanted"})
}

func exceptCrosses(s *suite) {
	n := s.start(2)
	c := channelOf("bin\x00é\r\n}")
	n[1].watch(c, false)
	p := plain(c, "\x00\xff\r\n{}")
	p.Except = "123.456"
	n[0].Publish(p)
	n[1].until("delivered", c, func(f Following) bool { return len(f.Delivered) == 1 })
	got := n[1].told(c).Delivered[0]
	if got.Except != p.Except || string(got.Payload) != string(p.Payload) || got.Seq != 0 {
		s.t.Errorf("got %+v, want %+v", got, p)
	}
}

func keptComesBack(s *suite) {
	n := s.start(2)
	c := channelOf("cache-chat")
	n[0].watch(c, true)
	n[1].watch(c, true)
	n[0].Publish(kept(c, "from 0"))
	n[1].Publish(kept(c, "from 1"))
	for _, node := range n {
		node.until("both", c, func(f Following) bool { return len(f.Delivered) == 1 && len(f.Mine) == 1 })
	}
	a, b := n[0].told(c), n[1].told(c)
	equal(s.t, "own", payloads(a.Mine), []string{"from 0"})
	equal(s.t, "the other's", payloads(b.Delivered), []string{"from 0"})
	if a.Mine[0].Seq != b.Delivered[0].Seq || a.Delivered[0].Seq != b.Mine[0].Seq || a.Mine[0].Seq == 0 {
		s.t.Errorf("numbers: %d and %d at one node, %d and %d at the other", a.Mine[0].Seq, a.Delivered[0].Seq, b.Delivered[0].Seq, b.Mine[0].Seq)
	}
	if got := b.Delivered[0]; got.Name != `"event"` || got.Data != `"from 0"` || got.Keep > time.Minute || got.Keep < time.Minute-patience {
		s.t.Errorf("name, data and keep: got %s, %s, %v", got.Name, got.Data, got.Keep)
	}

	p := kept(c, "last")
	p.Except = "1.2"
	n[0].Publish(p)
	n[1].until("the last", c, func(f Following) bool { return len(f.Delivered) == 2 })
	last := n[1].told(c).Delivered[1].Seq
	for i, node := range n {
		k := node.watch(c, true).Snapshot.Kept
		if k == nil || k.Seq != last || k.Except != p.Except || k.Mine != (i == 0) {
			s.t.Errorf("node %d: the snapshot has %+v, want number %d", i, k, last)
		}
	}

	n[0].Publish(cluster.Publication{Channel: c, Payload: []byte("not kept"), Forget: true})
	n[0].until("that it was not kept", c, func(f Following) bool { return len(f.Mine) == 3 })
	n[1].until("what is not kept", c, func(f Following) bool { return len(f.Delivered) == 3 })
	for _, got := range []cluster.Publication{n[0].told(c).Mine[2], n[1].told(c).Delivered[2]} {
		if !got.Forget || got.Keep != 0 || got.Seq <= last || string(got.Payload) != "not kept" {
			s.t.Errorf("not kept: got %+v", got)
		}
	}
	if k := n[1].watch(c, true).Snapshot.Kept; k != nil {
		s.t.Errorf("%s is kept, want nothing rather than an old event", k.Payload)
	}
}

func keptOrTold(s *suite) {
	n := s.start(2)
	c := channelOf("cache-chat")
	const events = 200
	go func() {
		for i := range events {
			n[0].Publish(kept(c, fmt.Sprint(i)))
		}
	}()
	f := n[1].watch(c, true)
	n[1].until("last event", c, func(f Following) bool {
		told := payloads(f.Delivered)
		return len(told) > 0 && told[len(told)-1] == fmt.Sprint(events-1) ||
			f.Snapshot.Kept != nil && string(f.Snapshot.Kept.Payload) == fmt.Sprint(events-1)
	})
	next := 0
	if f.Snapshot.Kept != nil {
		if _, err := fmt.Sscan(string(f.Snapshot.Kept.Payload), &next); err != nil {
			s.t.Fatal(err)
		}
		next++
	}
	var want []string
	for i := next; i < events; i++ {
		want = append(want, fmt.Sprint(i))
	}
	equal(s.t, "told after the snapshot", payloads(n[1].told(c).Delivered), want)
}

func keptExpires(s *suite) {
	n := s.start(1)
	c := channelOf("cache-chat")
	n[0].watch(c, false)
	p := kept(c, "short")
	p.Keep = 50 * time.Millisecond
	n[0].Publish(p)
	n[0].until("kept", c, func(f Following) bool { return len(f.Mine) == 1 })
	for deadline := time.Now().Add(patience); n[0].occupancy(c).Kept != nil; {
		if time.Now().After(deadline) {
			s.t.Fatal("the event is still kept")
		}
	}
	if f := n[0].watch(c, true); f.Snapshot.Kept != nil {
		s.t.Errorf("kept in the snapshot: %+v", f.Snapshot.Kept)
	}
}

func watchAgain(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	n[0].watch(c, false)
	if f := n[0].watch(c, false); f.Snapshot != nil {
		s.t.Error("a snapshot without being asked")
	}
	n[1].seat(c, "ann")
	f := n[0].watch(c, true)
	equal(s.t, "members", f.Members, []string{"ann"})
	n[1].seat(c, "bob")
	f = n[0].watch(c, true)
	equal(s.t, "members", f.Members, []string{"ann", "bob"})
}

func occupiedOnce(s *suite) {
	n := s.start(3)
	c := channelOf("chat")
	n[2].watch(c, true)
	n[0].hold(c, 2)
	n[1].hold(c, 1)
	n[0].hold(c, 0)
	n[1].hold(c, 0)
	n[2].until("vacated", c, func(f Following) bool { return len(f.Edges) == 2 })
	equal(s.t, "told", kinds(n[2].told(c).Edges, c), []cluster.EdgeKind{cluster.Occupied, cluster.Vacated})
	equal(s.t, "decided by the first", kinds(n[0].takeDecided(), c), []cluster.EdgeKind{cluster.Occupied})
	equal(s.t, "decided by the last", kinds(n[1].takeDecided(), c), []cluster.EdgeKind{cluster.Vacated})
}

func latestHoldCounts(s *suite) {
	n := s.start(2)
	c := channelOf("chat")
	n[1].hold(c, 5)
	for i := range 100 {
		n[0].Hold(c, i, false)
	}
	if got := n[0].hold(c, 7); got != 12 {
		s.t.Errorf("subscriptions: got %d, want 12", got)
	}
	equal(s.t, "decided by the second", kinds(n[0].takeDecided(), c), nil)
}

func countsAreNumbered(s *suite) {
	n := s.start(3)
	c := channelOf("chat")
	for held := 1; held <= 50; held++ {
		for _, node := range n {
			node.Hold(c, held, true)
		}
	}
	s.total(n[0], c, 150)
	last, count := uint64(0), 0
	for _, node := range n {
		node.Hold(c, 50, true) // answered after all others
		node.until("all are counted", c, func(f Following) bool {
			return len(f.Counted) > 0 && f.Counted[len(f.Counted)-1] == 150
		})
		f := node.told(c)
		for i, number := range f.Numbers {
			if number == 0 || i > 0 && number <= f.Numbers[i-1] {
				s.t.Errorf("numbers at a node: %d", f.Numbers)
			}
			if number > last {
				last, count = number, f.Counted[i]
			}
		}
	}
	if count != 150 {
		s.t.Errorf("the last count is %d, want 150", count)
	}
}

func countAfterWatch(s *suite) {
	n := s.start(1)[0]
	for i := range 100 {
		c := channelOf("chat")
		n.mu.Lock()
		n.following(c).asked = 1
		n.mu.Unlock()
		n.Watch(c, i%2 == 0)
		n.Hold(c, 1, true)
		n.until("counted", c, func(f Following) bool { return len(f.Counted) == 1 })
	}
}

func numberOfACountCrosses(s *suite) {
	n := s.start(2)
	c := channelOf("chat")
	n[1].watch(c, false)
	p := plain(c, "count")
	p.Counted = 1 << 60
	n[0].Publish(p)
	n[1].until("delivered", c, func(f Following) bool { return len(f.Delivered) == 1 })
	if got := n[1].told(c).Delivered[0]; got.Counted != p.Counted || string(got.Payload) != "count" {
		s.t.Errorf("got %+v, want %+v", got, p)
	}
}

func membersOnce(s *suite) {
	n := s.start(3)
	c := channelOf("presence-room")
	n[2].watch(c, true)
	n[0].seat(c, "ann")
	n[1].seat(c, "ann")
	n[1].seat(c, "bob")
	if a, b := n[0].told(c).Seated["ann"], n[1].told(c).Seated["ann"]; a != b {
		s.t.Errorf("ann is a member as of %d at one node, %d at the other", a, b)
	}
	n[0].unseat(c, "ann", 0)
	equal(s.t, "members", n[0].members(c), []string{"ann", "bob"})
	n[1].unseat(c, "ann", 0)
	n[1].Unseat(c, "nobody")
	n[1].until("answered", c, func(f Following) bool { return slices.Equal(f.Unseated, []string{"ann", "nobody"}) })
	n[2].until("ann is gone", c, func(f Following) bool { return slices.Equal(f.Members, []string{"bob"}) })
	edges := n[2].told(c).Edges
	equal(s.t, "told", kinds(edges, c), []cluster.EdgeKind{cluster.MemberAdded, cluster.MemberAdded, cluster.MemberRemoved})
	if len(edges) == 3 && edges[2].Member != memberOf("ann") {
		s.t.Errorf("who left: got %+v, want %+v", edges[2].Member, memberOf("ann"))
	}
	equal(s.t, "decided by the first", kinds(n[0].takeDecided(), c), []cluster.EdgeKind{cluster.MemberAdded})
	equal(s.t, "decided by the second", kinds(n[1].takeDecided(), c), []cluster.EdgeKind{cluster.MemberAdded, cluster.MemberRemoved})
}

func seatedIsTold(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	for i := range 100 {
		user := fmt.Sprint("user", i)
		node := n[i%2]
		if i == 10 || i == 11 {
			node.Watch(c, true) // the Seat right behind it must not overtake it
		}
		node.seat(c, user)
		if f := node.told(c); i > 10 && (f.Snapshot == nil || !slices.Contains(f.Members, user)) {
			s.t.Fatalf("%s is seated, but the node was told only of %v", user, f.Members)
		}
	}
}

func statementsRepeat(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	n[1].watch(c, true)
	for range 3 {
		n[0].seat(c, "ann")
		n[0].hold(c, 1)
	}
	if got := n[0].hold(c, 1); got != 1 {
		s.t.Errorf("subscriptions: got %d, want 1", got)
	}
	equal(s.t, "decided", kinds(n[0].takeDecided(), c), []cluster.EdgeKind{cluster.MemberAdded, cluster.Occupied})
}

func snapshotKnowsStatements(s *suite) {
	n := s.start(1)[0]
	other := channelOf("presence-other")
	for round := range 20 {
		c := channelOf("presence-room")
		n.watch(c, true)
		n.seat(c, "gone")
		// Statements that are still on their way must not be overtaken.
		for i := range 300 {
			n.Seat(other, memberOf(fmt.Sprint("user", round, "-", i)))
		}
		n.Seat(c, memberOf("ann"))
		n.Unseat(c, "gone")
		f := n.watch(c, true)
		equal(s.t, "members", f.Snapshot.Members, []cluster.Member{memberOf("ann")})
	}
}

func queries(s *suite) {
	n := s.start(3)
	room, chat := channelOf("presence-room"), channelOf("chat")
	cache := channelOf("cache-chat")
	n[0].hold(room, 2)
	n[0].seat(room, "ann")
	n[1].hold(room, 1)
	n[1].seat(room, "bob")
	n[1].hold(chat, 4)
	n[1].watch(cache, false)
	n[1].Publish(kept(cache, "x"))
	n[1].until("kept", cache, func(f Following) bool { return len(f.Mine) == 1 })
	if o := n[2].occupancy(room); o.Subscriptions != 3 || o.Users != 2 || o.Kept != nil {
		s.t.Errorf("room: got %+v", o)
	}
	o := n[2].occupancy(cache)
	if o.Kept == nil || string(o.Kept.Payload) != "x" || o.Kept.Data != `"x"` || o.Kept.For <= 0 || o.Kept.For > time.Minute {
		s.t.Errorf("cache: got %+v", o.Kept)
	}
	rows, err := n[2].Channels(s.t.Context(), "app", "presence-", 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	if !slices.ContainsFunc(rows, func(r cluster.NamedOccupancy) bool {
		return r.Name == room.Name && r.Subscriptions == 3 && r.Users == 2
	}) ||
		slices.ContainsFunc(rows, func(r cluster.NamedOccupancy) bool { return r.Name == chat.Name }) {
		s.t.Errorf("channels: got %+v", rows)
	}
	if _, err := n[2].Channels(s.t.Context(), "app", "", 1); !errors.Is(err, cluster.ErrTooMany) {
		s.t.Errorf("more channels than the limit: got %v, want ErrTooMany", err)
	}
	rows, err = n[2].Channels(s.t.Context(), "other", "", 1<<20)
	if err != nil || len(rows) != 0 {
		s.t.Errorf("channels of another app: got %+v, %v", rows, err)
	}
	equal(s.t, "members", n[2].members(room), []string{"ann", "bob"})
	equal(s.t, "members of a vacant channel", n[2].members(channelOf("none")), nil)
}

func connections(s *suite) {
	n := s.start(3)
	held := map[*Node]int64{n[0]: 5, n[1]: 7}
	// Stated again and again, as nodes do: a busy host may pass for an outage.
	state := func() {
		for node, number := range held {
			node.SetConnections("app", number)
		}
	}
	n[0].SetConnections("other", 1)
	s.others(n[2], "app", 12, state)
	s.others(n[0], "app", 7, state)
	held[n[0]] = 1
	s.others(n[2], "app", 8, state)
	s.Kill(n[0].Adapter)
	delete(held, n[0])
	s.others(n[2], "app", 7, state)
	s.others(n[2], "other", 0, state)
}

// others waits for OtherConnections while state goes on.
func (s *suite) others(n *Node, app string, want int64, state func()) {
	s.t.Helper()
	state()
	for deadline := time.Now().Add(patience); n.OtherConnections(app) != want; state() {
		if time.Now().After(deadline) {
			s.t.Fatalf("other connections: got %d, want %d", n.OtherConnections(app), want)
		}
		time.Sleep(time.Millisecond) // the number is polled by its users too
	}
}

func terminate(s *suite) {
	n := s.start(3)
	n[0].Adapter.Terminate("app", "ann")
	for _, node := range n[1:] {
		node.untilNode("terminate", func() bool { return slices.Equal(node.terminate, []string{"app ann"}) }, func() string { return fmt.Sprint(node.terminate) })
	}
	n[1].Adapter.Terminate("app", "bob")
	n[0].untilNode("terminate", func() bool { return slices.Equal(n[0].terminate, []string{"app bob"}) }, func() string { return fmt.Sprint(n[0].terminate) })
}

func closeTakesBack(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	n[1].watch(c, true)
	n[0].hold(c, 3)
	n[0].seat(c, "ann")
	n[0].takeDecided()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := n[0].Leave(ctx); err != nil {
		s.t.Fatal(err)
	}
	equal(s.t, "decided by the closing node", kinds(n[0].takeDecided(), c), []cluster.EdgeKind{cluster.MemberRemoved, cluster.Vacated})
	n[1].until("gone", c, func(f Following) bool { return !f.Occupied && len(f.Members) == 0 && len(f.Edges) == 4 })
	if o := n[1].occupancy(c); o.Subscriptions != 0 || o.Users != 0 {
		s.t.Errorf("left: %+v", o)
	}
	n[0].Hold(c, 1, true)
	for _, again := range []func(context.Context) error{n[0].Leave, n[0].Close, n[0].Close, n[0].Leave} {
		if err := again(ctx); err != nil {
			s.t.Errorf("leaving or closing again: %v", err)
		}
	}
	if o := n[1].occupancy(c); o.Subscriptions != 0 {
		s.t.Errorf("stated after Leave: %+v", o)
	}
	n[0].Publish(plain(c, "late")) // must not panic
	n[0].Hold(c, 1, true)
	n[0].Watch(c, true)
}

func killed(s *suite) {
	n := s.start(3)
	room, chat := channelOf("presence-room"), channelOf("chat")
	n[1].watch(room, true)
	n[0].hold(room, 1)
	n[0].seat(room, "ann")
	n[0].seat(room, "bob")
	n[1].seat(room, "bob")
	n[0].hold(chat, 3)
	n[1].hold(chat, 1)
	n[1].until("told of them", room, func(f Following) bool { return len(f.Members) == 2 && f.Occupied })
	for _, node := range n {
		node.takeDecided()
	}
	s.Kill(n[0].Adapter)
	n[1].until("ann is gone, and the subscription", room, func(f Following) bool {
		return slices.Equal(f.Members, []string{"bob"}) && !f.Occupied
	})
	s.total(n[1], chat, 1)
	// All was told by one of them, once.
	var decided []cluster.EdgeKind
	for deadline := time.Now().Add(patience); len(decided) < 2; {
		if time.Now().After(deadline) {
			s.t.Fatalf("decided by survivors: %v", decided)
		}
		decided = append(decided, kinds(append(n[1].takeDecided(), n[2].takeDecided()...), room)...)
	}
	equal(s.t, "decided by survivors", decided, []cluster.EdgeKind{cluster.MemberRemoved, cluster.Vacated})
	equal(s.t, "decided by the dead", n[0].takeDecided(), nil)
}

// total waits until a channel has that many subscriptions.
func (s *suite) total(n *Node, c cluster.Channel, want int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); n.occupancy(c).Subscriptions != want; {
		if time.Now().After(deadline) {
			s.t.Fatalf("subscriptions of %s: got %d, want %d", c.Name, n.occupancy(c).Subscriptions, want)
		}
	}
}

func fenced(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	n[1].watch(c, true)
	n[0].hold(c, 1)
	n[0].seat(c, "ann")
	n[1].until("told of her", c, func(f Following) bool { return len(f.Members) == 1 && f.Occupied })
	s.Pause(n[0].Adapter)
	n[1].until("cleaned up", c, func(f Following) bool { return len(f.Members) == 0 && !f.Occupied })
	n[0].Seat(c, memberOf("ghost"))
	n[0].onRestate = func(n *Node) {
		n.Seat(c, memberOf("ann"))
		n.Hold(c, 1, false)
	}
	s.Resume(n[0].Adapter)
	n[1].until("stated again", c, func(f Following) bool { return slices.Equal(f.Members, []string{"ann"}) && f.Occupied })
	equal(s.t, "members", n[1].members(c), []string{"ann"})
	n[0].untilNode("restated", func() bool { return n[0].restated >= 1 && !n[0].degraded }, func() string { return fmt.Sprint(n[0].life) })
}

func outage(s *suite) {
	n := s.start(2)
	room, chat := channelOf("presence-room"), channelOf("chat")
	n[1].onRestate = func(n *Node) { n.Watch(chat, false) }
	n[0].onRestate = func(n *Node) {
		n.Hold(room, 1, false)
		n.Watch(room, true)
	}
	n[0].hold(room, 1)
	n[0].seat(room, "gone")
	watched := n[1].watch(chat, false).Watched
	s.Outage()
	for _, node := range n {
		node.untilNode("degraded", func() bool { return node.degraded }, func() string { return fmt.Sprint(node.life) })
		if !node.Stats().Degraded {
			s.t.Error("Stats does not say that the node is degraded")
		}
	}
	if _, err := n[0].Channel(s.t.Context(), room); !errors.Is(err, cluster.ErrDegraded) {
		s.t.Errorf("query: got %v, want ErrDegraded", err)
	}
	n[0].Seat(room, memberOf("unheard"))
	n[0].Watch(room, true)
	s.Restore()
	for _, node := range n {
		node.untilNode("back", func() bool { return !node.degraded && node.restated == 1 }, func() string { return fmt.Sprint(node.life) })
		equal(s.t, "life", node.life, []string{"degraded true", "degraded false", "restate"})
		if st := node.Stats(); st.Degraded || st.Reconnect != 1 {
			s.t.Errorf("stats: got %+v", st)
		}
	}
	n[1].until("watches again", chat, func(f Following) bool { return f.Watched > watched })
	n[0].Publish(plain(chat, "after"))
	n[1].until("after", chat, func(f Following) bool { return slices.Contains(payloads(f.Delivered), "after") })
	s.Expire()
	n[0].until("followed again", room, func(f Following) bool { return f.Snapshot != nil })
	n[0].until("not stated again", room, func(f Following) bool { return len(f.Members) == 0 && f.Occupied })
}

func restateQuietly(s *suite) {
	n := s.start(2)
	c := channelOf("presence-room")
	state := func(n *Node) {
		n.Watch(c, true)
		n.Seat(c, memberOf("ann"))
		n.Hold(c, 2, true)
	}
	for _, node := range n {
		node.onRestate = state
		state(node)
		node.until("stated", c, func(f Following) bool { return len(f.Counted) == 1 })
	}
	for _, node := range n {
		node.takeDecided()
	}
	s.Outage()
	for _, node := range n {
		node.untilNode("degraded", func() bool { return node.degraded }, func() string { return fmt.Sprint(node.life) })
	}
	s.Restore()
	for _, node := range n {
		node.until("stated again", c, func(f Following) bool { return len(f.Counted) == 2 && f.Counted[1] == 4 })
	}
	s.Expire()
	n[0].hold(c, 3)
	for _, node := range n {
		equal(s.t, "decided", kinds(node.takeDecided(), c), nil)
		equal(s.t, "members", node.told(c).Members, []string{"ann"})
	}
}

func startInOutage(s *suite) {
	first := s.start(1)[0]
	s.Outage()
	first.untilNode("degraded", func() bool { return first.degraded }, func() string { return fmt.Sprint(first.life) })
	late := newNode(s.t, s.Node(s.t))
	if err := late.Start(s.t.Context(), late); err != nil {
		s.t.Fatal(err)
	}
	late.untilNode("degraded", func() bool { return late.degraded }, func() string { return fmt.Sprint(late.life) })
	c := channelOf("chat")
	first.onRestate = func(n *Node) { n.Watch(c, false) }
	s.Restore()
	first.until("watching", c, func(f Following) bool { return f.Watched == 1 })
	late.untilNode("back", func() bool { return late.restated == 1 }, func() string { return fmt.Sprint(late.life) })
	late.Publish(plain(c, "hello"))
	first.until("hello", c, func(f Following) bool { return len(f.Delivered) == 1 })
}

func junk(s *suite) {
	n := s.start(2)
	c := channelOf("chat")
	n[1].watch(c, false)
	messages := s.Junk(s.t, c)
	n[0].Publish(plain(c, "sane"))
	n[1].until("sane", c, func(f Following) bool { return len(f.Delivered) > 0 })
	equal(s.t, "delivered", payloads(n[1].told(c).Delivered), []string{"sane"})
	if got := n[1].Stats().Junk; got != uint64(messages) {
		s.t.Errorf("junk: got %d, want %d", got, messages)
	}
}
