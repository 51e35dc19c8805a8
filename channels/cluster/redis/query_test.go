package redis

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"resound/channels/cluster"
)

// TestAListIsReadInPages puts more channels into one bucket than a page has, and some
// into every other.
func TestAListIsReadInPages(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease, o.Timeout = 20*time.Second, 10*time.Second // a busy test host is no outage
	a, l := join(t, o)
	const crowded, paged = 7, 5 * pageRows
	var want []string
	inOne := 0
	for i := 0; inOne < paged; i++ {
		c := named(fmt.Sprint("presence-room", i))
		one := bucketOf(a.names.topic(c)) == crowded
		if i >= 2*buckets && !one {
			continue
		}
		if one {
			inOne++
		}
		want = append(want, c.Name)
		a.Hold(c, i%3+1, false)
		a.Seat(c, cluster.Member{ID: "ann", IDJSON: "1", Info: "{}"})
	}
	a.Hold(cluster.Channel{App: "app", Name: cluster.UserPrefix + "ann"}, 1, false)
	a.Hold(cluster.Channel{App: "other", Name: "presence-room0"}, 1, false)
	a.Hold(named("news"), 1, false)
	l.until(t, "decided", func() bool { return len(l.decided) == 2*len(want)+3 })

	rows, err := a.Channels(t.Context(), "app", "", len(want)+1)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range rows {
		if users := map[bool]int{true: 0, false: 1}[r.Name == "news"]; r.Users != users || r.Subscriptions < 1 || r.Subscriptions > 3 {
			t.Errorf("got %+v", r)
		}
		got = append(got, r.Name)
	}
	slices.Sort(got)
	want = append(want, "news")
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %d channels, want %d", len(got), len(want))
	}
	if _, err := a.Channels(t.Context(), "app", "", len(want)-1); !errors.Is(err, cluster.ErrTooMany) {
		t.Errorf("one too many: got %v, want ErrTooMany", err)
	}
	if rows, err := a.Channels(t.Context(), "app", "ne", 1); err != nil || len(rows) != 1 || rows[0].Name != "news" {
		t.Errorf("by prefix: got %v, %v", rows, err)
	}
}

// TestLargeRostersAreReadToo watches channels with more members than are read
// together with others, among small ones.
func TestLargeRostersAreReadToo(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, l := join(t, o)
	large := map[string]int{
		"presence-a": smallRoster + 1, "presence-b": smallRoster + 2,
		"presence-c": maxSnapshotMembers/2 + 1, "presence-d": maxSnapshotMembers/2 + 2, // not together
	}
	all := 0
	for name, members := range large {
		for i := range members {
			a.Seat(named(name), cluster.Member{ID: fmt.Sprint(name, i), IDJSON: "1", Info: "{}"})
		}
		all += members
	}
	l.until(t, "seated", func() bool { return len(l.seated) == all })
	follower := &snapshots{newListener(), make(map[string]int)}
	b := newAdapter(t, o)
	if err := b.Start(t.Context(), follower); err != nil {
		t.Fatal(err)
	}
	const small = 2 * maxSnapshotMembers / smallRoster // two batches
	for i := range small {
		b.Watch(named(fmt.Sprint("presence-small", i)), true)
		if i == small/2 {
			for name := range large {
				b.Watch(named(name), true)
			}
		}
	}
	follower.until(t, "watched", func() bool { return len(follower.members) == small+len(large) })
	for name, members := range large {
		if got := follower.members[name]; got != members {
			t.Errorf("%s: got %d members, want %d", name, got, members)
		}
	}
}

// snapshots is a listener that notes how many members it was told of.
type snapshots struct {
	*listener
	members map[string]int
}

func (s *snapshots) Watched(c cluster.Channel, sn *cluster.Snapshot) {
	s.note(func() { s.members[c.Name] = len(sn.Members) })
}
