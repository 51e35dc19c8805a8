package channels

import (
	"fmt"
	"slices"
	"testing"
)

// side is the connections of a test, each with its own list.
type side []Subscriptions

func newRegistry(conns int) (*Registry, side) {
	s := make(side, conns)
	return NewRegistry(func(conn int32) *Subscriptions { return &s[conn] }), s
}

// verify reports where the two directions of a registry disagree.
func (r *Registry) verify(conns side) error {
	total := 0
	for name, h := range r.byName {
		c := r.channels.At(h)
		if c.name != name {
			return fmt.Errorf("channel %q is filed under %q", c.name, name)
		}
		if len(c.entries) == 0 {
			return fmt.Errorf("channel %q is empty", name)
		}
		if c.since != nil && len(c.since) != len(c.entries) {
			return fmt.Errorf("channel %q has %d entries and %d numbers", name, len(c.entries), len(c.since))
		}
		for pos, e := range c.entries {
			subs := &conns[e.conn]
			if int(e.at) >= subs.Len() {
				return fmt.Errorf("channel %q points at subscription %d of %d of connection %d", name, e.at, subs.Len(), e.conn)
			}
			if got, want := *subs.at(e.at), (ref{channel: h + 1, pos: int32(pos)}); got != want {
				return fmt.Errorf("connection %d has %+v at %d, channel %q says %+v", e.conn, got, e.at, name, want)
			}
		}
		total += len(c.entries)
	}
	if r.channels.Len() != len(r.byName) {
		return fmt.Errorf("%d channels are allocated and %d are named", r.channels.Len(), len(r.byName))
	}
	for conn := range conns {
		subs := &conns[conn]
		total -= subs.Len()
		if err := subs.verify(); err != nil {
			return fmt.Errorf("connection %d: %w", conn, err)
		}
	}
	if total != 0 {
		return fmt.Errorf("channels hold %d subscriptions more than connections", total)
	}
	if w := r.walk; w.channel != 0 {
		if c := r.channels.At(w.channel - 1); w.left < 0 || int(w.left) > len(c.entries) {
			return fmt.Errorf("%d of %d subscribers are left to visit", w.left, len(c.entries))
		}
	}
	return nil
}

func (s *Subscriptions) verify() error {
	if s.many == nil {
		return nil
	}
	if s.one != (ref{}) {
		return fmt.Errorf("a list and %+v beside it", s.one)
	}
	if len(s.many.refs) == 0 {
		return fmt.Errorf("an empty list is kept")
	}
	seen := make(map[int32]int32)
	for i, r := range s.many.refs {
		if r.channel == 0 {
			return fmt.Errorf("no channel at %d", i)
		}
		if j, ok := seen[r.channel]; ok {
			return fmt.Errorf("channel %d at %d and %d", r.channel, j, i)
		}
		seen[r.channel] = int32(i)
		if got := s.find(r.channel); got != int32(i) {
			return fmt.Errorf("channel %d is found at %d, want %d", r.channel, got, i)
		}
	}
	if s.many.index != nil && len(s.many.index) != len(s.many.refs) {
		return fmt.Errorf("%d indexed of %d", len(s.many.index), len(s.many.refs))
	}
	return nil
}

func TestRegistry(t *testing.T) {
	r, conns := newRegistry(3)
	for i, step := range []struct {
		name string
		do   func() bool
		want bool
	}{
		{"the first subscriber is the first", func() bool { return r.Subscribe(0, "a", 0) }, true},
		{"subscribing twice is not", func() bool { return r.Subscribe(0, "a", 0) }, false},
		{"the second subscriber is not", func() bool { return r.Subscribe(1, "a", 0) }, false},
		{"another channel has its own first", func() bool { return r.Subscribe(1, "b", 0) }, true},
		{"a subscriber is subscribed", func() bool { return r.Subscribed(1, "b") }, true},
		{"others are not", func() bool { return r.Subscribed(0, "b") }, false},
		{"nobody is subscribed to an unknown channel", func() bool { return r.Subscribed(0, "c") }, false},
		{"unsubscribing a stranger removes nothing", func() bool { _, removed := r.Unsubscribe(2, "a"); return removed }, false},
		{"unsubscribing from an unknown channel removes nothing", func() bool { _, removed := r.Unsubscribe(0, "c"); return removed }, false},
		{"one of two is not the last", func() bool { last, removed := r.Unsubscribe(0, "a"); return last || !removed }, false},
		{"the other is", func() bool { last, removed := r.Unsubscribe(1, "a"); return last && removed }, true},
		{"nothing to close a stranger from", func() bool { _, _, ok := r.UnsubscribeAny(2); return ok }, false},
		{"closing takes the last subscription", func() bool { name, last, ok := r.UnsubscribeAny(1); return name == "b" && last && ok }, true},
		{"and then no other", func() bool { _, _, ok := r.UnsubscribeAny(1); return ok }, false},
		{"no channel is left", func() bool { return r.Channels() == 0 }, true},
	} {
		if got := step.do(); got != step.want {
			t.Errorf("step %d: %s: got %v, want %v", i, step.name, got, step.want)
		}
		if err := r.verify(conns); err != nil {
			t.Fatalf("step %d: %s: %v", i, step.name, err)
		}
	}
}

func TestNames(t *testing.T) {
	r, _ := newRegistry(1)
	want := []string{}
	for i := range indexAbove + 3 {
		name := fmt.Sprint("c", i)
		want = append(want, name)
		r.Subscribe(0, name, 0)
	}
	var got []string
	r.Names(0, func(name string) bool {
		got = append(got, name)
		return true
	})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	calls := 0
	r.Names(0, func(string) bool { calls++; return calls < 3 })
	if calls != 3 {
		t.Errorf("got %d calls after asking for 3", calls)
	}
}

func TestWhoWaitsGetsNothing(t *testing.T) {
	r, _ := newRegistry(3)
	wants := func() (all []int32) {
		r.Walk("a")
		s := r.Step(10)
		for i := range s.Len() {
			if s.Wants(i, 0) && s.Wants(i, 9) {
				all = append(all, s.Conn(i))
			}
			if s.Waits(i) != r.Waits(s.Conn(i), "a") {
				t.Errorf("connection %d waits: %v in a walk, %v asked", s.Conn(i), s.Waits(i), !s.Waits(i))
			}
		}
		slices.Sort(all)
		return all
	}
	if r.Waits(0, "a") {
		t.Error("somebody waits in a channel that is not there")
	}
	for i, step := range []struct {
		conn  int32
		since uint64
		want  []int32
	}{
		{0, Waiting, nil},
		{0, 0, []int32{0}}, // answered: the channel has no numbers any more
		{1, 0, []int32{0, 1}},
		{2, Waiting, []int32{0, 1}},
		{1, Held, []int32{0}},
		{1, 5, []int32{0, 1}},
		{2, 0, []int32{0, 1, 2}},
	} {
		r.Subscribe(step.conn, "a", step.since)
		if got := wants(); !slices.Equal(got, step.want) {
			t.Errorf("step %d: publications go to %v, want %v", i, got, step.want)
		}
		if got, want := r.Waits(step.conn, "a"), step.since == Waiting; got != want {
			t.Errorf("step %d: waits is %v, want %v", i, got, want)
		}
	}
}

func TestWantsOnlyWhatCameLater(t *testing.T) {
	r, _ := newRegistry(3)
	r.Subscribe(0, "a", 0) // before anything was numbered
	r.Subscribe(1, "a", 5)
	r.Subscribe(2, "a", 7)
	r.Subscribe(1, "a", 6) // again, later
	r.Walk("a")
	s := r.Step(10)
	for _, row := range []struct {
		seq  uint64
		want []int32
	}{
		{0, []int32{0, 1, 2}},
		{4, []int32{0}},
		{6, []int32{0}},
		{7, []int32{0, 1}},
		{8, []int32{0, 1, 2}},
	} {
		var got []int32
		for i := range s.Len() {
			if s.Wants(i, row.seq) {
				got = append(got, s.Conn(i))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, row.want) {
			t.Errorf("publication %d: got %v, want %v", row.seq, got, row.want)
		}
	}
}

func TestSubscribersMemoryShrinks(t *testing.T) {
	const n = 10_000
	r, conns := newRegistry(n)
	for i := range int32(n) {
		r.Subscribe(i, "a", uint64(i)+1)
	}
	for i := range int32(n - 10) {
		r.Unsubscribe(i, "a")
	}
	c := r.channels.At(r.byName["a"])
	if cap(c.entries) > 64 || cap(c.since) > 64 {
		t.Errorf("10 subscribers of %d keep room for %d and %d", n, cap(c.entries), cap(c.since))
	}
	if err := r.verify(conns); err != nil {
		t.Error(err)
	}
	for i := range 10 {
		if conn := c.entries[i].conn; c.since[i] != uint64(conn)+1 {
			t.Errorf("connection %d has number %d, want %d", conn, c.since[i], conn+1)
		}
	}
}

// registryOps are the operations FuzzRegistry makes of bytes, three bytes each.
const (
	opSubscribe = iota
	opSubscribeSince
	opUnsubscribe
	opUnsubscribeAny
	opClose
	opWalk
	opStep
	opStepAndRemove
	opCount
)

// FuzzRegistry compares a Registry with maps, and the walk with its promise:
// nobody twice, nobody who stayed left out, nobody who joined later.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte{opSubscribe, 1, 1, opSubscribe, 2, 1, opUnsubscribe, 1, 1, opClose, 2, 0})
	walk := []byte{}
	for conn := range byte(20) {
		walk = append(walk, opSubscribeSince, conn, 3)
	}
	walk = append(walk, opWalk, 0, 3, opStep, 4, 0, opUnsubscribe, 1, 3, opUnsubscribe, 19, 3, opSubscribe, 25, 3)
	f.Add(append(walk, opStepAndRemove, 7, 0x55, opSubscribe, 19, 3, opClose, 5, 0, opStep, 30, 0, opStep, 30, 0))
	// All who were left to visit go, and another one comes.
	f.Add([]byte{
		opSubscribe, 1, 3, opSubscribe, 2, 3, opWalk, 0, 3, opStep, 0, 0, opSubscribe, 9, 3,
		opUnsubscribe, 1, 3, opUnsubscribe, 2, 3, opStep, 5, 0,
	})
	many := []byte{}
	for channel := range byte(24) {
		many = append(many, opSubscribe, 0, channel, opSubscribe, 1, channel)
	}
	f.Add(append(many, opUnsubscribe, 0, 3, opUnsubscribe, 0, 20, opUnsubscribeAny, 0, 0, opClose, 0, 0, opClose, 1, 0))
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := newRegistryModel(t)
		for len(ops) >= 3 && m.steps < 2000 {
			m.apply(ops[0]%opCount, ops[1], ops[2])
			m.compare()
			ops = ops[3:]
		}
	})
}

const (
	modelConns    = 32
	modelChannels = 24 // more than indexAbove
)

type registryModel struct {
	t        *testing.T
	registry *Registry
	conns    side
	steps    int

	since map[string]map[int32]uint64 // channel -> subscriber -> number
	seq   uint64

	walking string
	toVisit map[int32]bool // subscribers of walking who stayed since the walk began
	visited map[int32]bool
}

func newRegistryModel(t *testing.T) *registryModel {
	m := &registryModel{t: t, since: make(map[string]map[int32]uint64)}
	m.registry, m.conns = newRegistry(modelConns)
	return m
}

func (m *registryModel) apply(op, a, b byte) {
	m.steps++
	conn := int32(a % modelConns)
	name := fmt.Sprint("channel-", b%modelChannels)
	switch op {
	case opSubscribe:
		m.subscribe(conn, name, 0)
	case opSubscribeSince:
		m.seq++
		m.subscribe(conn, name, m.seq)
	case opUnsubscribe:
		m.unsubscribe(conn, name)
	case opUnsubscribeAny:
		m.unsubscribeAny(conn)
	case opClose:
		for m.unsubscribeAny(conn) {
		}
	case opWalk:
		m.registry.Walk(name)
		m.walking, m.toVisit, m.visited = name, make(map[int32]bool), make(map[int32]bool)
		for conn := range m.since[name] {
			m.toVisit[conn] = true
		}
	case opStep:
		m.step(int(a%40)+1, 0)
	case opStepAndRemove:
		m.step(int(a%40)+1, b)
	}
}

func (m *registryModel) subscribe(conn int32, name string, since uint64) {
	want := len(m.since[name]) == 0
	if got := m.registry.Subscribe(conn, name, since); got != want {
		m.t.Fatalf("subscribe %d to %s: first is %v, want %v", conn, name, got, want)
	}
	if m.since[name] == nil {
		m.since[name] = make(map[int32]uint64)
	}
	m.since[name][conn] = since
}

func (m *registryModel) unsubscribe(conn int32, name string) {
	_, want := m.since[name][conn]
	last, removed := m.registry.Unsubscribe(conn, name)
	if removed != want {
		m.t.Fatalf("unsubscribe %d from %s: removed is %v, want %v", conn, name, removed, want)
	}
	m.removed(conn, name, last)
}

func (m *registryModel) unsubscribeAny(conn int32) bool {
	want := 0
	for _, subscribers := range m.since {
		if _, ok := subscribers[conn]; ok {
			want++
		}
	}
	name, last, ok := m.registry.UnsubscribeAny(conn)
	if ok != (want > 0) {
		m.t.Fatalf("unsubscribe %d from any of %d: %v", conn, want, ok)
	}
	if !ok {
		return false
	}
	if _, subscribed := m.since[name][conn]; !subscribed {
		m.t.Fatalf("%d was unsubscribed from %s, to which it was not subscribed", conn, name)
	}
	m.removed(conn, name, last)
	return true
}

func (m *registryModel) removed(conn int32, name string, last bool) {
	_, subscribed := m.since[name][conn]
	delete(m.since[name], conn)
	if want := subscribed && len(m.since[name]) == 0; last != want {
		m.t.Fatalf("unsubscribe %d from %s: last is %v, want %v", conn, name, last, want)
	}
	if name == m.walking {
		delete(m.toVisit, conn)
	}
}

// step takes a step of the walk, from the last index to the first. The bits of
// remove say whom of every eight it unsubscribes while it stands on them.
func (m *registryModel) step(limit int, remove byte) {
	s := m.registry.Step(limit)
	if s.Len() > limit {
		m.t.Fatalf("a step of %d subscribers, want at most %d", s.Len(), limit)
	}
	for i := s.Len() - 1; i >= 0; i-- {
		conn := s.Conn(i)
		if m.visited[conn] {
			m.t.Fatalf("%d is visited twice", conn)
		}
		if !m.toVisit[conn] {
			m.t.Fatalf("%d is visited though it did not stay since the walk began", conn)
		}
		since := m.since[m.walking][conn]
		if !s.Wants(i, 0) || !s.Wants(i, since+1) || since > 0 && s.Wants(i, since) {
			m.t.Fatalf("%d joined at %d and wants others", conn, since)
		}
		m.visited[conn] = true
		if remove>>(i%8)&1 != 0 {
			m.unsubscribe(conn, m.walking)
		}
	}
	if s.Len() == 0 {
		for conn := range m.toVisit {
			if !m.visited[conn] {
				m.t.Fatalf("%d stayed and was left out", conn)
			}
		}
	}
}

func (m *registryModel) compare() {
	if err := m.registry.verify(m.conns); err != nil {
		m.t.Fatalf("step %d: %v", m.steps, err)
	}
	occupied := 0
	for name, subscribers := range m.since {
		if len(subscribers) > 0 {
			occupied++
		}
		for conn := range int32(modelConns) {
			_, want := subscribers[conn]
			if got := m.registry.Subscribed(conn, name); got != want {
				m.t.Fatalf("step %d: %d subscribed to %s: %v, want %v", m.steps, conn, name, got, want)
			}
		}
	}
	if got := m.registry.Channels(); got != occupied {
		m.t.Fatalf("step %d: got %d channels, want %d", m.steps, got, occupied)
	}
}

// FuzzSubscriptions covers growing through all three forms of a list.
func FuzzSubscriptions(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x81, 0x83})
	f.Fuzz(func(t *testing.T, ops []byte) {
		var s Subscriptions
		model := map[int32]bool{}
		for _, op := range ops {
			channel := int32(op&0x3f) + 1
			i := s.find(channel)
			if got, want := i >= 0, model[channel]; got != want {
				t.Fatalf("channel %d found: %v, want %v", channel, got, want)
			}
			switch {
			case op < 0x80 && i < 0:
				at := s.add(ref{channel: channel, pos: channel * 2})
				if got := *s.at(at); got != (ref{channel: channel, pos: channel * 2}) {
					t.Fatalf("added channel %d, found %+v at %d", channel, got, at)
				}
				model[channel] = true
			case op >= 0x80 && i >= 0:
				last := *s.at(int32(s.Len()) - 1)
				moved := s.remove(i)
				if last.channel == channel {
					last = ref{}
				}
				if moved != last {
					t.Fatalf("moved %+v, want %+v", moved, last)
				}
				delete(model, channel)
			}
			if s.Len() != len(model) {
				t.Fatalf("got length %d, want %d", s.Len(), len(model))
			}
			if err := s.verify(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
