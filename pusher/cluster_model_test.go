package pusher

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"resound/channels/cluster"
)

const (
	modelKey    = "k"
	modelSecret = "s"
	modelNodes  = 3
	modelSlots  = 12 // connections
	modelUsers  = 5
)

var modelChannels = []string{"plain-0", "plain-1", "cache-0", "presence-0", "presence-1", "presence-cache-0"}

// TestClusterModel plays at random on several nodes whose cluster is late, and
// holds what every connection was told against what happened.
func TestClusterModel(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { playCluster(t, seed, false) })
	}
}

// TestClusterModelWithFaults does the same while Redis is away now and then, and
// nodes die, stop, and come back.
func TestClusterModelWithFaults(t *testing.T) {
	seeds := uint64(150)
	if testing.Short() {
		seeds = 20
	}
	for seed := uint64(1); seed <= seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { playCluster(t, seed, true) })
	}
}

func playCluster(t *testing.T, seed uint64, faults bool) {
	m := newClusterModel(t, seed, modelNodes)
	for range 400 {
		m.step(faults)
	}
	m.recover()
	m.end()
}

func newClusterModel(t *testing.T, seed uint64, nodes int) *clusterModel {
	m := &clusterModel{
		t: t, rnd: rand.New(rand.NewPCG(seed, 99)), faulted: -1,
		hooks: &hookCounts{counts: map[string]int{}},
		slots: make([]*viewer, modelSlots), gaps: map[string]int{}, pumped: map[string]int{}, excepts: map[int]string{},
	}
	c := AppConfig{ID: "1", Key: modelKey, Secret: modelSecret, Options: AppOptions{Watchlist: true, SubscriptionCount: true}}
	m.cluster = newFakeCluster(t, c, nodes, seed, func(o *Options) {
		o.Webhooks, o.Compression = m.hooks, seed%2 == 0
	})
	for _, n := range m.cluster.nodes {
		n.reactor.deflates = true
	}
	return m
}

func (m *clusterModel) steps(n int) {
	for range n {
		m.step(false)
	}
}

// end closes everything and checks that nothing stays.
func (m *clusterModel) end() {
	m.check()
	for i := range m.slots {
		m.closeSlot(i)
	}
	m.check()
	for _, n := range m.cluster.nodes {
		m.vacant(n)
	}
}

type clusterModel struct {
	t       *testing.T
	rnd     *rand.Rand
	cluster *FakeCluster
	slots   []*viewer
	hooks   *hookCounts
	events  int
	excepts map[int]string // event -> socket that must not get it
	missed  int            // events up to here may have been missed by a node
	lost    int            // events up to here may be known only where they were triggered
	faulted int            // node that is paused, or -1
	fenced  bool           // its lease ended
	outage  bool
	loose   bool // what was stated before the outage is taken back by the end of leases only
	// unsteady: after a fault the cluster may take users for gone who are not.
	unsteady bool

	// gaps counts, by channel and user, for how many reasons others may be told that
	// the user left: the last connection that was answered did, for one.
	gaps   map[string]int
	pumped map[string]int // gaps when everything had arrived the last time
}

// viewer is a connection and what it was told.
type viewer struct {
	node    *Fake
	conn    *fakeConn
	id      string
	subs    map[string]*seen
	user    string
	success bool            // of the sign-in
	said    int             // client events that it must be told are refused
	watched map[string]bool // watched user -> online, once told
	list    []string        // watched users
	wants   map[int]bool    // events sent to the user that must arrive
	later   map[int]bool    // those that must when the outage is over
	got     map[int]bool
}

// seen is one subscription as its client sees it.
type seen struct {
	user     string         // of presence channels
	gaps     map[string]int // as known to have arrived when it subscribed
	removed  map[string]int // how often it heard that a user left
	answered bool
	since    int   // last event that was sent before the answer
	said     []int // client events that it did not wait for the answer with
	cacheDue bool  // the next frame is the cached event or a miss
	roster   map[string]bool
	count    int          // subscriptions, as told last
	wants    map[int]bool // events that must arrive
	later    map[int]bool // those that must when the outage is over
	got      map[int]bool
	cached   string // the event it was answered with
}

// hookCounts counts webhooks by what they are about.
type hookCounts struct {
	unsure bool // an outage took some
	mu     sync.Mutex
	counts map[string]int
}

func (h *hookCounts) Publish(_ *App, k Hook) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch about := k.Channel + "/" + k.UserID; k.Name {
	case HookOccupied, HookMemberAdded:
		h.counts[about]++
	case HookVacated, HookMemberRemoved:
		h.counts[about]--
	}
}

func (m *clusterModel) fatalf(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf(format, args...)
}

func (m *clusterModel) healthy() bool { return m.faulted < 0 && !m.outage }

func (m *clusterModel) step(faults bool) {
	i := m.rnd.IntN(modelSlots)
	v := m.slots[i]
	switch n := m.rnd.IntN(100); {
	case v == nil && n < 80:
		m.open(i)
	case v == nil || n < 10:
		m.cluster.nodes[m.rnd.IntN(len(m.cluster.nodes))].reactor.pumpSome()
		m.readAll()
	case n < 35:
		m.subscribe(v, modelChannels[m.rnd.IntN(len(modelChannels))])
	case n < 50:
		m.unsubscribe(v, modelChannels[m.rnd.IntN(len(modelChannels))])
	case n < 55:
		m.closeSlot(i)
	case n < 75:
		m.trigger(modelChannels[m.rnd.IntN(len(modelChannels))])
	case n < 80:
		m.signIn(v)
	case n < 86:
		m.triggerUser()
	case n < 88:
		m.check()
	case n < 92:
		m.reconnect(i)
	case n < 94:
		m.resubscribe(v)
	case faults && n < 98:
		m.fault()
	default:
		m.talk(v, modelChannels[m.rnd.IntN(len(modelChannels))])
	}
}

func (m *clusterModel) open(i int) { m.openAt(i, m.cluster.nodes[m.rnd.IntN(len(m.cluster.nodes))]) }

// openAt connects, and moves nothing else on.
func (m *clusterModel) openAt(i int, n *Fake) {
	c := n.reactor.openConn("/app/"+modelKey, "")
	m.slots[i] = &viewer{
		node: n, conn: c, id: n.reactor.shard.socketID(c.handle).String(), subs: map[string]*seen{},
		watched: map[string]bool{}, wants: map[int]bool{}, later: map[int]bool{}, got: map[int]bool{},
	}
	c.got = nil
}

// say sends a message without waiting for anything.
func (v *viewer) say(event string, data any) {
	b, _ := json.Marshal(map[string]any{"event": event, "data": data})
	v.node.reactor.shard.OnMessage(v.conn.handle, true, b)
}

func (m *clusterModel) subscribe(v *viewer, channel string) {
	m.read(v)
	data := map[string]string{"channel": channel}
	user := ""
	if strings.HasPrefix(channel, "presence-") {
		user = fmt.Sprint("u", m.rnd.IntN(modelUsers))
		data["channel_data"] = fmt.Sprintf(`{"user_id":%q}`, user)
	}
	if s := v.subs[channel]; s != nil && (s.user != user || s.answered) {
		return
	}
	sig := v.node.app.Secret().AppendChannel(nil, v.id, channel, data["channel_data"])
	data["auth"] = modelKey + ":" + string(sig)
	v.say("pusher:subscribe", data)
	if v.subs[channel] == nil {
		v.subs[channel] = &seen{user: user, gaps: maps.Clone(m.pumped), wants: map[int]bool{}, later: map[int]bool{}, got: map[int]bool{}}
	}
	if m.rnd.IntN(3) == 0 {
		m.talk(v, channel) // without waiting for the answer
	}
	m.read(v)
}

// talk sends a client event.
func (m *clusterModel) talk(v *viewer, channel string) {
	m.readAll()
	s := v.subs[channel]
	if s == nil {
		return
	}
	m.events++
	m.excepts[m.events] = v.id
	v.node.reactor.shard.OnMessage(v.conn.handle, true, fmt.Appendf(nil, `{"event":"client-e%d","channel":%q,"data":{}}`, m.events, channel))
	if !s.answered {
		s.said = append(s.said, m.events)
	}
	m.each(channel, func(other *viewer, so *seen) {
		switch {
		case other == v, !so.answered:
		case s.answered && (m.healthy() || other.node == v.node), !m.unsteady:
			so.wants[m.events] = true
		}
	})
}

// unsay wants nothing that was said in a subscription that ends before it is
// answered: its sender is told so instead.
func (m *clusterModel) unsay(v *viewer, channel string, s *seen) {
	if s == nil || s.answered {
		return
	}
	v.said += len(s.said)
	m.each(channel, func(_ *viewer, other *seen) {
		for _, n := range s.said {
			delete(other.wants, n)
		}
	})
}

// leaves notes that a subscription ends, after which others may be told that its
// user left.
func (m *clusterModel) leaves(channel string, s *seen) {
	if s == nil || s.user == "" {
		return
	}
	m.readAll()
	others := 0
	m.each(channel, func(_ *viewer, other *seen) {
		if other != s && other.answered && other.user == s.user {
			others++
		}
	})
	// Of one that was not answered the seat may still be on its way.
	if others == 0 || !s.answered {
		m.gaps[channel+"/"+s.user]++
	}
}

func (m *clusterModel) unsubscribe(v *viewer, channel string) {
	m.read(v)
	m.leaves(channel, v.subs[channel])
	m.unsay(v, channel, v.subs[channel])
	v.say("pusher:unsubscribe", map[string]string{"channel": channel})
	delete(v.subs, channel)
}

func (m *clusterModel) closeSlot(i int) {
	if v := m.slots[i]; v != nil {
		m.read(v)
		for channel, s := range v.subs {
			m.leaves(channel, s)
			m.unsay(v, channel, s)
		}
		v.conn.Drop()
		m.slots[i] = nil
	}
}

// reconnect ends a connection and signs the same user in on a new one, at once.
func (m *clusterModel) reconnect(i int) {
	was := m.slots[i]
	m.closeSlot(i)
	m.openAt(i, was.node)
	if was.user != "" {
		m.signInAs(m.slots[i], was.user)
	}
}

// resubscribe leaves a channel and comes back at once.
func (m *clusterModel) resubscribe(v *viewer) {
	for _, channel := range modelChannels {
		if v.subs[channel] != nil {
			m.unsubscribe(v, channel)
			m.subscribe(v, channel)
		}
	}
}

// each calls do with every connection that has a subscription of the channel.
func (m *clusterModel) each(channel string, do func(v *viewer, s *seen)) {
	for _, v := range m.slots {
		if v != nil && v.subs[channel] != nil {
			do(v, v.subs[channel])
		}
	}
}

func (m *clusterModel) trigger(channel string) {
	m.readAll()
	n := m.cluster.nodes[m.rnd.IntN(len(m.cluster.nodes))]
	m.events++
	event := Event{Channel: channel, Name: fmt.Sprintf(`"e%d"`, m.events), Data: `"x"`}
	if v := m.slots[m.rnd.IntN(modelSlots)]; v != nil && m.rnd.IntN(3) == 0 {
		event.Except, _ = ParseSocketID(v.id)
		m.excepts[m.events] = v.id
	}
	if err := n.node.Trigger(n.app, event); err != nil {
		m.fatalf("%v", err)
	}
	m.each(channel, func(v *viewer, s *seen) {
		switch {
		case event.Except.String() == v.id, !s.answered:
		case m.healthy() || v.node == n:
			s.wants[m.events] = true
		case m.outage:
			s.later[m.events] = true
		}
	})
}

func (m *clusterModel) signIn(v *viewer) {
	if v.user == "" {
		m.signInAs(v, fmt.Sprint("u", m.rnd.IntN(modelUsers)))
	}
}

func (m *clusterModel) signInAs(v *viewer, user string) {
	v.user = user
	for range m.rnd.IntN(4) {
		if id := fmt.Sprint("u", m.rnd.IntN(modelUsers)); !slices.Contains(v.list, id) {
			v.list = append(v.list, id)
		}
	}
	data, _ := json.Marshal(map[string]any{"id": v.user, "watchlist": v.list})
	sig := v.node.app.Secret().AppendUser(nil, v.id, string(data))
	v.say("pusher:signin", map[string]string{"auth": modelKey + ":" + string(sig), "user_data": string(data)})
	m.read(v)
}

func (m *clusterModel) triggerUser() {
	m.readAll()
	n := m.cluster.nodes[m.rnd.IntN(len(m.cluster.nodes))]
	user := fmt.Sprint("u", m.rnd.IntN(modelUsers))
	m.events++
	event := Event{Channel: cluster.UserPrefix + user, Name: fmt.Sprintf(`"e%d"`, m.events), Data: `"x"`}
	if err := n.node.Trigger(n.app, event); err != nil {
		m.fatalf("%v", err)
	}
	for _, v := range m.slots {
		switch {
		case v == nil || v.user != user || !v.success:
		case m.healthy() || v.node == n:
			v.wants[m.events] = true
		case m.outage:
			v.later[m.events] = true
		}
	}
}

// fault ends a fault, or begins one when everything has arrived.
func (m *clusterModel) fault() {
	if m.outage && m.rnd.IntN(3) == 0 {
		m.second()
		return
	}
	if !m.healthy() {
		if m.faulted >= 0 && !m.fenced && m.rnd.IntN(2) == 0 {
			m.fenced = true
			m.cluster.hub.Fence(m.cluster.adapters[m.faulted])
			return
		}
		m.recover()
		m.check()
		return
	}
	at := m.rnd.IntN(modelNodes)
	fault := m.rnd.IntN(4)
	m.unsteady = true
	if fault > 0 {
		m.check()
	}
	switch fault {
	case 0: // what is on its way is lost
		m.loose = true
		m.forgive()
		m.missed = m.events
		m.outage = true
		m.cluster.hub.Outage()
	case 3: // nothing is on its way, and every node knows
		m.missed = m.events
		m.outage = true
		m.cluster.hub.Outage()
		m.cluster.hub.Settle()
	case 1:
		m.faulted, m.fenced = at, false
		m.cluster.hub.Pause(m.cluster.adapters[at])
	case 2:
		m.kill(at)
	}
}

func (m *clusterModel) kill(at int) {
	m.cluster.hub.Kill(m.cluster.adapters[at])
	dead := m.cluster.nodes[at]
	for i, v := range m.slots {
		if v != nil && v.node == dead {
			m.slots[i] = nil
		}
	}
	m.cluster.replace(at)
}

// second is a fault during an outage: a node dies, and its spool with it, or Redis
// comes back empty.
func (m *clusterModel) second() {
	m.cluster.pump()
	m.readAll()
	m.loose = true
	if m.rnd.IntN(2) == 0 {
		m.hooks.unsure = true // who is stated again is decided again
		m.cluster.hub.Wipe()
		return
	}
	at := m.rnd.IntN(modelNodes)
	for _, v := range m.slots {
		if v == nil {
			continue
		}
		clear(v.later)
		for _, s := range v.subs {
			clear(s.later)
		}
	}
	m.missed = m.events
	m.kill(at)
}

// forgive wants nothing any more that was sent so far.
func (m *clusterModel) forgive() {
	for _, v := range m.slots {
		if v == nil {
			continue
		}
		clear(v.wants)
		for _, s := range v.subs {
			clear(s.wants)
		}
	}
}

func (m *clusterModel) recover() {
	if m.outage {
		m.outage = false
		m.expectLater()
		m.cluster.hub.Restore()
		m.cluster.pump()
		if !m.loose {
			m.check() // what was stated before is taken back where it does not hold
		}
		m.cluster.hub.Expire()
		m.loose = false
	}
	if m.faulted >= 0 {
		if m.fenced {
			m.lost = m.events
		}
		m.cluster.hub.Resume(m.cluster.adapters[m.faulted])
		m.faulted = -1
	}
}

// expectLater wants what was published while the cluster was out of reach.
func (m *clusterModel) expectLater() {
	for _, v := range m.slots {
		if v == nil {
			continue
		}
		maps.Copy(v.wants, v.later)
		clear(v.later)
		for _, s := range v.subs {
			maps.Copy(s.wants, s.later)
			clear(s.later)
		}
	}
}

func (m *clusterModel) readAll() {
	for _, v := range m.slots {
		if v != nil {
			m.read(v)
		}
	}
}

// read takes what arrived at a connection, and holds it against what it was told
// before.
func (m *clusterModel) read(v *viewer) {
	m.t.Helper()
	got := v.conn.got
	v.conn.got = nil
	for _, payload := range got {
		var f struct {
			Event, Channel string
			Data           json.RawMessage
			UserID         string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(payload), &f); err != nil {
			m.fatalf("%s: %v", payload, err)
		}
		var text string
		_ = json.Unmarshal(f.Data, &text)
		s := v.subs[f.Channel]
		switch {
		case f.Event == "pusher:signin_success":
			if v.success {
				m.fatalf("two answers of a sign-in")
			}
			v.success = true
		case f.Event == "pusher_internal:watchlist_events":
			m.readWatchlist(v, f.Data)
		case f.Event == "pusher:error":
			m.readRefusal(v, f.Data)
		case strings.HasPrefix(f.Channel, cluster.UserPrefix):
			if !v.success {
				m.fatalf("%s got %s before its sign-in was answered", v.id, payload)
			}
			m.readEvent(f.Event, v.got)
		case s == nil:
			m.fatalf("%s got %s without a subscription", v.id, payload)
		case f.Event == "pusher_internal:subscription_succeeded":
			m.readAnswer(s, f.Channel, text)
		case !s.answered:
			m.fatalf("%s got %s before the answer", v.id, payload)
		case f.Event == "pusher:cache_miss" && s.cacheDue:
			s.cacheDue = false
		case f.Event == "pusher_internal:subscription_count":
			m.readCount(s, f.Channel, text)
		case f.Event == "pusher_internal:member_added", f.Event == "pusher_internal:member_removed":
			m.readMember(v, s, f.Channel, f.Event, text)
		case strings.HasPrefix(f.Event, "client-"):
			m.readClientEvent(v, s, payload, f.Event, f.UserID)
		default:
			if s.cacheDue {
				s.cached = fmt.Sprintf("%q", f.Event)
			}
			s.cacheDue = false
			m.readEvent(f.Event, s.got)
		}
	}
}

func (m *clusterModel) readEvent(name string, got map[int]bool) {
	var n int
	if _, err := fmt.Sscanf(name, "e%d", &n); err != nil || got[n] {
		m.fatalf("unexpected, or the second time: %q", name)
	}
	got[n] = true
}

// readClientEvent is that others hear of a member before they hear from it.
func (m *clusterModel) readClientEvent(v *viewer, s *seen, payload, event, user string) {
	event = strings.TrimPrefix(event, "client-")
	m.readEvent(event, s.got)
	switch n, _ := strconv.Atoi(event[1:]); {
	case m.excepts[n] == v.id:
		m.fatalf("%s got %s, which it sent", v.id, payload)
	case s.user == "" && user != "", s.user != "" && n > s.since && !s.roster[user] && !m.unsteady:
		m.fatalf("%s got %s, and knows %v", v.id, payload, s.roster)
	}
}

// readRefusal is that the only errors are those of who talks and does not wait for
// the answer, neither before it leaves.
func (m *clusterModel) readRefusal(v *viewer, data []byte) {
	if !strings.Contains(string(data), "4009") || v.said == 0 {
		m.fatalf("%s is told %s", v.id, data)
	}
	v.said--
}

func (m *clusterModel) readAnswer(s *seen, channel, data string) {
	if s.answered {
		m.fatalf("two answers of a subscription of %s", channel)
	}
	s.answered, s.since = true, m.events
	s.cacheDue = strings.Contains(channel, "cache-")
	if s.user == "" {
		return
	}
	var roster struct{ Presence struct{ IDs []string } }
	if err := json.Unmarshal([]byte(data), &roster); err != nil {
		m.fatalf("%s: %v", data, err)
	}
	s.roster = map[string]bool{}
	for _, id := range roster.Presence.IDs {
		s.roster[id] = true
	}
	if !s.roster[s.user] || len(s.roster) != len(roster.Presence.IDs) {
		m.fatalf("%s is welcomed with %s", s.user, data)
	}
}

func (m *clusterModel) readCount(s *seen, channel, data string) {
	var told struct {
		Count int `json:"subscription_count"`
	}
	if err := json.Unmarshal([]byte(data), &told); err != nil || told.Count == 0 || s.user != "" {
		m.fatalf("%s is told the count %s", channel, data)
	}
	s.count = told.Count
}

func (m *clusterModel) readMember(v *viewer, s *seen, channel, event, data string) {
	var member struct {
		ID string `json:"user_id"`
	}
	if err := json.Unmarshal([]byte(data), &member); err != nil {
		m.fatalf("%s: %v", data, err)
	}
	added := event == "pusher_internal:member_added"
	if s.roster[member.ID] == added {
		m.fatalf("%s (%s) is told %s of %s, and had the roster %v", v.id, s.user, event, member.ID, s.roster)
	}
	if member.ID == s.user {
		m.fatalf("%s is told %s of itself", v.id, event)
	}
	if added {
		s.roster[member.ID] = true
		return
	}
	delete(s.roster, member.ID)
	if s.removed == nil {
		s.removed = map[string]int{}
	}
	s.removed[member.ID]++
	about := channel + "/" + member.ID
	if may := m.gaps[about] - s.gaps[about]; s.removed[member.ID] > may && !m.unsteady {
		m.fatalf("%s is told that %s left %s, which had a connection that was welcomed all the time", v.id, member.ID, channel)
	}
}

func (m *clusterModel) readWatchlist(v *viewer, data []byte) {
	var list struct {
		Events []struct {
			Name string
			IDs  []string `json:"user_ids"`
		}
	}
	if err := json.Unmarshal(data, &list); err != nil || !v.success {
		m.fatalf("%s: %v, signed in %v", data, err, v.success)
	}
	first := len(v.watched) == 0
	for _, e := range list.Events {
		for _, id := range e.IDs {
			online := e.Name == "online"
			if was, known := v.watched[id]; known == first || known && was == online {
				m.fatalf("%s is told %s, and knew %v", v.id, data, v.watched)
			}
			v.watched[id] = online
		}
	}
	if first && len(v.watched) != len(v.list) {
		m.fatalf("%s is told %s first, and watches %q", v.id, data, v.list)
	}
}

// check lets everything arrive. When nothing is wrong with the cluster, what
// everybody knows must then be the truth.
func (m *clusterModel) check() {
	m.t.Helper()
	m.cluster.pump()
	m.readAll()
	m.pumped = maps.Clone(m.gaps)
	for _, channel := range modelChannels {
		m.checkEvents(channel)
	}
	for _, v := range m.slots {
		if v == nil {
			continue
		}
		for n := range v.wants {
			if !v.got[n] {
				m.fatalf("%s, signed in as %s, never got event %d", v.id, v.user, n)
			}
		}
		clear(v.wants)
		if v.said != 0 {
			m.fatalf("%s was not told of %d events that they are refused", v.id, v.said)
		}
	}
	switch {
	case m.outage:
		m.checkAlone()
		return
	case m.faulted >= 0:
		return
	}
	for _, channel := range modelChannels {
		m.checkChannel(channel)
	}
	m.checkUsers()
}

func (m *clusterModel) checkEvents(channel string) {
	m.t.Helper()
	m.each(channel, func(v *viewer, s *seen) {
		for n := range s.wants {
			if !s.got[n] {
				m.fatalf("%s never got event %d of %s", v.id, n, channel)
			}
		}
		clear(s.wants)
	})
}

// checkAlone checks that nobody waits during an outage, and that everybody knows
// whom the own node has.
func (m *clusterModel) checkAlone() {
	m.t.Helper()
	for _, channel := range modelChannels {
		m.each(channel, func(v *viewer, s *seen) {
			if !s.answered || s.cacheDue {
				m.fatalf("%s waits for %s during an outage", v.id, channel)
			}
			m.each(channel, func(other *viewer, so *seen) {
				if other.node == v.node && so.user != "" && !s.roster[so.user] {
					m.fatalf("%s knows %v in %s, and %s is on its node", v.id, s.roster, channel, so.user)
				}
			})
		})
	}
	for _, v := range m.slots {
		if v == nil || v.user == "" {
			continue
		}
		for _, id := range v.list {
			local := slices.ContainsFunc(m.slots, func(o *viewer) bool { return o != nil && o.node == v.node && o.user == id })
			if got, known := v.watched[id]; !known || local && !got {
				m.fatalf("%s knows %v, %s is on its node: %v", v.id, v.watched, id, local)
			}
		}
		if !v.success {
			m.fatalf("%s waits for its sign-in during an outage", v.id)
		}
	}
}

func (m *clusterModel) checkChannel(channel string) {
	m.t.Helper()
	subscriptions, users := 0, map[string]bool{}
	m.each(channel, func(_ *viewer, s *seen) {
		subscriptions++
		if s.user != "" {
			users[s.user] = true
		}
	})
	last := ""
	for _, n := range m.cluster.nodes {
		o := n.node.Channel(n.app, channel)
		if o.Subscriptions != subscriptions || o.Users != len(users) {
			m.fatalf("%s: got %+v, want %d subscriptions of %v", channel, o, subscriptions, users)
		}
		if o.Cached != nil {
			last = o.Cached.Name
		}
	}
	m.each(channel, func(v *viewer, s *seen) {
		switch {
		case !s.answered:
			m.fatalf("%s waits for %s for ever", v.id, channel)
		case s.cacheDue:
			m.fatalf("%s was told neither an event nor a miss of %s", v.id, channel)
		case s.user == "" && s.count != subscriptions:
			m.fatalf("%s was told that %s has %d subscriptions, and it has %d", v.id, channel, s.count, subscriptions)
		case s.user != "" && !maps.Equal(s.roster, users):
			m.fatalf("%s knows %v in %s, want %v", v.id, s.roster, channel, users)
		}
		if kept := v.node.app.Directory().Channel(channel, v.node.node.Now()).Cached; last != "" && (kept == nil || kept.Name != last) {
			m.fatalf("%s: a node keeps %+v, the cluster %s", channel, kept, last)
		}
		n, first := number(last), number(s.cached)
		if n > m.missed && !s.got[n] && first != n && m.excepts[n] != v.id && (n > m.lost || first < n) {
			m.fatalf("%s was never told %s, which is the last event of %s", v.id, last, channel)
		}
	})
	m.hooks.check(m, channel+"/", subscriptions > 0)
	if strings.HasPrefix(channel, "presence-") {
		for u := range modelUsers {
			id := fmt.Sprint("u", u)
			m.hooks.check(m, channel+"/"+id, users[id])
		}
	}
}

// number is that of a cached event, 0 for none.
func number(cached string) (n int) {
	_, _ = fmt.Sscanf(cached, `"e%d"`, &n)
	return n
}

func (h *hookCounts) check(m *clusterModel, about string, there bool) {
	m.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	want := 0
	if there {
		want = 1
	}
	if got := h.counts[about]; got != want && !h.unsure {
		m.fatalf("webhooks tell of %s %d times that it is there, want %d", about, got, want)
	}
}

func (m *clusterModel) checkUsers() {
	m.t.Helper()
	online := map[string]bool{}
	for _, v := range m.slots {
		if v != nil && v.user != "" {
			online[v.user] = true
		}
	}
	for _, v := range m.slots {
		if v == nil || v.user == "" {
			continue
		}
		if !v.success {
			m.fatalf("%s waits for its sign-in for ever", v.id)
		}
		for _, id := range v.list {
			if got, known := v.watched[id]; !known || got != online[id] {
				m.fatalf("%s knows %v, %s is online: %v", v.id, v.watched, id, online[id])
			}
		}
	}
}

// vacant checks that a node without connections keeps nothing.
func (m *clusterModel) vacant(n *Fake) {
	if s := n.node.ClusterStats(); s.Topics != 0 {
		m.fatalf("%d channels are watched for nobody", s.Topics)
	}
	if left := n.app.Directory().Channels(""); len(left) != 0 {
		m.fatalf("occupied after everybody left: %v", left)
	}
}
