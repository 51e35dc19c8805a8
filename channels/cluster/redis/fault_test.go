package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/channels/cluster"
)

// listener is a Deliverer that notes little and never blocks.
type listener struct {
	mu        sync.Mutex
	changed   sync.Cond
	delivered map[string][]string // channel -> payloads
	decided   []cluster.Edge
	watched   map[string]int
	missing   map[string]int
	seated    map[string]uint64
	degraded  bool
	restated  int
	onRestate func()
}

func newListener() *listener {
	l := &listener{delivered: make(map[string][]string), watched: make(map[string]int), missing: make(map[string]int), seated: make(map[string]uint64)}
	l.changed.L = &l.mu
	return l
}

func (l *listener) note(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.changed.Broadcast()
}

func (l *listener) Deliver(p cluster.Publication, _ bool) {
	l.note(func() { l.delivered[p.Channel.Name] = append(l.delivered[p.Channel.Name], string(p.Payload)) })
}

func (l *listener) Watched(c cluster.Channel, _ *cluster.Snapshot) {
	l.note(func() { l.watched[c.Name]++ })
}
func (l *listener) Missing(c cluster.Channel) { l.note(func() { l.missing[c.Name]++ }) }
func (l *listener) Edge(cluster.Edge)         {}
func (l *listener) Decided(e cluster.Edge)    { l.note(func() { l.decided = append(l.decided, e) }) }

func (l *listener) Seated(_ cluster.Channel, userID string, seq uint64) {
	l.note(func() { l.seated[userID] = seq })
}
func (l *listener) Unseated(cluster.Channel, string)     {}
func (l *listener) Counted(cluster.Channel, int, uint64) {}
func (l *listener) Terminate(_, _ string)                {}
func (l *listener) Degraded(degraded bool)               { l.note(func() { l.degraded = degraded }) }

func (l *listener) Restate() {
	l.note(func() { l.restated++ })
	if l.onRestate != nil {
		l.onRestate()
	}
}

// until waits for a condition under the listener's lock. It looks after every call
// of the adapter, and now and then for what no call tells.
func (l *listener) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				l.note(func() {})
			case <-stop:
				return
			}
		}
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
		l.changed.Wait()
	}
}

// join starts an adapter.
func join(t *testing.T, o Options) (*Adapter, *listener) {
	t.Helper()
	a, l := newAdapter(t, o), newListener()
	if err := a.Start(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	return a, l
}

func (s *server) options(t *testing.T) Options {
	o := testOptions(t)
	o.Addresses = []string{s.address()}
	return o
}

func named(name string) cluster.Channel { return cluster.Channel{App: "app", Name: name} }

// follow makes a watch that is made again when it must be, and waits for its answer.
func follow(t *testing.T, a *Adapter, l *listener, c cluster.Channel) {
	t.Helper()
	l.onRestate = func() { a.Watch(c, false) }
	a.Watch(c, false)
	l.until(t, "watched", func() bool { return l.watched[c.Name] > 0 })
}

func TestConnectionsKilledInMidPublishLoseAndRepeatNothing(t *testing.T) {
	s := startServer(t)
	// The publisher's connections are cut, the subscriber's are not: what is
	// published while nobody listens is missed, and meant to be.
	p := newProxy(t, s.address())
	o := s.options(t)
	o.Lease, o.Timeout = 10*time.Second, 5*time.Second // a busy test host is no outage
	subscriber, l := join(t, o)
	o.Addresses = []string{p.address()}
	publisher, _ := join(t, o)
	c := named("chat")
	follow(t, subscriber, l, c)
	const events = 20_000
	var want []string
	for i := range events {
		want = append(want, fmt.Sprint(i))
		publisher.Publish(cluster.Publication{Channel: c, Payload: []byte(want[i])})
		if i%2000 == 1999 {
			p.cut()
		}
	}
	l.until(t, "all events", func() bool { return len(l.delivered["chat"]) >= events })
	if got := l.delivered["chat"]; !slices.Equal(got, want) {
		for i := range got {
			if i >= len(want) || got[i] != want[i] {
				t.Fatalf("event %d: got %s; %d events in all", i, got[i], len(got))
			}
		}
	}
}

func TestStatementsOverKilledConnectionsAreDecidedOnce(t *testing.T) {
	s := startServer(t)
	p := newProxy(t, s.address())
	o := s.options(t)
	o.Addresses = []string{p.address()}
	a, l := join(t, o)
	c := named("presence-room")
	const users = 2000
	state := func() {
		for i := range users {
			a.Seat(c, cluster.Member{ID: fmt.Sprint("user", i), IDJSON: "1", Info: "{}"})
		}
	}
	l.onRestate = state
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond): // between two cuts
				p.cut()
			}
		}
	})
	for i := range users {
		a.Seat(c, cluster.Member{ID: fmt.Sprint("user", i), IDJSON: "1", Info: "{}"})
		if i%50 == 0 {
			l.until(t, "seated", func() bool { return l.degraded || i == 0 || len(l.seated) > 0 })
		}
	}
	close(stop)
	group.Wait()
	l.until(t, "all are seated", func() bool { return len(l.seated) == users && !l.degraded })
	members, err := a.Members(t.Context(), c)
	if err != nil || len(members) != users {
		t.Errorf("members: got %d, %v; want %d", len(members), err, users)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]bool)
	for _, e := range l.decided {
		if seen[e.Member.ID] {
			t.Errorf("%s was decided twice", e.Member.ID)
		}
		seen[e.Member.ID] = true
	}
	if l.restated == 0 && len(seen) != users {
		t.Errorf("decided: got %d, want %d", len(seen), users)
	}
}

func TestSubscriptionsComeBackAfterTheirConnectionWasKilled(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease, o.Timeout = 10*time.Second, 5*time.Second // a busy test host is no outage
	a, l := join(t, o)
	publisher, _ := join(t, o)
	for i := range 600 { // more than one batch
		a.Watch(named(fmt.Sprint("chat", i)), i%2 == 0)
	}
	l.until(t, "watched", func() bool { return len(l.watched) == 600 })
	s.do("CLIENT", "KILL", "TYPE", "pubsub")
	l.until(t, "answered again", func() bool {
		for i := range 600 {
			if name := fmt.Sprint("chat", i); l.watched[name] < 2 || l.missing[name] != 1 {
				return false
			}
		}
		return true
	})
	l.until(t, "not degraded", func() bool { return !l.degraded && l.restated == 0 })
	for i := range 600 {
		publisher.Publish(cluster.Publication{Channel: named(fmt.Sprint("chat", i)), Payload: []byte("x")})
	}
	l.until(t, "delivered", func() bool { return len(l.delivered) == 600 })
	unlocked(t, l, "the node says that it listens", a.bus.listens)
}

func TestARedisThatRestartsIsFoundAgain(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
	}{
		{"empty", nil},
		{"with what it had", []string{"--appendonly", "yes", "--appendfsync", "always"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t, test.args...)
			a, l := join(t, s.options(t))
			room, chat := named("presence-room"), named("chat")
			l.onRestate = func() {
				a.Seat(room, cluster.Member{ID: "ann", IDJSON: "1", Info: "{}"})
				a.Watch(chat, true)
			}
			l.onRestate()
			l.until(t, "stated", func() bool { return l.seated["ann"] != 0 && l.watched["chat"] == 1 })
			before := l.seated["ann"]
			l.note(func() { l.seated["ann"] = 0 })
			s.kill()
			l.until(t, "degraded", func() bool { return l.degraded })
			for i := range 10 {
				a.Publish(cluster.Publication{Channel: chat, Payload: fmt.Append(nil, i), Keep: time.Minute})
			}
			if got := a.Stats().Spooled; got != 10 {
				t.Errorf("spooled: got %d, want 10", got)
			}
			if err := s.start(); err != nil {
				t.Fatal(err)
			}
			l.until(t, "stated again", func() bool { return !l.degraded && l.seated["ann"] != 0 && l.watched["chat"] == 2 })
			if after := l.seated["ann"]; test.args == nil && after <= before {
				t.Errorf("numbers fell from %d to %d", before, after)
			}
			l.until(t, "the spool is empty", func() bool { return a.Stats().Spooled == 0 })
			o, err := a.Channel(t.Context(), chat)
			if err != nil || o.Kept == nil || string(o.Kept.Payload) != "9" {
				t.Errorf("kept: got %+v, %v", o.Kept, err)
			}
		})
	}
}

func TestARedisThatWasFlushedIsFilledAgain(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.options(t))
	room := named("presence-room")
	l.onRestate = func() { a.Seat(room, cluster.Member{ID: "ann", IDJSON: "1", Info: "{}"}) }
	l.onRestate()
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 })
	before := l.seated["ann"]
	s.do("FLUSHALL")
	s.do("SCRIPT", "FLUSH")
	l.until(t, "seated again", func() bool { return l.seated["ann"] > before })
	if a.Stats().Fenced != 1 {
		t.Errorf("fenced: got %d, want 1", a.Stats().Fenced)
	}
}

func TestScriptsThatRedisForgotAreSentAgain(t *testing.T) {
	s := startServer(t)
	a, l := join(t, s.options(t))
	c := named("cache-chat")
	follow(t, a, l, c)
	for i := range 50 {
		if i%10 == 0 {
			s.do("SCRIPT", "FLUSH")
		}
		a.Publish(cluster.Publication{Channel: c, Payload: fmt.Append(nil, i), Keep: time.Minute})
	}
	a.Seat(c, cluster.Member{ID: "ann"})
	l.until(t, "all came back", func() bool { return len(l.delivered[c.Name]) == 50 && l.seated["ann"] != 0 })
}

// atOnce has everything that is published meanwhile leave as one batch.
func (a *Adapter) atOnce(publish func()) {
	a.comeback.setDeaf(true)
	publish()
	a.comeback.setDeaf(false)
	a.release(false)
}

// TestOrderHoldsWhenScriptsAreForgotten: what needs no script does not overtake what does.
func TestOrderHoldsWhenScriptsAreForgotten(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, l := join(t, o)
	publisher, _ := join(t, o)
	c := named("cache-chat")
	follow(t, a, l, c)
	want := []string{"kept 0", "plain", "kept 1", "not kept", "kept 2"}
	publisher.atOnce(func() {
		for _, payload := range want {
			p := cluster.Publication{Channel: c, Payload: []byte(payload)}
			if strings.HasPrefix(payload, "kept") {
				p.Keep, p.Name, p.Data = time.Minute, `"e"`, `"d"`
			}
			p.Forget = payload == "not kept"
			publisher.Publish(p)
		}
		s.do("SCRIPT", "FLUSH")
	})
	unlocked(t, l, "sent", func() bool { return publisher.Stats().Spooled == 0 })
	publisher.Publish(cluster.Publication{Channel: c, Payload: []byte("last")})
	want = append(want, "last")
	l.until(t, "the last", func() bool { return slices.Contains(l.delivered[c.Name], "last") })
	if got := l.delivered[c.Name]; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// TestOrderHoldsWhenRedisIsFull: what it keeps no more is not overtaken by what it need not keep.
func TestOrderHoldsWhenRedisIsFull(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease = 30 * time.Second // no heartbeat meets a full Redis
	a, l := join(t, o)
	publisher, _ := join(t, o)
	c := named("cache-chat")
	follow(t, a, l, c)
	s.do("CONFIG", "SET", "maxmemory", "1")
	const events = 9
	var want []string
	publisher.atOnce(func() {
		for i := range events {
			want = append(want, fmt.Sprint(i))
			p := cluster.Publication{Channel: c, Payload: []byte(fmt.Sprint(i))}
			if i%3 > 0 {
				p.Keep, p.Name, p.Data = time.Minute, `"e"`, `"d"`
			}
			publisher.Publish(p)
		}
	})
	l.until(t, "all", func() bool { return len(l.delivered[c.Name]) == events })
	s.do("CONFIG", "SET", "maxmemory", "0")
	if got := l.delivered[c.Name]; !slices.Equal(got, want) {
		t.Errorf("delivered %q, want %q", got, want)
	}
}

// TestARepetitionEndsNothingThatWasKeptSince: a lane sends a batch again when it does not know
// whether it arrived.
func TestARepetitionEndsNothingThatWasKeptSince(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	a, l := join(t, o)
	publisher, _ := join(t, o)
	c := named("cache-chat")
	follow(t, a, l, c)
	topic := a.names.topic(c)
	lane, session := &publisher.lanes[bucketOf(topic)%laneCount], publisher.session.Load()
	unkept := &item{publication: cluster.Publication{Channel: c, Payload: []byte("not kept"), Forget: true}, topic: topic}
	send := func() {
		t.Helper()
		if err := lane.send(session, []*item{unkept}); err != nil {
			t.Fatal(err)
		}
	}
	send()
	a.Publish(cluster.Publication{Channel: c, Payload: []byte("kept"), Keep: time.Minute, Name: `"e"`, Data: `"d"`})
	l.until(t, "both", func() bool { return len(l.delivered[c.Name]) == 2 })
	send()
	if o, err := a.Channel(t.Context(), c); err != nil || o.Kept == nil {
		t.Errorf("kept: %v, %v; want the later one", o.Kept, err)
	}
}

func TestASlowRedisIsWaitedFor(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease, o.Timeout = 10*time.Second, 5*time.Second
	a, l := join(t, o)
	c := named("presence-room")
	s.do("CONFIG", "SET", "busy-reply-threshold", "10000")
	other := s.client()
	defer other.Close()
	slept := make(chan struct{})
	go func() {
		other.Do(context.Background(), other.B().Arbitrary("DEBUG", "SLEEP", "1").Build())
		close(slept)
	}()
	for i := range 1000 {
		a.Hold(c, i+1, true)
		a.Publish(cluster.Publication{Channel: c, Payload: []byte("x")})
	}
	a.Seat(c, cluster.Member{ID: "ann"})
	<-slept
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 })
	if l.restated != 0 || a.Stats().Reconnect != 0 {
		t.Error("a second of silence was taken for an outage")
	}
}

// TestARedisThatIsFullKeepsNothing: what it has no room to keep is told all the same, and
// what was kept before does not pass for the last event.
func TestARedisThatIsFullKeepsNothing(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	o.Lease = 30 * time.Second // no heartbeat meanwhile: Redis refuses that too
	a, l := join(t, o)
	publisher, heard := join(t, o)
	c := named("cache-chat")
	follow(t, a, l, c)
	follow(t, publisher, heard, c)
	event := func(payload string) cluster.Publication {
		return cluster.Publication{Channel: c, Payload: []byte(payload), Keep: time.Minute, Name: `"e"`, Data: `"d"`}
	}
	publisher.Publish(event("kept"))
	l.until(t, "kept", func() bool { return len(l.delivered[c.Name]) == 1 })
	s.do("CONFIG", "SET", "maxmemory", "1")
	publisher.Publish(event("not kept"))
	l.until(t, "told", func() bool { return len(l.delivered[c.Name]) == 2 })
	heard.until(t, "told its publisher too", func() bool { return len(heard.delivered[c.Name]) == 2 })
	unlocked(t, l, "counted", func() bool { return publisher.Stats().Unkept == 1 })
	if st := publisher.Stats(); st.Dropped != 0 {
		t.Errorf("stats: %+v, want nothing dropped", st)
	}
	if o, err := a.Channel(t.Context(), c); err != nil || o.Kept != nil {
		t.Errorf("kept: %+v, %v; want nothing rather than an old event", o.Kept, err)
	}
	s.do("CONFIG", "SET", "maxmemory", "0")
}

func TestARedisThatHangsIsAnOutage(t *testing.T) {
	s := startServer(t)
	p := newProxy(t, s.address())
	o := s.options(t)
	o.Addresses = []string{p.address()}
	a, l := join(t, o)
	p.set(func(p *proxy) { p.stalled = true })
	c := named("presence-room")
	a.Seat(c, cluster.Member{ID: "ann"})
	l.until(t, "degraded", func() bool { return l.degraded })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := a.Channel(ctx, c); err == nil {
		t.Error("a query was answered")
	}
	p.set(func(p *proxy) { p.stalled = false })
	l.until(t, "back", func() bool { return !l.degraded && l.restated == 1 })
}

func TestTheSpoolIsBoundedAndItsOverflowCounted(t *testing.T) {
	s := startServer(t)
	s.kill()
	o := s.options(t)
	o.SpoolPublications, o.SpoolBytes = 4*10, 4*100_000
	a, _ := join(t, o)
	c := named("chat")
	for range 25 {
		a.Publish(cluster.Publication{Channel: c, Payload: []byte("x")})
	}
	if st := a.Stats(); st.Spooled != 10 || st.Dropped != 15 {
		t.Errorf("by number: spooled %d and dropped %d, want 10 and 15", st.Spooled, st.Dropped)
	}
	b, _ := join(t, o)
	for range 3 {
		b.Publish(cluster.Publication{Channel: c, Payload: make([]byte, 40_000)})
	}
	if st := b.Stats(); st.Spooled != 2 || st.Dropped != 1 {
		t.Errorf("by bytes: spooled %d and dropped %d, want 2 and 1", st.Spooled, st.Dropped)
	}
}

func TestACleanerThatDiesIsReplaced(t *testing.T) {
	s := startServer(t)
	o := s.options(t)
	dead, l := join(t, o)
	dead.Seat(named("presence-room"), cluster.Member{ID: "ann"})
	l.until(t, "seated", func() bool { return l.seated["ann"] != 0 })
	// Somebody claims the incarnation and is never heard of again.
	name := incarnationName{dead.node, dead.incarnation.Load()}.String()
	dead.stop()
	<-dead.finished
	root := dead.names.root
	s.do("ZREM", root+":leases", name)
	now := time.Now().Add(time.Second).UnixMilli()
	s.do("ZADD", root+":claims", fmt.Sprint(now), name)
	_, survivor := join(t, o)
	survivor.until(t, "cleaned up", func() bool {
		return len(survivor.decided) == 1 && survivor.decided[0].Kind == cluster.MemberRemoved
	})
	for deadline := time.Now().Add(30 * time.Second); s.do("ZCARD", root+":claims") != s.do("ZCARD", "none"); {
		if time.Now().After(deadline) {
			t.Fatal("the claim was not given back")
		}
	}
}
