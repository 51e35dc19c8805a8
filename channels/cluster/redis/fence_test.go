package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"resound/channels/cluster"
)

// hooking is a listener that puts a record of each edge into a queue, as webhooks do.
type hooking struct {
	*listener
	queue *Queue
}

func (h *hooking) Decided(e cluster.Edge) {
	r := record(map[cluster.EdgeKind]string{cluster.MemberAdded: "+", cluster.MemberRemoved: "-"}[e.Kind] + e.Member.ID)
	r.ID, r.Teller = e.ID, e.Teller
	if err := h.queue.Put(r); err != nil && !errors.Is(err, ErrQueueClosed) { // the test is over
		panic(err)
	}
	h.listener.Decided(e)
}

// hook starts an adapter whose edges go into a queue.
func hook(t *testing.T, o Options) (*Adapter, *hooking) {
	t.Helper()
	a := newAdapter(t, o)
	h := &hooking{newListener(), openQueue(t, a, OutboxOptions{})}
	if err := a.Start(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	return a, h
}

// inStream returns the events of a queue's stream.
func (s *server) inStream(q *Queue) []string {
	s.t.Helper()
	return s.list("EVAL", `local list = {}
		for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do list[#list + 1] = entry[2][4] end
		return list`, "1", q.key)
}

// slowNode has decided that ann leaves, and nothing of it reaches the outbox.
type slowNode struct {
	proxy          *proxy // before the slow one
	slow, survivor *Adapter
	first, second  *hooking // of them
	channel        cluster.Channel
}

func startSlowNode(t *testing.T, s *server) *slowNode {
	t.Helper()
	n := &slowNode{proxy: newProxy(t, s.address()), channel: named("presence-room")}
	o := s.owed(t, -1)
	n.survivor, n.second = hook(t, o)
	o.Addresses = []string{n.proxy.address()}
	n.slow, n.first = hook(t, o)
	n.slow.Seat(n.channel, user("ann"))
	unlocked(t, n.first.listener, "the arrival", func() bool { return slices.Equal(s.inStream(n.first.queue), []string{"+ann"}) })
	emptied(t, s, n.first.listener)
	n.first.queue.turn <- struct{}{}
	n.slow.Unseat(n.channel, "ann")
	n.first.until(t, "decided", func() bool { return len(n.first.decided) == 2 })
	return n
}

func (n *slowNode) cutOff() {
	n.proxy.set(func(p *proxy) { p.down = true })
	n.proxy.cut()
}

// goOn lets the node come back, and its queue reach the outbox, with "end" behind the rest.
func (n *slowNode) goOn(t *testing.T) {
	t.Helper()
	n.proxy.set(func(p *proxy) { p.down = false })
	n.first.until(t, "back", func() bool { return n.first.restated > 0 })
	<-n.first.queue.turn
	put(t, n.first.queue, "end")
}

// TestAnEdgeOfASlowNodeIsNotTheLastWord: a node has decided a leave and is cut off, for
// longer than its lease, before its webhook is in the outbox.
func TestAnEdgeOfASlowNodeIsNotTheLastWord(t *testing.T) {
	for _, test := range []struct {
		name string
		back bool // the user comes back to another node meanwhile
		want string
	}{
		{"who came back is there", true, "+ann +ann end"},
		{"who did not is told of by the survivor alone", false, "+ann -ann end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startServer(t)
			n := startSlowNode(t, s)
			stream := func(what, want string) {
				t.Helper()
				unlocked(t, n.first.listener, what, func() bool { return strings.Join(s.inStream(n.first.queue), " ") == want })
			}
			n.cutOff()
			if test.back {
				n.survivor.Seat(n.channel, user("ann"))
			}
			stream("the survivor's word", strings.TrimSuffix(test.want, " end"))
			n.goOn(t)
			stream("what follows", test.want)
			emptied(t, s, n.second.listener)
			if told := toldOf(n.channel, n.first.listener, n.second.listener); !test.back && told[1].ID != told[2].ID {
				t.Errorf("ids of the leave: %s and %s", told[1].ID, told[2].ID)
			}
		})
	}
}

// TestAnEdgeThatWasRefusedIsNotForgotten: its node is back before the survivor has taken
// over what it has to tell, and must leave it to be told.
func TestAnEdgeThatWasRefusedIsNotForgotten(t *testing.T) {
	s := startServer(t)
	n := startSlowNode(t, s)
	n.survivor.cleaning <- struct{}{} // it fences, and gets no further
	n.cutOff()
	fences := n.first.queue.key + ":f"
	unlocked(t, n.second.listener, "fenced", func() bool { return len(s.list("ZRANGE", fences, "0", "-1")) == 1 })
	n.goOn(t)
	unlocked(t, n.first.listener, "all that it tells is stored", func() bool {
		n.slow.journal.mu.Lock()
		defer n.slow.journal.mu.Unlock()
		return slices.Contains(s.inStream(n.first.queue), "end") && !n.slow.journal.busy && len(n.slow.journal.told) == 0
	})
	<-n.survivor.cleaning
	unlocked(t, n.second.listener, "told", func() bool { return len(s.inStream(n.first.queue)) == 3 })
	if got, want := s.inStream(n.first.queue), []string{"+ann", "end", "-ann"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	emptied(t, s, n.second.listener)
}

// TestOutboxLeavesOutWhatAFencedNodeTells, and takes what else it brings. A call that is
// repeated learns of it too.
func TestOutboxLeavesOutWhatAFencedNodeTells(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	b, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	other := openQueue(t, b, OutboxOptions{})
	edge := func(text string, number uint64) Record {
		r := record(text)
		r.Teller = incarnationName{a.node, number}.String()
		return r
	}
	putRecords(t, q, edge("before", 5))
	if err := b.fence(b.session.Load(), incarnationName{a.node, 5}); err != nil {
		t.Fatal(err)
	}
	q.turn <- struct{}{}
	for _, r := range []Record{edge("of 5", 5), edge("of 4", 4), record("event"), edge("of 5 again", 5), edge("of 6", 6)} {
		if err := q.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	session := a.session.Load()
	if _, err := session.eval(t.Context(), []call{{outboxScript, q.key, q.args("keep", 0)}}); err != nil {
		t.Fatal(err)
	}
	if !a.journal.owns(ledger{0, 5}) {
		t.Error("disowned without an answer")
	}
	<-q.turn
	exchanged(t, q) // the same call
	for number, want := range map[uint64]bool{4: false, 5: false, 6: true} {
		if got := a.journal.owns(ledger{0, number}); got != want {
			t.Errorf("the entries of %d are its own: %v, want %v", number, got, want)
		}
	}
	if got, want := s.inStream(other), []string{"before", "of 4", "event", "of 6"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := q.outbox.Dropped(); got != 0 {
		t.Errorf("%d count as dropped, want none", got)
	}
}

// TestFencesAreBounded: those of more than a week ago are forgotten, and the oldest of
// more than 1,024.
func TestFencesAreBounded(t *testing.T) {
	s := startServer(t)
	a, _ := join(t, s.options(t))
	q := openQueue(t, a, OutboxOptions{})
	session := a.session.Load()
	fences := func() []string { return s.list("ZRANGE", q.key+":f", "0", "-1") }
	for _, test := range []struct{ age, want int }{{604_700, 2}, {604_900, 1}} {
		s.list("EVAL", "redis.call('ZADD', KEYS[1], redis.call('TIME')[1] - ARGV[1], 'old:1') return {}", "1", q.key+":f", fmt.Sprint(test.age))
		if err := a.fence(session, incarnationName{"node", 1}); err != nil {
			t.Fatal(err)
		}
		if got := fences(); len(got) != test.want {
			t.Errorf("one is %d s old: got %v, want %d", test.age, got, test.want)
		}
	}
	for i := range uint64(1030) {
		if err := a.fence(session, incarnationName{"node", i}); err != nil {
			t.Fatal(err)
		}
	}
	if got := fences(); len(got) != 1024 {
		t.Errorf("%d are fenced, want 1024", len(got))
	}
	if ttl := s.list("EVAL", "return {tostring(redis.call('TTL', KEYS[1]))}", "1", q.key+":f")[0]; ttl == "-1" {
		t.Error("fences never expire")
	}
}

// TestWhatOnlyThisProcessHoldsIsNeverLeftOut: the journal takes it as stored.
func TestWhatOnlyThisProcessHoldsIsNeverLeftOut(t *testing.T) {
	s := startServer(t)
	s.kill()
	o := s.options(t)
	o.Timeout = 100 * time.Millisecond
	a, _ := join(t, o)
	q := openQueue(t, a, OutboxOptions{})
	r := count("news", 7)
	edge := record("edge")
	edge.Teller = "node:1"
	for _, r := range []Record{r, edge} {
		if err := q.Put(r); err != nil {
			t.Fatal(err)
		}
	}
	left := q.Close()
	if len(left) != 2 || left[0].Condition != r.Condition || left[1].Condition != (Condition{}) {
		t.Errorf("got %+v, want the number and no teller", left)
	}
}
