package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"resound/channels/cluster"
)

// owed are options of an adapter whose edges must be told, leaves after back.
func (s *server) owed(t *testing.T, back time.Duration) Options {
	o := s.options(t)
	o.Owed = func(cluster.Channel) bool { return true }
	o.HoldBack = back
	return o
}

func user(id string) cluster.Member {
	return cluster.Member{ID: id, IDJSON: `"` + id + `"`, Info: "{}"}
}

// gated is a listener whose Decided does not return while gate is open.
type gated struct {
	*listener
	gate chan struct{}
}

func (g *gated) Decided(e cluster.Edge) {
	g.listener.Decided(e)
	<-g.gate
}

// words are what the listeners were told of a channel, in the order of numbers.
func words(c cluster.Channel, listeners ...*listener) (list []string) {
	for _, e := range toldOf(c, listeners...) {
		list = append(list, []string{"", "occupied", "vacated", "+", "-"}[e.Kind]+e.Member.ID)
	}
	return list
}

func toldOf(c cluster.Channel, listeners ...*listener) (list []cluster.Edge) {
	for _, l := range listeners {
		l.mu.Lock()
		for _, e := range l.decided {
			if e.Channel == c {
				list = append(list, e)
			}
		}
		l.mu.Unlock()
	}
	slices.SortStableFunc(list, func(a, b cluster.Edge) int { return int(int64(a.Seq) - int64(b.Seq)) })
	return list
}

func expectWords(t *testing.T, c cluster.Channel, want string, listeners ...*listener) {
	t.Helper()
	unlocked(t, listeners[0], want, func() bool { return len(words(c, listeners...)) >= len(strings.Fields(want)) })
	if got := strings.Join(words(c, listeners...), " "); got != want {
		t.Errorf("told: got %q, want %q", got, want)
	}
}

// emptied waits until nothing is noted any more and nobody is to be cleaned up.
func emptied(t *testing.T, s *server, l *listener) {
	t.Helper()
	unlocked(t, l, "the journal is empty", func() bool {
		for _, key := range s.list("KEYS", "*") {
			if strings.Contains(key, "}:w") || strings.HasSuffix(key, ":claims") {
				return false
			}
		}
		return true
	})
}

func TestALeaveIsTold(t *testing.T) {
	for _, test := range []struct {
		name string
		back time.Duration
	}{
		{"at once", -1},
		{"when its time is over", 300 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t)
			a, l := join(t, s.owed(t, test.back))
			c := named("presence-room")
			a.Seat(c, user("ann"))
			a.Hold(c, 1, false)
			a.Unseat(c, "ann")
			a.Hold(c, 0, false)
			l.until(t, "decided", func() bool { return len(l.decided) == 4 })
			expectWords(t, c, "+ann occupied -ann vacated", l)
			emptied(t, s, l)
		})
	}
}

func TestWhoComesBackToAnotherNodeWasNeverAway(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, 2*time.Second)
	a, la := join(t, o)
	b, lb := join(t, o)
	c := named("presence-room")
	a.Seat(c, user("ann"))
	a.Hold(c, 1, false)
	expectWords(t, c, "+ann occupied", la, lb)
	a.Unseat(c, "ann")
	a.Hold(c, 0, false)
	unlocked(t, la, "gone", func() bool { n, err := a.Channel(t.Context(), c); return err == nil && n.Users+n.Subscriptions == 0 })
	b.Seat(c, user("ann"))
	b.Hold(c, 1, false)
	lb.until(t, "back", func() bool { return lb.seated["ann"] != 0 })
	// Who leaves later is told of later.
	b.Seat(c, user("bob"))
	b.Unseat(c, "bob")
	expectWords(t, c, "+ann occupied +bob -bob", la, lb)
	emptied(t, s, la)
}

// TestWhatADeadNodeWasToTellIsTold: Redis has decided, and the node dies before it
// hears of it.
func TestWhatADeadNodeWasToTellIsTold(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, 300*time.Millisecond)
	dead, _ := join(t, o)
	_, survivor := join(t, o)
	c := named("presence-room")
	topic := dead.names.topic(c)
	w := &statements{channel: c, topic: topic}
	list := []told{{w, statement{op: opSeat, user: "ann", member: user("ann")}}, {w, statement{op: opHold, subscriptions: 1}}}
	session := dead.session.Load()
	if _, err := session.eval(t.Context(), []call{dead.stateCall(session, bucketOf(topic), dead.incarnation.Load(), list)}); err != nil {
		t.Fatal(err)
	}
	dead.stop()
	expectWords(t, c, "+ann occupied -ann vacated", survivor)
}

// TestAnEdgeThatIsToldTwiceHasOneID kills a node that was telling.
func TestAnEdgeThatIsToldTwiceHasOneID(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, 300*time.Millisecond)
	dying, first := newAdapter(t, o), &gated{newListener(), make(chan struct{})}
	t.Cleanup(func() { close(first.gate) })
	if err := dying.Start(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	_, second := join(t, o)
	c := named("presence-room")
	dying.Seat(c, user("ann"))
	first.until(t, "told", func() bool { return len(first.decided) == 1 })
	dying.stop()
	expectWords(t, c, "+ann -ann", second)
	a, b := toldOf(c, first.listener), toldOf(c, second)
	if a[0].ID == "" || a[0].ID != b[0].ID || b[1].ID == b[0].ID {
		t.Errorf("ids: first %q, then %q and %q", a[0].ID, b[0].ID, b[1].ID)
	}
}

// TestWhoCameBackStaysTheLastWord: the node that was telling a leave dies, and
// somebody has come back meanwhile.
func TestWhoCameBackStaysTheLastWord(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, -1)
	dying, first := newAdapter(t, o), &gated{newListener(), make(chan struct{}, 1)}
	t.Cleanup(func() { close(first.gate) })
	if err := dying.Start(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other, second := join(t, o)
	c := named("presence-room")
	first.gate <- struct{}{} // one passes
	dying.Seat(c, user("ann"))
	dying.Unseat(c, "ann")
	first.until(t, "the leave is being told", func() bool { return len(first.decided) == 2 })
	other.Seat(c, user("ann"))
	second.until(t, "seated", func() bool { return second.seated["ann"] != 0 })
	dying.stop()
	expectWords(t, c, "+ann", second)
	emptied(t, s, second)
	if got := words(c, second); len(got) != 1 {
		t.Errorf("the other node told %v, want only that ann came", got)
	}
}

// inTurn is a listener that notes whether open was set when somebody came.
type inTurn struct {
	*listener
	open  atomic.Bool
	early atomic.Int32
}

func (i *inTurn) Decided(e cluster.Edge) {
	if e.Kind == cluster.MemberAdded && !i.open.Load() {
		i.early.Add(1)
	}
	i.listener.Decided(e)
}

// TestWhoComesBackWhileALeaveIsToldIsToldAfterIt: at another node, to which the
// telling node must not come second. Who is gone again meanwhile was never back.
func TestWhoComesBackWhileALeaveIsToldIsToldAfterIt(t *testing.T) {
	for _, test := range []struct {
		name  string
		flips int
		want  string
	}{
		{"back", 1, "+ann occupied -ann vacated +ann occupied"},
		{"back and gone", 2, "+ann occupied -ann vacated"},
		{"back, gone and back", 3, "+ann occupied -ann vacated +ann occupied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t)
			o := s.owed(t, -1)
			o.Lease, o.Timeout = 20*time.Second, 10*time.Second // a busy test host is no outage
			slow, first := newAdapter(t, o), &gated{newListener(), make(chan struct{}, 2)}
			if err := slow.Start(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			pass := sync.OnceFunc(func() { close(first.gate) })
			t.Cleanup(pass)
			other, second := newAdapter(t, o), &inTurn{listener: newListener()}
			if err := other.Start(t.Context(), second); err != nil {
				t.Fatal(err)
			}
			c := named("presence-room")
			first.gate <- struct{}{}
			first.gate <- struct{}{} // two pass
			slow.Seat(c, user("ann"))
			slow.Hold(c, 1, false)
			expectWords(t, c, "+ann occupied", first.listener)
			slow.Unseat(c, "ann")
			slow.Hold(c, 0, false)
			topic := slow.names.topic(c)
			ledger := slow.names.base[bucketOf(topic)] + ":w:" + incarnationName{slow.node, slow.incarnation.Load()}.String()
			unlocked(t, first.listener, "the leaves are being told", func() bool {
				return len(s.list("ZRANGEBYSCORE", ledger, "+inf", "+inf")) == 2 && len(words(c, first.listener)) == 3
			})
			for i := range test.flips {
				if i%2 == 0 {
					other.Seat(c, user("ann"))
					other.Hold(c, 1, false)
				} else {
					other.Unseat(c, "ann")
					other.Hold(c, 0, false)
				}
			}
			if err := other.flusher(topic).wait(t.Context(), other.session.Load()); err != nil {
				t.Fatal(err)
			}
			second.open.Store(true)
			pass()
			emptied(t, s, second.listener)
			expectWords(t, c, test.want, first.listener, second.listener)
			if n := second.early.Load(); n != 0 {
				t.Errorf("%d were told to be back while their leave was being told", n)
			}
		})
	}
}

// TestALeaveThatIsMadeUpForLeavesNothingBehind: what was stated all the same, another
// node ends.
func TestALeaveThatIsMadeUpForLeavesNothingBehind(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, -1)
	o.Lease, o.Timeout = time.Hour, 10*time.Second // nothing is inherited by its end
	late, l := join(t, o)
	c := named("presence-room")
	late.Seat(c, user("ann"))
	expectWords(t, c, "+ann", l)
	emptied(t, s, l)
	late.closing.Store(true)
	late.leaveLate(t.Context(), late.session.Load())
	late.stop()
	<-late.finished
	_, heir := join(t, o)
	expectWords(t, c, "-ann", heir)
}

func TestWhatANodeThatLeavesCannotTellOthersTell(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, time.Hour)
	o.Lease = time.Hour // nothing is inherited by its end
	leaving, l := join(t, o)
	c := named("presence-room")
	leaving.Seat(c, user("ann"))
	expectWords(t, c, "+ann", l)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		// Until the leave is noted, whose time is not over for an hour, and everything
		// was taken back.
		unlocked(t, l, "noted", func() bool {
			leaving.journal.mu.Lock()
			defer leaving.journal.mu.Unlock()
			return slices.ContainsFunc(leaving.journal.due[:], func(at time.Time) bool { return time.Until(at) > time.Minute })
		})
		leaving.cleaning <- struct{}{}
		defer func() { <-leaving.cleaning }()
	}()
	if err := leaving.Leave(ctx); err != nil {
		t.Fatal(err)
	}
	// The next to come, be it alone, has it.
	heir, other := join(t, o)
	unlocked(t, other, "inherited", func() bool {
		topic := heir.names.topic(c)
		own := heir.names.base[bucketOf(topic)] + ":w:" + incarnationName{heir.node, heir.incarnation.Load()}.String()
		return len(s.list("ZRANGE", own, "0", "-1")) == 1
	})
	heir.stop() // or it would wait to tell it
	<-heir.finished
}

// TestEdgesOverKilledConnectionsAreTold cuts the connections of a node, again and
// again; some of its answers are lost and some of its registrations end.
func TestEdgesOverKilledConnectionsAreTold(t *testing.T) {
	s := startServer(t)
	p := newProxy(t, s.address())
	o := s.owed(t, -1)
	o.Addresses = []string{p.address()}
	a, l := join(t, o)
	const users = 500
	c := named("presence-room")
	state := func() {
		for i := range users {
			a.Seat(c, user(fmt.Sprint("user", i)))
		}
	}
	l.onRestate = state
	state()
	for range 20 {
		p.cut()
		time.Sleep(3 * time.Millisecond) // between two cuts
	}
	unlocked(t, l, "all are told", func() bool {
		all := make(map[string]bool)
		for _, e := range toldOf(c, l) {
			all[e.Member.ID] = true
		}
		return len(all) == users
	})
	ids := make(map[string]string)
	for _, e := range toldOf(c, l) {
		if id := ids[e.Member.ID]; id != "" && id != e.ID {
			t.Errorf("%s came as %s and as %s", e.Member.ID, id, e.ID)
		}
		ids[e.Member.ID] = e.ID
	}
}

// TestAProcessThatIsKilledInItsTellingOwesNothing kills nodes right when the others
// see what they have decided.
func TestAProcessThatIsKilledInItsTellingOwesNothing(t *testing.T) {
	s := startServer(t)
	o := childOptions(s.address(), "telling")
	o.Owed, o.HoldBack = func(cluster.Channel) bool { return true }, -1
	c := named("presence-room")
	watcher := &watching{newListener(), make(chan cluster.Edge, 100)}
	a := newAdapter(t, o)
	if err := a.Start(t.Context(), watcher); err != nil {
		t.Fatal(err)
	}
	a.Watch(c, false)
	watcher.until(t, "watched", func() bool { return watcher.watched[c.Name] == 1 })
	byVictims := 0
	for round := 1; round <= 5; round++ {
		victim := startChild(t, s, "telling", childOwed+"=yes")
		for (<-watcher.edges).Kind != cluster.MemberAdded {
		}
		victim.signal(syscall.SIGKILL)
		for (<-watcher.edges).Kind != cluster.MemberRemoved {
		}
		for line := range victim.lines { // until the pipe ends
			if line == fmt.Sprint("decided ", cluster.MemberAdded) {
				byVictims++
			}
		}
		unlocked(t, watcher.listener, "told", func() bool {
			return edges(cluster.MemberRemoved, watcher.listener) == round &&
				edges(cluster.MemberAdded, watcher.listener)+byVictims >= round
		})
	}
	t.Logf("%d of 5 had told", byVictims)
}

// watching is a listener that passes edges on.
type watching struct {
	*listener
	edges chan cluster.Edge
}

func (w *watching) Edge(e cluster.Edge) { w.edges <- e }
