package redis

import (
	"strconv"
	"testing"
	"time"

	"resound/channels/cluster"
)

// TestALateCallOfAnEarlierRegistrationChangesNothing: a network that was cut may
// deliver it when the node has registered again.
func TestALateCallOfAnEarlierRegistrationChangesNothing(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, l := join(t, o)
	other, _ := join(t, o)
	a.session.Load().askRegister()
	l.until(t, "registered again", func() bool { return l.restated == 1 })
	a.SetConnections("app", 5)
	unlocked(t, l, "told", func() bool { return other.OtherConnections("app") == 5 })
	owners := a.names.root + ":owners"
	before := s.list("HKEYS", owners)
	for _, what := range []string{"register", "renew", "leave"} {
		args := []string{what, a.node, "1", "2500", "2500", "", "", "", "0", "0", "app", "77"}
		results, err := a.session.Load().eval(t.Context(), []call{{leaseScript, a.names.root, args}})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := results[0].ToArray(); err != nil || len(answer) != 1 || int64Of(answer[0]) != 0 {
			t.Errorf("%s is answered %v, %v; want a lost lease", what, answer, err)
		}
		if got := s.text("HGET", a.names.root+":c", "app"); got != "5" {
			t.Errorf("after %s the app has %q connections, want 5", what, got)
		}
	}
	if after := s.list("HKEYS", owners); len(after) != len(before) {
		t.Errorf("nodes: %q, were %q", after, before)
	}
}

// TestAClockThatStepsBackLengthensNoLease: after a failover the clock is another one.
func TestAClockThatStepsBackLengthensNoLease(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	dead, l := join(t, o)
	dead.Seat(named("presence-room"), cluster.Member{ID: "ann"})
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 })
	name := incarnationName{dead.node, dead.incarnation.Load()}.String()
	dead.stop()
	<-dead.finished
	hour := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	s.do("ZADD", dead.names.root+":leases", hour, name)
	_, survivor := join(t, o)
	survivor.until(t, "cleaned up", func() bool { return len(survivor.decided) == 1 })

	// Nor the time that one which cleans up has for it.
	s.do("ZADD", dead.names.root+":claims", hour, name)
	unlocked(t, survivor, "cleaned up again", func() bool {
		return len(s.list("ZRANGE", dead.names.root+":claims", "0", "-1")) == 0
	})
}

// TestAClockThatStepsForwardEndsNoLease: every lease seems to be over at once.
func TestAClockThatStepsForwardEndsNoLease(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, first := join(t, o)
	b, second := join(t, o)
	a.Seat(named("presence-room"), cluster.Member{ID: "ann"})
	b.Seat(named("presence-room"), cluster.Member{ID: "bob"})
	first.until(t, "ann", func() bool { return first.seated["ann"] != 0 })
	second.until(t, "bob", func() bool { return second.seated["bob"] != 0 })
	past := strconv.FormatInt(time.Now().Add(-time.Hour).UnixMilli(), 10)
	leases := a.names.root + ":leases"
	s.do("ZADD", leases, past, incarnationName{a.node, 1}.String(), past, incarnationName{b.node, 1}.String())
	unlocked(t, first, "both go on", func() bool {
		now := strconv.FormatInt(time.Now().UnixMilli(), 10)
		return len(s.list("ZRANGEBYSCORE", leases, now, "+inf")) == 2
	})
	if n := edges(cluster.MemberRemoved, first, second); n != 0 || a.Stats().Fenced+b.Stats().Fenced != 0 {
		t.Errorf("%d members were taken for gone; fenced: %d and %d", n, a.Stats().Fenced, b.Stats().Fenced)
	}
}
