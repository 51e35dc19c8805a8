package redis

import (
	"fmt"
	"syscall"
	"testing"

	"resound/channels/cluster"
)

// TestEdgesWhoseAnswerWasLostAreTold: Redis takes statements when it goes on that
// were made while it hung, and nobody hears its answers.
func TestEdgesWhoseAnswerWasLostAreTold(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.options(t))
	room, chat := named("presence-room"), named("chat")
	state := func() {
		a.Seat(room, cluster.Member{ID: "ann", IDJSON: "1", Info: "{}"})
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
	l.until(t, "stated again", func() bool { return l.restated == 1 && l.seated["ann"] != 0 })
	l.until(t, "told", func() bool { return len(l.decided) == 2 })
	a.Unseat(room, "ann")
	l.until(t, "told of the end", func() bool { return len(l.decided) > 2 })
	if n := edges(cluster.MemberAdded, l); n != 1 {
		t.Errorf("ann was added %d times", n)
	}
	if n := edges(cluster.Occupied, l); n != 1 {
		t.Errorf("the channel was occupied %d times", n)
	}
}

// TestAnAnswerIsRecalled: a call that Redis had is answered once more, one that it
// never had comes too late.
func TestAnAnswerIsRecalled(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.options(t))
	session := a.session.Load()
	seat := func(user string) pastCall {
		c, m := named("presence-room"), cluster.Member{ID: user}
		list := []told{{&statements{channel: c, topic: a.names.topic(c)}, statement{op: opSeat, user: user, member: m}}}
		return pastCall{a.stateCall(session, bucketOf(a.names.topic(c)), list), list}
	}
	eval := func(p pastCall) {
		t.Helper()
		if _, err := session.eval(t.Context(), []call{p.call}); err != nil {
			t.Fatal(err)
		}
	}
	recall := func(p pastCall) {
		t.Helper()
		a.flushers[0].unknown = []pastCall{p}
		if err := a.recall(session); err != nil {
			t.Fatal(err)
		}
	}
	had := seat("ann")
	eval(had)
	recall(had)
	if len(l.decided) != 1 || l.decided[0].Member.ID != "ann" {
		t.Errorf("told %v, want that ann was added", l.decided)
	}
	lost := seat("bob")
	recall(lost)
	eval(lost)
	members, err := a.Members(t.Context(), named("presence-room"))
	if err != nil || len(members) != 1 || len(l.decided) != 1 {
		t.Errorf("members %v, %v and told %v, want ann alone", members, err, l.decided)
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
		rows, err := a.Channels(t.Context(), "app", "presence-")
		if err != nil || len(rows) != channels {
			t.Fatalf("%d channels, %v; want %d", len(rows), err, channels)
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
