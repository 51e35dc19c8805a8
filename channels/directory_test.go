package channels_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"resound/channels"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// either takes a publication, kept or not.
func either(emit channels.Emit) func(channels.Interest, uint64, bool) {
	return func(to channels.Interest, seq uint64, _ bool) { emit(to, seq) }
}

// nobody fails the test when a publication goes to somebody.
func nobody(t *testing.T) channels.Emit {
	return func(to channels.Interest, seq uint64) {
		t.Helper()
		if to != 0 {
			t.Errorf("number %d went to reactors %b, want none", seq, to)
		}
	}
}

// emission is a number and who gets it.
type emission struct {
	to  channels.Interest
	seq uint64
}

func keep(into *[]emission) channels.Emit {
	return func(to channels.Interest, seq uint64) { *into = append(*into, emission{to, seq}) }
}

// told keeps what a directory tells of its members.
type told struct {
	channels.NoEdges
	edges []emission
	gone  []string // who left
}

func (e *told) MemberAdded(_ string, _ *channels.Member, to channels.Interest, seq uint64) {
	e.edges = append(e.edges, emission{to, seq})
}

func (e *told) MemberRemoved(_ string, m *channels.Member, to channels.Interest, seq uint64) {
	e.edges = append(e.edges, emission{to, seq})
	e.gone = append(e.gone, m.ID)
}

func (e *told) last() emission { return e.edges[len(e.edges)-1] }

func user(id string) *channels.Member {
	return &channels.Member{ID: id, IDJSON: `"` + id + `"`, Info: "null"}
}

func ids(members []*channels.Member) []string {
	out := []string{}
	for _, m := range members {
		out = append(out, m.ID)
	}
	return out
}

func TestInterest(t *testing.T) {
	d := channels.NewDirectory(nil)
	for i, step := range []struct {
		name string
		do   func()
		want channels.Interest
	}{
		{"a vacant channel interests nobody", func() {}, 0},
		{"a subscriber interests its reactor", func() { d.Subscribe("a", 3, epoch) }, 1 << 3},
		{"a second one there changes nothing", func() { d.Subscribe("a", 3, epoch) }, 1 << 3},
		{"the last reactor that fits", func() { d.Subscribe("a", channels.MaxReactors-1, epoch) }, 1<<3 | 1<<63},
		{"another channel is apart", func() { d.Subscribe("b", 5, epoch) }, 1<<3 | 1<<63},
		{"one of two left", func() { d.Unsubscribe("a", 3, false) }, 1<<3 | 1<<63},
		{"the reactor's last left", func() { d.Unsubscribe("a", 3, true) }, 1 << 63},
		{"the node's last left", func() { d.Unsubscribe("a", 63, true) }, 0},
	} {
		step.do()
		got := d.Interest("a")
		if got != step.want {
			t.Errorf("step %d: %s: got %b, want %b", i, step.name, got, step.want)
		}
		for reactor := range channels.MaxReactors {
			if has := got.Has(reactor); has != (step.want>>reactor&1 == 1) {
				t.Errorf("step %d: %s: reactor %d is in %b: %v", i, step.name, reactor, got, has)
			}
		}
	}
}

func TestOccupiedAndVacatedComeOnce(t *testing.T) {
	d := channels.NewDirectory(nil)
	for range 3 { // a channel comes and goes as often as it likes
		for i := range 4 {
			if got, want := d.Subscribe("a", i%2, epoch).Occupied, i == 0; got != want {
				t.Errorf("subscription %d: occupied is %v, want %v", i, got, want)
			}
		}
		if got := d.Channel("a", epoch); got.Subscriptions != 4 || !got.Occupied() {
			t.Errorf("got %+v, want 4 subscriptions", got)
		}
		for i := range 4 {
			if got, want := d.Unsubscribe("a", i%2, i >= 2), i == 3; got != want {
				t.Errorf("unsubscription %d: vacated is %v, want %v", i, got, want)
			}
		}
		if got := d.Channel("a", epoch); got != (channels.Occupancy{}) {
			t.Errorf("a vacant channel has %+v", got)
		}
	}
	if d.Unsubscribe("a", 0, true) {
		t.Error("a vacant channel was vacated")
	}
}

func TestChannelsByPrefix(t *testing.T) {
	d := channels.NewDirectory(nil)
	for i := range 100 {
		for range i%3 + 1 {
			d.Subscribe(fmt.Sprint("room-", i), 0, epoch)
		}
	}
	d.Join("presence-room", 0, user("u"), 0, nil, epoch)
	d.Join("presence-room", 0, user("u"), 0, nil, epoch)
	d.Publish("room-cached-and-vacant", &channels.CachedEvent{}, epoch.Add(time.Hour), either(nobody(t)))
	for _, row := range []struct {
		prefix        string
		want          int
		subscriptions int
	}{
		{"", 101, 201},
		{"room-", 100, 199},
		{"room-9", 11, 20},
		{"room-99", 1, 1},
		{"presence-", 1, 2},
		{"nothing-", 0, 0},
	} {
		t.Run("prefix "+row.prefix, func(t *testing.T) {
			got := d.Channels(row.prefix)
			sum := 0
			for _, c := range got {
				sum += c.Subscriptions
				if want := d.Channel(c.Name, epoch); c.Occupancy != want {
					t.Errorf("%s: got %+v, want %+v", c.Name, c.Occupancy, want)
				}
			}
			if len(got) != row.want || sum != row.subscriptions {
				t.Errorf("got %d channels with %d subscriptions, want %d with %d", len(got), sum, row.want, row.subscriptions)
			}
		})
	}
}

func TestJoinAndLeave(t *testing.T) {
	e := &told{}
	d := channels.NewDirectory(e)
	join := func(reactor int, m *channels.Member) (channels.Subscribed, []string) {
		t.Helper()
		s, members, err := d.Join("presence-a", reactor, m, 0, nil, epoch)
		if err != nil {
			t.Fatal(err)
		}
		return s, ids(members)
	}
	leave := func(reactor int, last bool, id string) (vacated bool, gone []string) {
		e.gone = nil
		return d.Leave("presence-a", reactor, last, id), e.gone
	}

	ann, roster := join(0, user("ann"))
	if !ann.First || !ann.Occupied || !slices.Equal(roster, []string{"ann"}) {
		t.Errorf("ann: got %+v with %q", ann, roster)
	}
	again, roster := join(1, user("ann"))
	if again.First || again.Occupied || !slices.Equal(roster, []string{"ann"}) {
		t.Errorf("ann's second tab: got %+v with %q", again, roster)
	}
	bob, roster := join(1, user("bob"))
	if !bob.First || bob.Occupied || !slices.Equal(roster, []string{"ann", "bob"}) {
		t.Errorf("bob: got %+v with %q", bob, roster)
	}
	edges := e.edges
	if len(edges) != 2 || edges[0].to != 1 || edges[1].to != 0b11 {
		t.Fatalf("got edges %v, want ann's to reactor 0 and bob's to both", edges)
	}
	if ann.Since != edges[0].seq || again.Since != edges[0].seq || bob.Since != edges[1].seq || edges[1].seq <= edges[0].seq {
		t.Errorf("numbers %d, %d and %d of edges %v", ann.Since, again.Since, bob.Since, edges)
	}
	if got := d.Channel("presence-a", epoch); got.Users != 2 || got.Subscriptions != 3 {
		t.Errorf("got %+v, want 2 users with 3 subscriptions", got)
	}

	if vacated, gone := leave(0, true, "ann"); vacated || gone != nil {
		t.Errorf("one of ann's tabs: vacated %v, gone %q", vacated, gone)
	}
	if vacated, gone := leave(1, false, "nobody"); vacated || gone != nil {
		t.Errorf("a stranger: vacated %v, gone %q", vacated, gone)
	}
	join(1, user("cyd")) // makes up for the stranger's subscription
	if vacated, gone := leave(1, false, "ann"); vacated || !slices.Equal(gone, []string{"ann"}) {
		t.Errorf("ann: vacated %v, gone %q", vacated, gone)
	}
	if got := e.last().to; got != 0b10 {
		t.Errorf("ann's leaving went to reactors %b, want 10", got)
	}
	if members, ok := d.Members("presence-a"); !ok || !slices.Equal(ids(members), []string{"bob", "cyd"}) {
		t.Errorf("got members %q, %v", ids(members), ok)
	}
}

func TestTheLastMemberVacates(t *testing.T) {
	e := &told{}
	d := channels.NewDirectory(e)
	if _, _, err := d.Join("presence-a", 2, user("ann"), 0, nil, epoch); err != nil {
		t.Fatal(err)
	}
	if vacated := d.Leave("presence-a", 2, true, "ann"); !vacated || len(e.gone) != 1 {
		t.Errorf("vacated %v with %d edges, want one", vacated, len(e.gone))
	}
	if got := e.last(); got.to != 0 || got.seq <= e.edges[0].seq {
		t.Errorf("number %d went to reactors %b, want one above %d to none", got.seq, got.to, e.edges[0].seq)
	}
	if members, ok := d.Members("presence-a"); ok || members != nil {
		t.Errorf("a vacant channel has members %q", ids(members))
	}
}

func TestFirstInfoStays(t *testing.T) {
	d := channels.NewDirectory(nil)
	first := &channels.Member{ID: "5", IDJSON: "5", Info: `{"name":"a"}`}
	for _, m := range []*channels.Member{first, {ID: "5", IDJSON: `"5"`, Info: `{"name":"b"}`}} {
		if _, _, err := d.Join("presence-a", 0, m, 0, nil, epoch); err != nil {
			t.Fatal(err)
		}
	}
	members, _ := d.Members("presence-a")
	if len(members) != 1 || members[0] != first {
		t.Errorf("got %+v, want only %+v", members, first)
	}
}

func TestRosterFull(t *testing.T) {
	e := &told{}
	d := channels.NewDirectory(e)
	for i, step := range []struct {
		name, id string
		max      int
		want     error
	}{
		{"the first of two", "ann", 2, nil},
		{"the second of two", "bob", 2, nil},
		{"a third is refused", "cyd", 2, channels.ErrRosterFull},
		{"a member's second tab is not", "ann", 2, nil},
		{"no limit", "cyd", 0, nil},
		{"a limit lowered later counts those inside", "dan", 2, channels.ErrRosterFull},
	} {
		before := d.Channel("presence-a", epoch)
		edges := len(e.edges)
		kept := []*channels.Member{user("kept")}
		_, members, err := d.Join("presence-a", i%3, user(step.id), step.max, kept, epoch)
		if !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
		if step.want != nil && (d.Channel("presence-a", epoch) != before || len(members) != 1) {
			t.Errorf("%s: the refused left %+v, was %+v", step.name, d.Channel("presence-a", epoch), before)
		}
		if step.want != nil && len(e.edges) != edges {
			t.Errorf("%s: the refused was announced", step.name)
		}
		if members[0] != kept[0] {
			t.Errorf("%s: what was in the slice is gone", step.name)
		}
	}
}

func TestRosterKeepsTheOrderOfJoining(t *testing.T) {
	d := channels.NewDirectory(nil)
	want := []string{}
	for i := range 300 {
		id := fmt.Sprint("user-", i)
		if _, _, err := d.Join("presence-a", 0, user(id), 0, nil, epoch); err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
		if i%3 != 0 { // many holes, squeezed out several times
			gone := want[len(want)/2]
			want = slices.Delete(want, len(want)/2, len(want)/2+1)
			d.Leave("presence-a", 0, false, gone)
		}
		members, _ := d.Members("presence-a")
		if got := ids(members); !slices.Equal(got, want) {
			t.Fatalf("after %d: got %q, want %q", i, got, want)
		}
	}
}

func TestCachedEvents(t *testing.T) {
	d := channels.NewDirectory(nil)
	one, two := &channels.CachedEvent{Name: `"one"`}, &channels.CachedEvent{Name: `"two"`}
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }

	d.Publish("cache-a", one, at(10), either(nobody(t))) // nobody is subscribed
	for _, row := range []struct {
		name string
		now  int
		want *channels.CachedEvent
		left time.Duration
	}{
		{"kept though the channel is vacant", 0, one, 10 * time.Second},
		{"kept until just before", 9, one, time.Second},
		{"expired", 10, nil, 0},
	} {
		got := d.Channel("cache-a", at(row.now))
		if got.Cached != row.want || got.CachedFor != row.left || got.Occupied() {
			t.Errorf("%s: got %+v", row.name, got)
		}
	}

	before := d.Subscribe("cache-a", 1, at(0))
	if before.Cached != one {
		t.Errorf("a subscriber got %+v, want the event of the vacant channel", before.Cached)
	}
	var numbers []emission
	d.Publish("cache-a", two, at(20), either(keep(&numbers)))
	if len(numbers) != 1 || numbers[0].to != 0b10 || numbers[0].seq <= before.Since {
		t.Fatalf("got %v, want one number above %d to reactor 1", numbers, before.Since)
	}
	after := d.Subscribe("cache-a", 2, at(19))
	if after.Cached != two || after.Since != numbers[0].seq {
		t.Errorf("got %+v, want the second event and since %d", after, numbers[0].seq)
	}
	if got := d.Subscribe("cache-a", 2, at(20)).Cached; got != nil {
		t.Errorf("got expired %+v", got)
	}

	d.Publish("cache-b", one, at(30), either(nobody(t)))
	for _, row := range []struct{ now, left int }{{0, 2}, {19, 2}, {20, 1}, {29, 1}, {30, 0}} {
		if got := d.Expire(at(row.now)); got != row.left {
			t.Errorf("at %d: %d events are left, want %d", row.now, got, row.left)
		}
	}
}

// TestNumbersRiseOverVacancy holds what waits in a mailbox since before a channel
// was vacated against its next subscriber.
func TestNumbersRiseOverVacancy(t *testing.T) {
	e := &told{}
	d := channels.NewDirectory(e)
	for range 3 {
		s, _, err := d.Join("presence-a", 0, user("ann"), 0, nil, epoch)
		if err != nil {
			t.Fatal(err)
		}
		for _, edge := range e.edges[:len(e.edges)-1] {
			if edge.seq >= s.Since {
				t.Errorf("edge %d is not older than the subscriber of %d", edge.seq, s.Since)
			}
		}
		d.Leave("presence-a", 0, true, "ann")
	}
}
