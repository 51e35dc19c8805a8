package redis

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"resound/channels/cluster"
)

// expectOnce waits until the listeners were told of these edges of a channel, in the
// order of their numbers and no others. One that was told again, with its id, counts
// once.
func expectOnce(t *testing.T, c cluster.Channel, want string, listeners ...*listener) {
	t.Helper()
	got := func() string {
		var ids, list []string
		all := words(c, listeners...)
		for i, e := range toldOf(c, listeners...) {
			if e.ID == "" {
				t.Fatalf("%s has no id", all[i])
			}
			if !slices.Contains(ids, e.ID) {
				ids, list = append(ids, e.ID), append(list, all[i])
			}
		}
		return strings.Join(list, " ")
	}
	unlocked(t, listeners[0], want, func() bool { return len(got()) >= len(want) })
	if got := got(); got != want {
		t.Errorf("told: got %q, want %q", got, want)
	}
}

// TestWhatRedisTookWhileItHungIsTold: Redis takes, when it goes on, what was stated
// while it hung, and its answers go to connections given up since.
func TestWhatRedisTookWhileItHungIsTold(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.owed(t, 300*time.Millisecond))
	room, chat := named("presence-room"), named("chat")
	state := func() {
		a.Seat(room, user("ann"))
		a.Hold(chat, 1, false)
	}
	l.onRestate = state
	if err := s.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	state()
	l.until(t, "degraded", func() bool { return l.degraded })
	if err := s.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	l.until(t, "stated again", func() bool { return l.restated > 0 && l.seated["ann"] != 0 })
	expectOnce(t, room, "+ann", l)
	expectOnce(t, chat, "occupied", l)
	emptied(t, s, l)
	expectOnce(t, room, "+ann", l)
	expectOnce(t, chat, "occupied", l)
}

// TestAnEdgeWhoseAnswerWasLostIsTold: Redis decides, and not one answer arrives. Who
// came is there when the node is back, and no new edge is made; who left is not.
func TestAnEdgeWhoseAnswerWasLostIsTold(t *testing.T) {
	s := startServer(t)
	p := newProxy(t, s.address())
	o := s.owed(t, 300*time.Millisecond)
	o.Addresses = []string{p.address()}
	a, l := join(t, o)
	c := named("presence-room")
	members := a.names.base[bucketOf(a.names.topic(c))] + ":m:" + a.names.cid(a.names.topic(c), c)
	// lose makes a statement that Redis takes without an answer.
	lose := func(want int, state, restate func()) {
		t.Helper()
		restated := 0
		l.note(func() { restated = l.restated })
		l.onRestate = restate
		p.set(func(p *proxy) { p.mute = true })
		state()
		taken := false
		unlocked(t, l, "taken", func() bool {
			degraded := false
			l.note(func() { degraded = l.degraded })
			taken = taken || len(s.list("HKEYS", members)) == want
			return degraded
		})
		if !taken {
			// It stood behind a heartbeat without an answer, and what holds holds.
			t.Log("Redis did not get the statement")
		}
		p.set(func(p *proxy) { p.mute = false })
		l.until(t, "stated again", func() bool { return l.restated > restated && !l.degraded })
	}
	ann := func() { a.Seat(c, user("ann")) }
	lose(1, ann, ann)
	expectOnce(t, c, "+ann", l)
	emptied(t, s, l)
	lose(0, func() { a.Unseat(c, "ann") }, func() {})
	expectOnce(t, c, "+ann -ann", l)
	emptied(t, s, l)
	expectOnce(t, c, "+ann -ann", l)
}

// TestWhatACleanerEndedAndDidNotHearIsTold: Redis ends what a dead node stated, and
// the cleaner dies before it hears of it.
func TestWhatACleanerEndedAndDidNotHearIsTold(t *testing.T) {
	s := startServer(t)
	o := s.owed(t, 300*time.Millisecond)
	dead, first := join(t, o)
	cleaner, second := join(t, o)
	_, third := join(t, o)
	c := named("presence-room")
	dead.Seat(c, user("ann"))
	dead.Hold(c, 1, false)
	expectWords(t, c, "+ann occupied", first)
	emptied(t, s, first)
	session := cleaner.session.Load()
	bucket := bucketOf(dead.names.topic(c))
	if _, err := session.eval(t.Context(), []call{cleaner.purgeCall(session, bucket, dead.node, dead.incarnation.Load())}); err != nil {
		t.Fatal(err)
	}
	dead.stop()
	cleaner.stop()
	expectWords(t, c, "-ann vacated", third)
	emptied(t, s, third)
	if got := words(c, second, third); len(got) != 2 {
		t.Errorf("told %v, want each once", got)
	}
}
