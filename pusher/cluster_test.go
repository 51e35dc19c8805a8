package pusher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"resound/channels/cluster"
)

// TestCountsOfAClusterArePaced: above 100 subscriptions the nodes together tell
// the count once in 5 s, and the last one is the total.
func TestCountsOfAClusterArePaced(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 3, 1)
	var conns []*fakeConn
	subscribe := func() {
		c := f.Open("k", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		conns = append(conns, c)
	}
	for range 101 {
		subscribe()
	}
	f.pump()
	first := conns[0]
	told := func() (counts []string) {
		f.pump()
		for _, payload := range first.got {
			if strings.Contains(payload, "subscription_count") {
				counts = append(counts, payload)
			}
		}
		first.got = nil
		return counts
	}
	if got := told(); len(got) != 101 {
		t.Fatalf("%d counts up to 101 subscriptions, want each", len(got))
	}
	for range 30 {
		subscribe()
	}
	if got := told(); len(got) != 0 {
		t.Errorf("%q at once above 100 subscriptions", got)
	}
	for range 3 {
		f.Advance(time.Second)
	}
	if got := told(); len(got) != 0 {
		t.Errorf("%q before 5 s are over", got)
	}
	for range 20 {
		f.Advance(time.Second)
	}
	got := told()
	if len(got) == 0 || len(got) > 4 || !strings.Contains(got[len(got)-1], `\":131}`) {
		t.Errorf("got %q in 20 s, want the total, and 4 at most", got)
	}
}

// hookList notes webhooks in the order they are told.
type hookList struct{ hooks []Hook }

func (l *hookList) Publish(_ *App, h Hook) { l.hooks = append(l.hooks, h) }

// TestWebhooksOfCountsAreNumbered, whichever nodes tell: so that an outbox can leave out
// what was overtaken.
func TestWebhooksOfCountsAreNumbered(t *testing.T) {
	var hooks hookList
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 2, 0, func(o *Options) { o.Webhooks = &hooks })
	for range 6 { // at one node after the other
		f.Open("k", "").Send(`{"event":"pusher:subscribe","data":{"channel":"room"}}`)
		f.pump()
	}
	var n []uint64
	for _, h := range hooks.hooks {
		if h.Name == HookSubscriptionCount {
			n = append(n, h.Number)
		}
	}
	if len(n) != 6 || n[0] == 0 || !slices.IsSorted(n) || len(slices.Compact(n)) != 6 {
		t.Errorf("got numbers %v, want 6 that rise", n)
	}
}

// TestWebhooksOfEdgesNameWhoTellsThem, so that an outbox can leave out what fell to
// another node.
func TestWebhooksOfEdgesNameWhoTellsThem(t *testing.T) {
	var hooks hookList
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 1, 0, func(o *Options) { o.Webhooks = &hooks })
	c := cluster.Channel{App: "1", Name: "presence-a"}
	f.nodes[0].node.Deliverer().Decided(cluster.Edge{Channel: c, Kind: cluster.MemberRemoved, Member: cluster.Member{ID: "ann"}, ID: "7-8", Teller: "node:1"})
	want := []Hook{{ID: "7-8", Teller: "node:1", Name: HookMemberRemoved, Channel: "presence-a", UserID: "ann"}}
	if !slices.Equal(hooks.hooks, want) {
		t.Errorf("got %+v, want %+v", hooks.hooks, want)
	}
}

// TestSubscriptionsThatWaitAreCounted: a subscription that waits for the cluster is
// held from the start, by its node, and gone once when it ends, waiting or not.
func TestSubscriptionsThatWaitAreCounted(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	expect := func(when string, want int64) {
		t.Helper()
		if got := f.nodes[0].app.Stats().Subscriptions; got != want {
			t.Errorf("%s: %d subscriptions, want %d", when, got, want)
		}
	}
	subscribe := func(channel string) *fakeConn {
		c := f.nodes[0].Open("k", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`)
		return c
	}
	stays, leaves := subscribe("news"), subscribe("cache-news")
	expect("while they wait", 2)
	f.pump()
	expect("when they are answered", 2)
	stays.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	leaves.Send(`{"event":"pusher:unsubscribe","data":{"channel":"cache-news"}}`)
	expect("after one ended", 1)
	subscribe("other").Drop()
	stays.Drop()
	f.pump()
	expect("after all ended", 0)
}

// TestTheLastCountOfANodeIsTold: a node whose own subscribers all left while their
// count was held back tells it all the same, and then forgets the channel.
func TestTheLastCountOfANodeIsTold(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 2, 0)
	here, there := f.nodes[0], f.nodes[1]
	subscribe := func(n *Fake) *fakeConn {
		c := n.Open("k", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		return c
	}
	var first *fakeConn
	for range 110 {
		first = subscribe(there)
	}
	subscribe(here).Drop()
	f.pump()
	first.got = nil
	for range 12 {
		f.Advance(time.Second)
	}
	last := ""
	for _, payload := range first.got {
		if strings.Contains(payload, "subscription_count") {
			last = payload
		}
	}
	if !strings.Contains(last, `\":110}`) {
		t.Errorf("the last count is %q, want 110", last)
	}
	for _, n := range f.nodes {
		if left := len(n.app.counts.paces); left != 0 {
			t.Errorf("%d channels are still paced", left)
		}
	}
}

// TestACountIsToldByOneNode: when several nodes hold a count back, the first to tell
// it tells it for all. Their seconds begin at different moments.
func TestACountIsToldByOneNode(t *testing.T) {
	hooks := &recordedHooks{}
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 3, 0, func(o *Options) { o.Webhooks = hooks })
	var first *fakeConn
	for i := range 150 {
		n := f.nodes[i%3]
		c := n.Open("k", "")
		n.say(c, `{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		f.pump()
		if first == nil {
			first = c
		}
	}
	first.got = nil
	hooks.take()
	for range 30 {
		f.clock.Add(1)
		for _, n := range f.nodes {
			n.node.Recount()
			f.pump()
		}
	}
	if want := `{"event":"pusher_internal:subscription_count","data":"{\"subscription_count\":150}","channel":"news"}`; len(first.got) != 1 || first.got[0] != want {
		t.Errorf("got %q in 30 s, want once %s", first.got, want)
	}
	told := 0
	for _, h := range hooks.take() {
		if h.Name == HookSubscriptionCount && h.Subscriptions == 150 {
			told++
		}
	}
	if told != 1 {
		t.Errorf("a webhook tells it %d times", told)
	}
}

// TestAnOlderCountStandsForNoLaterOne: a node that holds back the count with which
// its last subscriber left tells it, though it hears one that is older.
func TestAnOlderCountStandsForNoLaterOne(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 2, 0)
	here, there := f.nodes[0], f.nodes[1]
	subscribe := func(n *Fake) *fakeConn {
		c := n.Open("k", "")
		n.say(c, `{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		f.pump()
		return c
	}
	var first *fakeConn
	for range 110 {
		first = subscribe(there)
	}
	f.Advance(20 * time.Second)
	f.Advance(20 * time.Second)
	subscribe(here).Drop() // 111 is told at once, 110 held back
	f.pump()
	here.node.Deliverer().Deliver(cluster.Publication{
		Channel: cluster.Channel{App: "1", Name: "news"}, Payload: appendCount(nil, "news", 111), Counted: 1,
	}, false)
	for range 12 {
		f.Advance(time.Second)
	}
	if got := first.got[len(first.got)-1]; !strings.Contains(got, `\":110}`) {
		t.Errorf("the last count is %s, want 110", got)
	}
}

// TestEventsOfOtherNodesAreShedUnderOverload: a node that is behind gives up what
// others publish, and counts it. Counts and edges it does not, as nobody tells them again.
func TestEventsOfOtherNodesAreShedUnderOverload(t *testing.T) {
	const most = 4
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{SubscriptionCount: true}}, 2, 0,
		func(o *Options) { o.MaxPendingPublications = most })
	here, there := f.nodes[0], f.nodes[1]
	c := here.Open("k", "")
	for _, channel := range []string{"news", "cache-news"} {
		here.say(c, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
	}
	here.signIn(c, "ann", "")
	f.pump()
	c.got = nil
	trigger := func(channel string) {
		if err := there.node.Trigger(there.app, Event{Channel: channel, Name: `"e"`, Data: `"d"`}); err != nil {
			t.Error(err)
		}
	}
	for range most + 3 {
		trigger("news")
	}
	trigger("cache-news")
	trigger("#server-to-user-ann")
	other := there.Open("k", "")
	there.say(other, `{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	f.pump()
	got := strings.Join(c.got, "\n")
	if n := strings.Count(got, `"e"`); n != most {
		t.Errorf("%d events arrived, want %d", n, most)
	}
	if !strings.Contains(got, `"{\"subscription_count\":2}"`) {
		t.Errorf("the count is not in %s", got)
	}
	if shed, refused := here.node.Shed(), here.node.Refused(); shed != 5 || refused != 0 {
		t.Errorf("%d shed and %d refused, want 5 and 0", shed, refused)
	}
}

// TestNothingIsSentToAUserWhoseSignInWaits: it is answered first.
func TestNothingIsSentToAUserWhoseSignInWaits(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	here := f.nodes[0]
	trigger := func(event string) {
		if err := here.node.Trigger(here.app, Event{Channel: "#server-to-user-ann", Name: event, Data: `"d"`}); err != nil {
			t.Error(err)
		}
		here.reactor.pumpSome()
	}
	f.hub.Pause(f.adapters[0])
	c := here.Open("k", "")
	c.got = nil
	here.signIn(c, "ann", "")
	trigger(`"before"`)
	f.hub.Resume(f.adapters[0])
	f.pump()
	trigger(`"after"`)
	if len(c.got) != 2 || !strings.Contains(c.got[0], "signin_success") || !strings.Contains(c.got[1], "after") {
		t.Errorf("got %q, want the answer and what was sent after it", c.got)
	}
}

// TestACacheChannelCatchesUpAfterAGap: subscribers of a node that was stopped, and
// registers again, get the last event they missed, but not one they asked not to get.
func TestACacheChannelCatchesUpAfterAGap(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	var conns [2]*fakeConn
	for i := range conns {
		conns[i] = f.nodes[0].Open("k", "")
		conns[i].Send(`{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
	}
	f.pump()
	gap := func(event, except string) {
		f.hub.Pause(f.adapters[0])
		f.hub.Fence(f.adapters[0])
		f.nodes[1].Trigger("cache-news", "lost", `"1"`, "")
		f.nodes[1].Trigger("cache-news", event, `"2"`, except)
		f.pump()
		for _, c := range conns {
			c.got = nil
		}
		f.hub.Resume(f.adapters[0])
		f.pump()
	}
	expect := func(c *fakeConn, want ...string) {
		t.Helper()
		if !slices.Equal(c.got, want) {
			t.Errorf("got %q, want %q", c.got, want)
		}
	}
	gap("first", "")
	first := `{"event":"first","data":"\"2\"","channel":"cache-news"}`
	expect(conns[0], first)
	expect(conns[1], first)
	gap("second", f.nodes[0].reactor.shard.socketID(conns[1].handle).String())
	expect(conns[0], strings.Replace(first, "first", "second", 1))
	expect(conns[1])
}

// TestCachedEventsOfAClusterAreBounded: what finds no room at the node that is told it is
// kept by nobody, and all clients have the same answer.
func TestCachedEventsOfAClusterAreBounded(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{MaxCachedBytes: 2000}}, 2, 0)
	const channels = 100
	trigger := func(event string) {
		for i := range channels {
			f.nodes[0].Trigger(fmt.Sprint("cache-", i), event, `"d"`, "")
		}
		f.pump()
	}
	trigger("e")
	kept := len(f.hub.Names())
	if kept == 0 || kept > 20 || uint64(channels-kept) != f.nodes[0].app.Stats().CacheDropped {
		t.Errorf("the cluster keeps %d events, want some", kept)
	}
	for i := range channels {
		var told [2]string
		for n, node := range f.nodes {
			c := node.Open("k", "")
			c.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"cache-%d"}}`, i))
			f.pump()
			told[n] = c.got[len(c.got)-1]
			c.Drop()
		}
		if told[0] != told[1] || strings.Contains(told[0], "cache_miss") != (i >= kept) {
			t.Errorf("channel %d of %d that are kept: %q", i, kept, told)
		}
	}
	f.nodes[0].Trigger("cache-0", strings.Repeat("e", 3000), `"d"`, "")
	f.pump()
	if got := len(f.hub.Names()); got != kept-1 {
		t.Errorf("%d events are kept after one that found no room took the place of another, want %d", got, kept-1)
	}
}

// TestAnEventThatFoundNoRoomHoldsNothingBack: the next one of another node is the last
// event here too.
func TestAnEventThatFoundNoRoomHoldsNothingBack(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{MaxCachedBytes: 2000}}, 2, 0)
	here, there := f.nodes[0], f.nodes[1]
	subscribe := func() *fakeConn {
		c := here.Open("k", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
		f.pump()
		return c
	}
	subscribe()
	here.Trigger("cache-news", strings.Repeat("e", 3000), "1", "")
	there.Trigger("cache-news", "small", "2", "")
	if got, want := subscribe().got, `{"event":"small","data":"2","channel":"cache-news"}`; got[len(got)-1] != want {
		t.Errorf("got %q, want %s", got[len(got)-1], want)
	}
}

// TestAnEventThatTheAnswerLacksComesBehindIt: who is answered with the state while an
// event of its own node is on its way gets that event, and nobody gets it twice.
func TestAnEventThatTheAnswerLacksComesBehindIt(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	here := f.nodes[0]
	channel := cluster.Channel{App: "1", Name: "cache-news"}
	subscribe := func() *fakeConn {
		c := here.Open("k", "")
		here.say(c, `{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
		return c
	}
	first := subscribe()
	f.pump()
	here.Trigger(channel.Name, "old", "1", "")
	first.got = nil

	here.node.Deliverer().Missing(channel)
	late := subscribe()
	late.got = nil
	f.hub.Pause(f.adapters[0])
	here.Trigger(channel.Name, "new", "2", "")
	here.node.Deliverer().Watched(channel, &cluster.Snapshot{Seq: 1, Kept: &cluster.Kept{
		Payload: []byte(`{"event":"old"}`), Name: `"old"`, Data: `"1"`, For: time.Minute, Seq: 1, Mine: true,
	}})
	f.pump()
	f.hub.Resume(f.adapters[0])
	f.pump()
	events := func(c *fakeConn) (got []string) {
		for _, payload := range c.got {
			got = append(got, strings.Split(payload, `"`)[3])
		}
		return got
	}
	if got, want := events(first), []string{"new"}; !slices.Equal(got, want) {
		t.Errorf("who was answered before: got %q, want %q", got, want)
	}
	if got, want := events(late), []string{"pusher_internal:subscription_succeeded", "old", "new"}; !slices.Equal(got, want) {
		t.Errorf("who is answered meanwhile: got %q, want %q", got, want)
	}
}

// TestAnEventWithoutRoomEndsWhatIsOnItsWay: whichever node an older event is on its way to.
func TestAnEventWithoutRoomEndsWhatIsOnItsWay(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: AppOptions{MaxCachedBytes: 2000}}, 2, 0)
	subscribe := func(n *Fake) string {
		c := n.Open("k", "")
		n.say(c, `{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
		f.pump()
		return c.got[len(c.got)-1]
	}
	subscribe(f.nodes[0])
	f.hub.Pause(f.adapters[0])
	f.nodes[1].Trigger("cache-news", "old", "1", "")
	f.hub.Settle()
	f.nodes[0].Trigger("cache-news", strings.Repeat("e", 3000), "2", "")
	f.hub.Resume(f.adapters[0])
	f.pump()
	for i, n := range f.nodes {
		if got := subscribe(n); !strings.Contains(got, "cache_miss") {
			t.Errorf("node %d: a new subscriber gets %s, want a miss", i, got)
		}
	}
}

// TestPresentAnywhere: webhooks that were held back ask whether the client is on
// any node.
func TestPresentAnywhere(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	here, there := f.nodes[0], f.nodes[1]
	join := func(n *Fake, user string) *fakeConn {
		c := n.Open("k", "")
		id := n.reactor.shard.socketID(c.handle).String()
		data := fmt.Sprintf(`{"user_id":%q}`, user)
		sig := n.app.Secret().AppendChannel(nil, id, "presence-a", data)
		c.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"presence-a","auth":"k:%s","channel_data":%q}}`, sig, data))
		f.pump()
		return c
	}
	ann, bob := join(here, "ann"), join(there, "bob")
	for _, row := range []struct {
		name string
		do   func()
		want string // channel, ann and bob, as seen here
	}{
		{"one on each node", func() {}, "true true true"},
		{"bob elsewhere", ann.Drop, "true false true"},
		{"nobody", bob.Drop, "false false false"},
	} {
		row.do()
		f.pump()
		n := here.node
		got := fmt.Sprint(n.Present(here.app, "presence-a", ""), n.Present(here.app, "presence-a", "ann"), n.Present(here.app, "presence-a", "bob"))
		if got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
	}
}
