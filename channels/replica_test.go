package channels_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"resound/channels"
)

// stated keeps, in words, what a directory states and tells.
type stated struct {
	channels.NoEdges
	log []string
}

func (s *stated) say(format string, args ...any) { s.log = append(s.log, fmt.Sprintf(format, args...)) }

func (s *stated) Watch(name string)          { s.say("watch %s", name) }
func (s *stated) Unwatch(name string)        { s.say("unwatch %s", name) }
func (s *stated) Hold(name string, n int)    { s.say("hold %s %d", name, n) }
func (s *stated) Recount(name string, n int) { s.say("recount %s %d", name, n) }
func (s *stated) Unseat(name, user string)   { s.say("unseat %s", user) }

func (s *stated) Inherit(name string, in channels.Inherited) {
	s.say("inherit %s %d", name, in.Connections)
	for _, m := range in.Members {
		s.say("inherit %s", m.ID)
	}
	if in.Kept != nil {
		s.say("inherit %s", in.Kept.Name)
	}
}

func (s *stated) Seat(_ string, m *channels.Member) { s.say("seat %s", m.ID) }

func (s *stated) Settled(name, user string, to channels.Interest) {
	s.say("settled %s %b", strings.TrimSpace(name+" "+user), to)
}

func (s *stated) MemberAdded(_ string, m *channels.Member, _ channels.Interest, _ uint64) {
	s.say("added %s", m.ID)
}

func (s *stated) MemberRemoved(_ string, m *channels.Member, _ channels.Interest, _ uint64) {
	s.say("removed %s", m.ID)
}

func (s *stated) Counted(name string, n int, _ channels.Interest) { s.say("counted %s %d", name, n) }

func (s *stated) told(id string, online bool, _ channels.Interest, _ uint64) {
	s.say("%s online %v", id, online)
}

// step is something that happens to a directory, and what it says of it.
type step struct {
	name string
	do   func()
	want string // with commas between
}

func (s *stated) run(t *testing.T, steps []step) {
	t.Helper()
	for _, row := range steps {
		s.log = nil
		row.do()
		if got := strings.Join(s.log, ", "); got != row.want {
			t.Fatalf("%s:\n got %s\nwant %s", row.name, got, row.want)
		}
	}
}

func connected() (*channels.Directory, *stated) {
	s := &stated{}
	d := channels.NewDirectory(s)
	d.Connect(s, s)
	return d, s
}

func state(seq uint64, ids ...string) *channels.State {
	s := &channels.State{Seq: seq}
	for _, id := range ids {
		s.Members = append(s.Members, user(id))
	}
	return s
}

func TestASubscriptionWaitsForItsChannel(t *testing.T) {
	d, s := connected()
	subscribe := func(waiting bool) func() {
		return func() {
			if got := d.Subscribe("c", 1, epoch).Waiting; got != waiting {
				t.Errorf("waiting is %v, want %v", got, waiting)
			}
		}
	}
	leave := func() { d.Unsubscribe("c", 1, true) }
	s.run(t, []step{
		{"the first asks", subscribe(true), "watch c, hold c 1"},
		{"the second does not", subscribe(true), "hold c 2"},
		{"one leaves", func() { d.Unsubscribe("c", 1, false) }, "hold c 1"},
		{"all leave: the answer is owed, so the watch stays", leave, "hold c 0"},
		{"somebody comes back", subscribe(true), "hold c 1"},
		{"the answer", func() { d.Watched("c", nil) }, "settled c 10"},
		{"nobody waits any more", subscribe(false), "hold c 2"},
		{"a second answer", func() { d.Watched("c", nil) }, ""},
		{"one leaves again", func() { d.Unsubscribe("c", 1, false) }, "hold c 1"},
		{"all leave again", leave, "hold c 0, unwatch c"},
		{"an answer for nobody", func() { d.Watched("c", nil) }, ""},
		{"it begins anew", subscribe(true), "watch c, hold c 1"},
		{"all leave before the answer", leave, "hold c 0"},
		{"which ends the watch", func() { d.Watched("c", nil) }, "unwatch c"},
	})
	if got := d.Channels(""); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
}

func TestAMemberWaitsForTheRoster(t *testing.T) {
	d, s := connected()
	const c = "presence-c"
	join := func(id string, waiting bool, want ...string) func() {
		return func() {
			t.Helper()
			got, members, err := d.Join(c, 0, user(id), 3, nil, epoch)
			if err != nil || got.Waiting != waiting || !waiting && !slices.Equal(ids(members), want) {
				t.Errorf("%s: got %+v with %q, %v, want waiting %v or %q", id, got, ids(members), err, waiting, want)
			}
		}
	}
	revisit := func(id string, waiting bool, want ...string) func() {
		return func() {
			t.Helper()
			got, members := d.Revisit(c, id, nil, epoch)
			if got.Waiting != waiting || !waiting && !slices.Equal(ids(members), want) {
				t.Errorf("%s: got %+v with %q, want waiting %v or %q", id, got, ids(members), waiting, want)
			}
		}
	}
	leave := func(id string, last bool) func() { return func() { d.Leave(c, 0, last, id) } }
	added := func(id string, seq uint64) func() { return func() { d.MemberAdded(c, user(id), seq) } }
	removed := func(id string, seq uint64) func() { return func() { d.MemberRemoved(c, id, seq) } }
	seated := func(id string) func() { return func() { d.Seated(c, id) } }
	s.run(t, []step{
		{"the first asks for the roster before a seat", join("ann", true), "watch presence-c, hold presence-c 1"},
		{"so does who is a member already", join("bob", true), "hold presence-c 2"},
		{"an edge before the answer is part of it", added("zoe", 4), ""},
		{"the roster is not announced", func() { d.Watched(c, state(5, "bob")) }, "seat ann, seat bob"},
		{"bob is in the roster and has no seat yet", revisit("bob", true), ""},
		{"he has", seated("bob"), "settled presence-c bob 1"},
		{"bob is welcomed", revisit("bob", false, "bob"), ""},
		{"ann is not yet", revisit("ann", true), ""},
		{"an old edge", added("zoe", 5), ""},
		{"a strange one", removed("zoe", 6), ""},
		{"ann's", added("ann", 7), "added ann"},
		{"ann's seat", seated("ann"), "settled presence-c ann 1"},
		{"ann is welcomed", revisit("ann", false, "bob", "ann"), ""},
		{"her second tab at once", join("ann", false, "bob", "ann"), "hold presence-c 3"},
		{"one tab is closed", leave("ann", false), "hold presence-c 2"},
		{"ann leaves", leave("ann", false), "unseat ann, hold presence-c 1"},
		{"which the cluster says", removed("ann", 8), "removed ann"},
		{"cyd asks for a seat", join("cyd", true), "hold presence-c 2, seat cyd"},
		{"leaves before the answer", leave("cyd", false), "hold presence-c 1"},
		{"comes back", join("cyd", true), "hold presence-c 2"},
		{"and leaves again", leave("cyd", false), "hold presence-c 1"},
		{"the edge of the seat", func() { d.MemberAdded(c, user("cyd"), 9) }, "added cyd"},
		{"the answer gives it back", seated("cyd"), "unseat cyd"},
		{"an answer too many", seated("cyd"), ""},
		{"cyd is gone", removed("cyd", 10), "removed cyd"},
		{"bob, whom the cluster took for dead, stays", removed("bob", 11), ""},
		{"and is there again", added("bob", 12), ""},
		{"once more", removed("bob", 13), ""},
		{"now he leaves: the cluster has said so", leave("bob", true), "removed bob, unseat bob, hold presence-c 0, unwatch presence-c"},
	})
}

func TestTheLimitIsTheClusters(t *testing.T) {
	d, s := connected()
	const c = "presence-c"
	join := func(id string, want error) func() {
		return func() {
			t.Helper()
			if _, _, err := d.Join(c, 0, user(id), 2, nil, epoch); !errors.Is(err, want) {
				t.Errorf("%s: got %v, want %v", id, err, want)
			}
		}
	}
	s.run(t, []step{
		{"who comes first cannot be judged", join("ann", nil), "watch presence-c, hold presence-c 1"},
		{"nor the second", join("bob", nil), "hold presence-c 2"},
		{"nor a third, who leaves", join("cyd", nil), "hold presence-c 3"},
		{"again", func() { d.Leave(c, 0, false, "cyd") }, "hold presence-c 2"},
		{"the roster has room for one", func() { d.Watched(c, state(1, "zoe")) }, "seat ann, settled presence-c bob 1"},
		{"bob is refused", func() {
			if got, _ := d.Revisit(c, "bob", nil, epoch); !got.Refused {
				t.Errorf("got %+v, want a refusal", got)
			}
			d.Leave(c, 0, false, "bob")
		}, "hold presence-c 1"},
		{"a seat that is asked for counts", join("dan", channels.ErrRosterFull), ""},
		{"ann's second tab does not", join("ann", nil), "hold presence-c 2"},
		{"zoe's neither", join("zoe", nil), "hold presence-c 3, seat zoe"},
	})
}

func TestOutage(t *testing.T) {
	d, s := connected()
	const c = "presence-c"
	join := func(id string) func() {
		return func() { _, _, _ = d.Join(c, 0, user(id), 0, nil, epoch) }
	}
	s.run(t, []step{
		{"ann", join("ann"), "watch presence-c, hold presence-c 1"},
		{"the roster", func() { d.Watched(c, state(1, "yan", "zoe")) }, "seat ann"},
		{"ann has her seat", func() { d.MemberAdded(c, user("ann"), 2); d.Seated(c, "ann"); d.Revisit(c, "ann", nil, epoch) }, "added ann, settled presence-c ann 1"},
		{"bob asks for his", join("bob"), "hold presence-c 2, seat bob"},
		{"somebody waits elsewhere", func() { d.Subscribe("c", 3, epoch) }, "watch c, hold c 1"},
		{"gone is who waits for an answer without anybody", func() { d.Subscribe("d", 3, epoch); d.Unsubscribe("d", 3, true) }, "watch d, hold d 1, hold d 0"},
	})
	s.log = nil
	d.Cut()
	slices.Sort(s.log) // stripes come in any order
	if got, want := strings.Join(s.log, ", "), "added bob, settled c 1000, settled presence-c bob 1"; got != want {
		t.Fatalf("cut:\n got %s\nwant %s", got, want)
	}
	s.run(t, []step{
		{"cyd comes at once", join("cyd"), "hold presence-c 3, added cyd"},
		{"and goes", func() { d.Leave(c, 0, false, "cyd") }, "removed cyd, hold presence-c 2"},
		{"bob goes", func() { d.Leave(c, 0, false, "bob") }, "removed bob, hold presence-c 1"},
		{"nobody waits", func() { d.Subscribe("e", 0, epoch) }, "hold e 1, counted e 1"},
		{"one comes and goes", func() { d.Subscribe("f", 0, epoch); d.Unsubscribe("f", 0, true) }, "hold f 1, counted f 1, hold f 0, unwatch f"},
		{"late answers and edges are nothing", func() {
			d.Watched(c, state(9))
			d.MemberRemoved(c, "yan", 9)
		}, ""},
	})
	s.log = nil
	d.Restate()
	slices.Sort(s.log)
	if got, want := strings.Join(s.log, ", "), "hold c 1, hold e 1, hold f 0, hold presence-c 1, seat ann, unseat bob, unseat cyd, watch c, watch e, watch presence-c"; got != want {
		t.Fatalf("restate:\n got %s\nwant %s", got, want)
	}
	s.run(t, []step{
		{"who comes now waits", join("dan"), "hold presence-c 2, seat dan"},
		{"even ann's second tab", join("ann"), "hold presence-c 3"},
		{"until it is cut again", func() { d.Cut(); slices.Sort(s.log) }, "added dan, settled presence-c ann 1, settled presence-c dan 1"},
		{"dan goes", func() { d.Leave(c, 0, false, "dan"); d.Leave(c, 0, false, "ann") }, "removed dan, hold presence-c 2, hold presence-c 1"},
		{"and it is back", func() { d.Restate(); s.log = nil }, ""},
		{"dan comes again", join("dan"), "hold presence-c 2, seat dan"},
		{"what differs is announced, ann is here", func() { d.Watched(c, state(20, "zoe", "xia")) }, "removed yan, added xia"},
		{"dan's edge", func() { d.MemberAdded(c, user("dan"), 21); d.Seated(c, "dan") }, "added dan, settled presence-c dan 1"},
		{"ann, whom the state did not have, goes", func() { d.Seated(c, "ann"); d.Leave(c, 0, false, "ann") }, "removed ann, unseat ann, hold presence-c 1"},
	})
}

// TestTheLastEventThatWasMissedIsTold: to those who subscribed before, once.
func TestTheLastEventThatWasMissedIsTold(t *testing.T) {
	d, _ := connected()
	const c = "cache-c"
	event := func(seq uint64) *channels.CachedEvent {
		return &channels.CachedEvent{Name: "last", Frame: fmt.Append(nil, seq), Seq: seq}
	}
	until := epoch.Add(time.Minute)
	told := 0
	note := func(channels.Interest, uint64) { told++ }
	keep := func(seq uint64, mine bool) func() {
		return func() { d.Keep(c, seq, event(seq), until, mine, func(channels.Interest, uint64, uint64) { told++ }) }
	}
	state := func(seq, kept uint64) func() {
		return func() {
			d.Watched(c, &channels.State{Seq: seq, Kept: event(kept), Expires: until, Missed: note})
		}
	}
	d.Subscribe(c, 0, epoch)
	for _, step := range []struct {
		what string
		play func()
		want int
	}{
		{"the first state answers who waits", state(5, 5), 0},
		{"the next event", keep(6, false), 1},
		{"a gap", func() { d.Missing(c) }, 0},
		{"in which nothing was kept", state(7, 6), 0},
		{"a gap", func() { d.Missing(c) }, 0},
		{"and an event", state(9, 8), 1},
		{"which is asked for again", state(9, 8), 0},
		{"a registration", d.Restate, 0},
		{"an event ahead of the state", keep(11, false), 1},
		{"the state", state(12, 11), 0},
		{"a registration", d.Restate, 0},
		{"an event of this node", func() {
			d.Publish(c, event(13), until, func(channels.Interest, uint64, bool) {})
			keep(13, true)()
		}, 0},
		{"the state", state(13, 13), 0},
		{"an outage", func() { d.Cut(); d.Restate() }, 0},
		{"an event of others in it", state(15, 14), 1},
		{"an outage", func() { d.Cut(); d.Restate() }, 0},
		{"an event of this node in it", func() { d.Watched(c, &channels.State{Seq: 16, Kept: event(16), Own: true, Expires: until}) }, 0},
		{"the last event of others", keep(17, false), 1},
		{"somebody else's time", func() { d.Leave(c, 0, false, ""); d.Cut(); d.Subscribe(c, 0, epoch); d.Restate() }, 0},
		{"who was welcomed with it", state(18, 17), 0},
	} {
		told = 0
		if step.play(); told != step.want {
			t.Errorf("%s: told %d times, want %d", step.what, told, step.want)
		}
	}
}

// TestWhatWasMissedIsNotToldBehindWhatIsLater: an event of this node that waited for the
// others is the last one, whatever of theirs was missed before it.
func TestWhatWasMissedIsNotToldBehindWhatIsLater(t *testing.T) {
	for name, gap := range map[string]func(d *channels.Directory){
		"an outage":                         func(d *channels.Directory) { d.Cut() },
		"a connection for subscriptions":    func(d *channels.Directory) { d.Missing("cache-c") },
		"a registration and such a one too": func(d *channels.Directory) { d.Restate(); d.Missing("cache-c") },
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := connected()
			const c = "cache-c"
			until := epoch.Add(time.Minute)
			event := func(name string, seq uint64) *channels.CachedEvent {
				return &channels.CachedEvent{Name: name, Frame: []byte(name), Seq: seq}
			}
			var told []string
			state := func(seq uint64, last *channels.CachedEvent, own, partial bool) {
				missed := func(channels.Interest, uint64) { told = append(told, last.Name) }
				d.Watched(c, &channels.State{Seq: seq, Kept: last, Own: own, Expires: until, Partial: partial, Missed: missed})
			}
			d.Subscribe(c, 0, epoch)
			d.Watched(c, &channels.State{Seq: 1})
			again, _ := d.Revisit(c, "", nil, epoch)
			publish := func(name string) {
				d.Publish(c, event(name, 0), until, func(channels.Interest, uint64, bool) { told = append(told, name) })
			}
			gap(d)
			publish("ours")
			d.Restate()
			state(5, event("theirs", 5), false, true)
			d.Keep(c, 6, event("ours", 6), until, true, func(_ channels.Interest, since, _ uint64) {
				if again.Since >= since {
					told = append(told, "ours again")
				}
			})
			state(7, event("ours", 6), true, false)
			if !slices.Equal(told, []string{"ours"}) {
				t.Errorf("told %q, want the last event alone", told)
			}
			// What is lost on its way is not later than anything.
			gap(d)
			publish("lost")
			d.Restate()
			state(9, event("theirs too", 8), false, true)
			state(9, event("theirs too", 8), false, false)
			if !slices.Equal(told, []string{"ours", "lost", "theirs too"}) {
				t.Errorf("told %q, want what was missed at last", told)
			}
		})
	}
}

// TestAnOwnEventThatTheStateLacks: who is answered with a state that lacks an event of its
// own node gets it when it comes back, whatever happened between.
func TestAnOwnEventThatTheStateLacks(t *testing.T) {
	d, _ := connected()
	const c = "cache-c"
	until := epoch.Add(time.Minute)
	event := func(name string, seq uint64) *channels.CachedEvent {
		return &channels.CachedEvent{Name: name, Frame: []byte(name), Seq: seq}
	}
	publish := func(name string) { d.Publish(c, event(name, 0), until, func(channels.Interest, uint64, bool) {}) }
	watched := func(seq uint64, partial bool) {
		d.Watched(c, &channels.State{Seq: seq, Kept: event("old", 1), Expires: until, Partial: partial})
	}
	// back tells whether an event that comes back goes to who was answered with a number.
	back := func(when, name string, seq, answered uint64, want bool) {
		t.Helper()
		got := false
		d.Keep(c, seq, event(name, seq), until, true, func(_ channels.Interest, since, _ uint64) { got = answered >= since })
		if got != want {
			t.Errorf("%s: told is %v, want %v", when, got, want)
		}
	}
	answer := func() uint64 {
		again, _ := d.Revisit(c, "", nil, epoch)
		return again.Since
	}
	outage := func() { d.Cut(); d.Restate() }

	d.Subscribe(c, 0, epoch)
	publish("before the state")
	watched(2, false)
	first := answer()
	outage()
	watched(3, true)
	back("an outage between", "before the state", 4, first, true)

	d.Missing(c)
	publish("in a gap")
	watched(5, false)
	second := answer()
	d.Restate()
	watched(6, false)
	back("who was answered before the gap has it", "in a gap", 7, first, false)
	publish("in another gap")
	d.Missing(c)
	watched(8, false)
	third := answer()
	d.Restate()
	watched(9, false)
	back("who was answered behind it has not", "in another gap", 10, third, true)
	if third <= second {
		t.Fatal("numbers do not rise")
	}

	d.Missing(c)
	publish("in an outage's gap")
	outage() // who waited is welcomed with it
	fourth := answer()
	watched(11, true)
	back("who was welcomed with it has it", "in an outage's gap", 12, fourth, false)
}

func TestKeptEventsTakeTheClustersOrder(t *testing.T) {
	d, _ := connected()
	const c = "cache-c"
	event := func(name string) *channels.CachedEvent {
		return &channels.CachedEvent{Name: name, Frame: []byte(name)}
	}
	until := epoch.Add(time.Minute)
	publish := func(name string) { d.Publish(c, event(name), until, func(channels.Interest, uint64, bool) {}) }
	var delivered []string
	var answered uint64 // the subscriber's number
	keep := func(name string, seq uint64, mine bool) {
		d.Keep(c, seq, event(name), until, mine, func(_ channels.Interest, since, _ uint64) {
			if answered >= since {
				delivered = append(delivered, name)
			}
		})
	}
	answer := func() {
		again, _ := d.Revisit(c, "", nil, epoch)
		answered = again.Since
	}
	check := func(when, kept string, got ...string) {
		t.Helper()
		have := ""
		if cached := d.Channel(c, epoch).Cached; cached != nil {
			have = cached.Name
		}
		if have != kept || !slices.Equal(delivered, got) {
			t.Errorf("%s: kept is %q and delivered %q, want %q and %q", when, have, delivered, kept, got)
		}
		delivered = nil
	}
	publish("while vacant")
	d.Subscribe(c, 0, epoch)
	publish("while asked")
	keep("a stranger's", 4, false)
	check("before the state, theirs may be part of it or not", "a stranger's", "a stranger's")
	d.Watched(c, &channels.State{Seq: 5, Kept: event("of the cluster"), Expires: until})
	check("the state", "of the cluster")
	answer()
	keep("while asked", 6, true)
	check("nobody here has what was published while nobody was answered", "while asked", "while asked")
	keep("theirs", 8, false)
	check("theirs", "theirs", "theirs")
	keep("old", 8, false)
	check("what is part of the state is ignored", "theirs")
	publish("first")
	publish("second")
	keep("first", 9, true)
	keep("between", 10, false)
	check("the second own one has no place yet", "second", "between")
	keep("second", 11, true)
	check("own ones are not delivered again", "second")
	keep("later", 12, false)
	check("own ones have their places", "later", "later")
	publish("lost")
	publish("third")
	keep("third", 13, true)
	keep("last", 14, false)
	check("one that does not come back is not waited for", "last", "last")
	d.Restate()
	publish("while asked again")
	d.Watched(c, &channels.State{Seq: 20})
	check("the cluster keeps none any more", "")
	keep("while asked again", 21, true)
	check("who was answered before has it", "while asked again")
	d.Missing(c)
	publish("while it may be missed")
	d.Watched(c, &channels.State{Seq: 22, Kept: event("while asked again"), Expires: until})
	answer()
	keep("while it may be missed", 23, true)
	check("who waited then, and was answered since, has not", "while it may be missed", "while it may be missed")
	publish("before it may be missed")
	d.Missing(c)
	keep("before it may be missed", 24, true)
	check("who was answered before that has it", "before it may be missed")
	d.Watched(c, &channels.State{Seq: 24, Kept: event("before it may be missed"), Expires: until})
	answer()
	publish("before a registration")
	d.Restate()
	publish("behind it")
	keep("before a registration", 25, true)
	keep("behind it", 26, true)
	check("and before that", "behind it")

	back := func(seq uint64, kept string, partial bool) {
		d.Watched(c, &channels.State{Seq: seq, Kept: event(kept), Expires: until, Partial: partial})
	}
	publish("on its way")
	d.Cut()
	publish("alone")
	publish("alone, the last")
	d.Restate()
	back(30, "while asked again", true)
	check("what was published in an outage is on its way", "alone, the last")
	keep("theirs of the outage", 31, false)
	keep("on its way", 32, true)
	keep("alone", 33, true)
	check("and behind everything else", "alone, the last", "theirs of the outage")
	keep("alone, the last", 34, true)
	keep("next", 35, false)
	check("until it has its place", "next", "next")
	publish("heard")
	d.Cut()
	d.Restate()
	back(40, "heard", true)
	keep("after it", 41, false)
	check("the state may have it", "after it", "after it")
	d.Cut()
	publish("dropped")
	d.Restate()
	back(41, "after it", true)
	check("it may have been lost", "dropped")
	back(41, "after it", false)
	check("the whole state says so", "after it")
}

func TestUsersInACluster(t *testing.T) {
	s := &stated{}
	u := channels.NewUsers(s.told)
	u.Connect(s)
	watch := func(want channels.Watched) func() {
		return func() {
			t.Helper()
			got := u.Watch("ann", 1)
			if got.Online != want.Online || got.Waiting != want.Waiting {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
	}
	s.run(t, []step{
		{"signing in asks", func() { u.SignIn("ann", 0) }, "watch ann, hold ann 1"},
		{"a watcher waits for the same answer", watch(channels.Watched{Waiting: true}), ""},
		{"an edge before the answer is part of it", func() { u.Edge("ann", true) }, ""},
		{"the answer", func() { u.Answered("ann", true, true) }, "ann online true, settled ann 11"},
		{"one that does not say", func() { u.Answered("ann", false, false) }, ""},
		{"the next watcher knows", watch(channels.Watched{Online: true}), ""},
		{"signing out is decided by the cluster", func() { u.SignOut("ann", 0, true) }, "hold ann 0"},
		{"which says so", func() { u.Edge("ann", false); u.Edge("ann", false) }, "ann online false"},
		{"one stops to watch", func() { u.Unwatch("ann", 1, false) }, ""},
		{"the last one stops to watch", func() { u.Unwatch("ann", 1, true) }, "unwatch ann"},
		{"a new one", watch(channels.Watched{Waiting: true}), "watch ann"},
		{"leaves before the answer", func() { u.Unwatch("ann", 1, true) }, ""},
		{"which ends the watch", func() { u.Answered("ann", true, true) }, "settled ann 0, unwatch ann"},
		{"bob waits", func() { u.SignIn("bob", 2) }, "watch bob, hold bob 1"},
		{"and does not during an outage", u.Cut, "settled bob 100"},
		{"when somebody watches", func() { u.Watch("bob", 1) }, ""},
		{"his going is decided here", func() { u.SignOut("bob", 2, true) }, "hold bob 0, bob online false"},
		{"and his coming", func() { u.SignIn("bob", 2) }, "hold bob 1, bob online true"},
		{"carl comes and goes", func() { u.SignIn("carl", 2); u.SignOut("carl", 2, true) }, "hold carl 1, hold carl 0, unwatch carl"},
		{"late answers and edges are nothing", func() { u.Answered("bob", false, true); u.Edge("bob", false) }, ""},
		{"everything is stated again", func() { u.Restate(); slices.Sort(s.log) }, "hold bob 1, hold carl 0, watch bob"},
		{"who comes now waits", func() { u.Watch("bob", 1) }, ""},
		{"the state is as it was", func() { u.Answered("bob", true, true) }, "settled bob 110"},
	})
}

func TestASubscriptionWaitsWhileMessagesMayBeMissed(t *testing.T) {
	d, s := connected()
	subscribe := func(waiting bool) func() {
		return func() {
			if got := d.Subscribe("c", 1, epoch).Waiting; got != waiting {
				t.Errorf("waiting is %v, want %v", got, waiting)
			}
		}
	}
	s.run(t, []step{
		{"the first asks", subscribe(true), "watch c, hold c 1"},
		{"the answer", func() { d.Watched("c", nil) }, "settled c 10"},
		{"the bus is lost", func() { d.Missing("c") }, ""},
		{"the second waits", subscribe(true), "hold c 2"},
		{"one leaves", func() { d.Unsubscribe("c", 1, false) }, "hold c 1"},
		{"the other too: the answer comes yet", func() { d.Unsubscribe("c", 1, true) }, "hold c 0"},
		{"and ends the watch", func() { d.Watched("c", nil) }, "unwatch c"},
	})
	u := channels.NewUsers(s.told)
	u.Connect(s)
	s.run(t, []step{
		{"ann signs in", func() { u.SignIn("ann", 1) }, "watch ann, hold ann 1"},
		{"the answer for ann", func() { u.Answered("ann", true, true) }, "settled ann 10"},
		{"the bus is lost again", func() { u.Missing("ann") }, ""},
		{"a watcher waits", func() { u.Watch("ann", 2) }, ""},
		{"the answer again", func() { u.Answered("ann", true, true) }, "settled ann 110"},
	})
}

func TestAStateThatMayLackNodesTakesNobodyAway(t *testing.T) {
	d, s := connected()
	join := func() { d.Join("presence-c", 1, user("ann"), 0, nil, epoch) }
	part := state(2, "ann")
	part.Partial = true
	s.run(t, []step{
		{"ann joins", join, "watch presence-c, hold presence-c 1"},
		{"bob is elsewhere", func() { d.Watched("presence-c", state(1, "bob")) }, "seat ann"},
		{"ann is added", func() { d.MemberAdded("presence-c", user("ann"), 2); d.Seated("presence-c", "ann") }, "added ann, settled presence-c ann 10"},
		{"the cluster forgets everything", d.Restate, "hold presence-c 1, seat ann, watch presence-c"},
		{"a state without bob's node", func() { d.Watched("presence-c", part) }, ""},
		{"bob's node is back", func() { d.MemberAdded("presence-c", user("bob"), 3) }, ""},
		{"the whole state", func() { d.Watched("presence-c", state(4, "ann", "bob")) }, ""},
		{"bob has left", func() { d.Watched("presence-c", state(5, "ann")) }, "removed bob"},
	})
}

// TestWhoLeftALargeChannelIsTakenBack: many may leave one channel in an outage.
func TestWhoLeftALargeChannelIsTakenBack(t *testing.T) {
	d, s := connected()
	const c, users = "presence-c", 5000
	d.Subscribe(c, 0, epoch)
	d.Watched(c, state(1))
	for i := range users {
		id := fmt.Sprint("user", i)
		_, _, _ = d.Join(c, 0, user(id), 0, nil, epoch)
		d.MemberAdded(c, user(id), uint64(i+2))
		d.Seated(c, id)
	}
	d.Cut()
	for round := range 2 { // the second time nothing new is remembered
		for i := range users {
			id := fmt.Sprint("user", i)
			if round > 0 {
				_, _, _ = d.Join(c, 0, user(id), 0, nil, epoch)
			}
			d.Leave(c, 0, false, id)
		}
	}
	s.log = nil
	d.Restate()
	unseated := 0
	for _, said := range s.log {
		if strings.HasPrefix(said, "unseat ") {
			unseated++
		}
	}
	if unseated != users {
		t.Errorf("%d of %d who left are taken back", unseated, users)
	}
}

// TestWhoLeftJustBeforeAnOutageIsGone: the cluster may not have heard it, and cannot
// say so. Who is present through another node too stays.
func TestWhoLeftJustBeforeAnOutageIsGone(t *testing.T) {
	d, s := connected()
	const c = "presence-c"
	join := func(id string) func() {
		return func() { _, _, _ = d.Join(c, 0, user(id), 0, nil, epoch) }
	}
	leave := func(id string) func() { return func() { d.Leave(c, 0, false, id) } }
	s.run(t, []step{
		{"ann", join("ann"), "watch presence-c, hold presence-c 1"},
		{"the roster", func() { d.Watched(c, state(1, "bob", "cyd")) }, "seat ann"},
		{"her seat", func() { d.MemberAdded(c, user("ann"), 2); d.Seated(c, "ann"); d.Revisit(c, "ann", nil, epoch) }, "added ann, settled presence-c ann 1"},
		{"bob, who is elsewhere too", join("bob"), "hold presence-c 2, seat bob"},
		{"his seat", func() { d.Seated(c, "bob") }, "settled presence-c bob 1"},
		{"he leaves", leave("bob"), "unseat bob, hold presence-c 1"},
		{"and is present elsewhere", func() { d.Unseated(c, "bob") }, ""},
		{"cyd", join("cyd"), "hold presence-c 2, seat cyd"},
		{"her seat", func() { d.Seated(c, "cyd") }, "settled presence-c cyd 1"},
		{"she leaves", leave("cyd"), "unseat cyd, hold presence-c 1"},
		{"and nobody answers", d.Cut, "removed cyd"},
		{"it is said again", d.Restate, "unseat cyd, hold presence-c 1, seat ann, watch presence-c"},
		{"the state", func() { d.Watched(c, state(9, "ann", "bob")) }, ""},
		{"dan", join("dan"), "hold presence-c 2, seat dan"},
		{"comes, is seen, and leaves before the answer", func() { d.MemberAdded(c, user("dan"), 10); leave("dan")() }, "added dan, hold presence-c 1"},
		{"which does not come either", d.Cut, "removed dan"},
	})
}
