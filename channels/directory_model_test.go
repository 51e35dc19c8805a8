package channels_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"resound/channels"
)

const (
	dirSubscribe = iota
	dirUnsubscribe
	dirPublish
	dirAdvance
	dirExpire
	dirOpCount

	dirReactors = 5
	dirUsers    = 7
	dirMembers  = 4 // most a presence channel takes
)

// dirChannels are the channels of FuzzDirectory; all go through all operations
// that their kinds allow.
var dirChannels = []string{"plain", "cache-a", "presence-a", "presence-b", "presence-cache-a", "x"}

// FuzzDirectory compares a Directory with a list of subscriptions. An operation
// is three bytes: what, where, who.
func FuzzDirectory(f *testing.F) {
	f.Add([]byte{dirSubscribe, 2, 1, dirSubscribe, 2, 9, dirSubscribe, 3, 1, dirUnsubscribe, 2, 0, dirUnsubscribe, 2, 0})
	f.Add([]byte{dirPublish, 1, 3, dirSubscribe, 1, 0, dirPublish, 1, 9, dirAdvance, 0, 5, dirSubscribe, 1, 1, dirExpire, 0, 0})
	full := []byte{}
	for who := range byte(30) {
		full = append(full, dirSubscribe, 4, who*5)
	}
	f.Add(append(full, dirPublish, 4, 200, dirUnsubscribe, 4, 3, dirUnsubscribe, 4, 3, dirSubscribe, 4, 8))
	f.Fuzz(func(t *testing.T, ops []byte) {
		m := &directoryModel{t: t, now: epoch, channels: make(map[string]*modelChannel)}
		m.directory = channels.NewDirectory(m)
		for _, name := range dirChannels {
			m.channels[name] = &modelChannel{name: name}
		}
		for len(ops) >= 3 && m.steps < 1000 {
			c := m.channels[dirChannels[int(ops[1])%len(dirChannels)]]
			m.apply(ops[0]%dirOpCount, c, ops[2])
			m.compare(c)
			ops = ops[3:]
			m.steps++
		}
		for _, c := range m.channels {
			m.compare(c)
		}
	})
}

type directoryModel struct {
	channels.NoEdges
	t         *testing.T
	directory *channels.Directory
	channels  map[string]*modelChannel
	now       time.Time
	steps     int
	owed      bool             // an operation has yet to emit
	emit      channels.Emit    // what to do with the edge of an operation
	gone      *channels.Member // who must be told to have left
}

// MemberAdded takes the edge of a join.
func (m *directoryModel) MemberAdded(_ string, _ *channels.Member, to channels.Interest, seq uint64) {
	m.emit(to, seq)
}

// MemberRemoved takes the edge of a leave.
func (m *directoryModel) MemberRemoved(_ string, gone *channels.Member, to channels.Interest, seq uint64) {
	m.emit(to, seq)
	if gone != m.gone {
		m.t.Fatalf("step %d: %+v left, want %+v", m.steps, gone, m.gone)
	}
}

type modelChannel struct {
	name          string
	subscriptions []modelSubscription
	seats         []*channels.Member // in the order of joining
	cached        *channels.CachedEvent
	expires       time.Time
	seq           uint64 // of the last number seen
}

type modelSubscription struct {
	reactor int
	user    string // presence channels
}

func (c *modelChannel) presence() bool {
	return channels.KindOf(c.name).Is(channels.Presence)
}

func (c *modelChannel) interest() (i channels.Interest) {
	for _, s := range c.subscriptions {
		i |= 1 << s.reactor
	}
	return i
}

func (c *modelChannel) seat(id string) int {
	return slices.IndexFunc(c.seats, func(m *channels.Member) bool { return m.ID == id })
}

func (m *directoryModel) apply(op byte, c *modelChannel, who byte) {
	switch op {
	case dirSubscribe:
		s := modelSubscription{reactor: int(who) % dirReactors}
		if c.presence() {
			s.user = fmt.Sprint("user-", int(who)/dirReactors%dirUsers)
			m.join(c, s)
		} else {
			c.subscriptions = append(c.subscriptions, s)
			m.subscribed(c, m.directory.Subscribe(c.name, s.reactor, m.now))
		}
	case dirUnsubscribe:
		if len(c.subscriptions) > 0 {
			m.unsubscribe(c, int(who)%len(c.subscriptions))
		}
	case dirPublish:
		if channels.KindOf(c.name).Is(channels.Cache) {
			c.cached = &channels.CachedEvent{Data: fmt.Sprint(m.steps)}
			c.expires = m.now.Add(time.Duration(who) * time.Second)
			m.directory.Publish(c.name, c.cached, c.expires, either(m.once(c, true, c.interest())))
		}
	case dirAdvance:
		m.now = m.now.Add(time.Duration(who) * time.Second)
	case dirExpire:
		m.expire()
	}
}

// once returns an emit function for an operation that must call it once, with
// the right reactors and a higher number, or not at all.
func (m *directoryModel) once(c *modelChannel, wanted bool, to channels.Interest) channels.Emit {
	m.owed = wanted
	return func(got channels.Interest, seq uint64) {
		if !m.owed || seq <= c.seq || got != to {
			m.t.Fatalf("step %d: %s emits %d to %b, want %v, above %d, to %b", m.steps, c.name, seq, got, m.owed, c.seq, to)
		}
		m.owed = false
		c.seq = seq
	}
}

func (m *directoryModel) join(c *modelChannel, s modelSubscription) {
	member := user(s.user)
	first := c.seat(s.user) < 0
	if first && len(c.seats) >= dirMembers {
		m.emit = m.once(c, false, 0)
		_, _, err := m.directory.Join(c.name, s.reactor, member, dirMembers, nil, m.now)
		if !errors.Is(err, channels.ErrRosterFull) {
			m.t.Fatalf("step %d: member %d of %d got %v", m.steps, len(c.seats)+1, dirMembers, err)
		}
		return
	}
	c.subscriptions = append(c.subscriptions, s)
	if first {
		c.seats = append(c.seats, member)
	}
	m.emit = m.once(c, first, c.interest())
	got, roster, err := m.directory.Join(c.name, s.reactor, member, dirMembers, nil, m.now)
	if err != nil {
		m.t.Fatalf("step %d: %v", m.steps, err)
	}
	if got.First != first || !slices.Equal(roster, c.seats) {
		m.t.Fatalf("step %d: got first %v with %q, want %v with %q", m.steps, got.First, ids(roster), first, ids(c.seats))
	}
	m.subscribed(c, got)
}

func (m *directoryModel) subscribed(c *modelChannel, got channels.Subscribed) {
	if got.Name != c.name || got.Occupied != (len(c.subscriptions) == 1) || got.Since < c.seq || got.Cached != m.cached(c) {
		m.t.Fatalf("step %d: got %+v, want %d subscriptions, since %d or more, cached %+v", m.steps, got, len(c.subscriptions), c.seq, m.cached(c))
	}
	// Whatever comes next must be newer than this subscriber.
	c.seq = got.Since
}

func (m *directoryModel) unsubscribe(c *modelChannel, i int) {
	s := c.subscriptions[i]
	c.subscriptions = slices.Delete(c.subscriptions, i, i+1)
	last := !c.interest().Has(s.reactor)
	var vacated bool
	if c.presence() {
		gone := !slices.ContainsFunc(c.subscriptions, func(other modelSubscription) bool { return other.user == s.user })
		if gone {
			seat := c.seat(s.user)
			m.gone = c.seats[seat]
			c.seats = slices.Delete(c.seats, seat, seat+1)
		}
		m.emit = m.once(c, gone, c.interest())
		vacated = m.directory.Leave(c.name, s.reactor, last, s.user)
	} else {
		vacated = m.directory.Unsubscribe(c.name, s.reactor, last)
	}
	if want := len(c.subscriptions) == 0; vacated != want {
		m.t.Fatalf("step %d: vacated is %v, want %v", m.steps, vacated, want)
	}
}

func (m *directoryModel) expire() {
	left := 0
	for _, c := range m.channels {
		if m.cached(c) != nil {
			left++
		}
	}
	if got := m.directory.Expire(m.now); got != left {
		m.t.Fatalf("step %d: %d events are left, want %d", m.steps, got, left)
	}
}

func (m *directoryModel) cached(c *modelChannel) *channels.CachedEvent {
	if c.cached == nil || !m.now.Before(c.expires) {
		return nil
	}
	return c.cached
}

func (m *directoryModel) compare(c *modelChannel) {
	if m.owed {
		m.t.Fatalf("step %d: an edge of %s is missing", m.steps, c.name)
	}
	want := channels.Occupancy{Subscriptions: len(c.subscriptions), Users: len(c.seats), Cached: m.cached(c)}
	if want.Cached != nil {
		want.CachedFor = c.expires.Sub(m.now)
	}
	if got := m.directory.Channel(c.name, m.now); got != want {
		m.t.Fatalf("step %d: %s: got %+v, want %+v", m.steps, c.name, got, want)
	}
	if got := m.directory.Interest(c.name); got != c.interest() {
		m.t.Fatalf("step %d: %s interests %b, want %b", m.steps, c.name, got, c.interest())
	}
	members, ok := m.directory.Members(c.name)
	if ok != (len(c.subscriptions) > 0) || !slices.Equal(members, c.seats) {
		m.t.Fatalf("step %d: %s has %q, %v, want %q", m.steps, c.name, ids(members), ok, ids(c.seats))
	}
	occupied := 0
	for _, c := range m.channels {
		if len(c.subscriptions) > 0 {
			occupied++
		}
	}
	if got := len(m.directory.Channels("")); got != occupied {
		m.t.Fatalf("step %d: got %d occupied channels, want %d", m.steps, got, occupied)
	}
}
