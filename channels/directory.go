package channels

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	// MaxReactors is how many reactors an Interest can name.
	MaxReactors = 64

	stripes = 64
)

// ErrRosterFull is returned by Join when a user who is not yet a member would
// be one too many.
var ErrRosterFull = errors.New("presence channel is full")

// Interest is the set of reactors that hold a subscriber, one bit each.
type Interest uint64

// Has reports whether reactor is in the set.
func (i Interest) Has(reactor int) bool { return i&(1<<reactor) != 0 }

// Emit hands a numbered publication to the reactors of interest. It runs with
// a stripe locked: it may encode and post to mailboxes, and must neither wait
// nor call the Directory.
type Emit func(to Interest, seq uint64)

// Directory is what a node knows of one app's channels. Safe for concurrent use.
//
// Lock order: a stripe's lock comes before a mailbox's; no two stripes are ever
// locked at once.
type Directory struct {
	seed    maphash.Seed
	edges   Edges
	stripes [stripes]stripe
}

type stripe struct {
	mu       sync.Mutex
	occupied map[string]*occupied
	cached   map[string]cached // outlives occupied: a cache survives an empty channel
	seq      uint64            // number of the last edge or cached publication of any channel here
	encode   AppendMember      // makes the text of rosters; nil: they are told as members
	_        [24]byte          // own cache line
}

// occupied is a channel with at least one subscriber on the node.
type occupied struct {
	name          string
	roster        *roster // presence channels only
	interest      Interest
	subscriptions int32
}

type cached struct {
	event   *CachedEvent
	expires time.Time
}

// CachedEvent is the last event of a cache channel. Immutable.
type CachedEvent struct {
	Frame []byte // the whole frame as subscribers get it
	Name  string // event name as a JSON string token
	Data  string // data as a JSON token
}

// NewDirectory returns an empty directory that tells edges what happens; nil
// tells nobody.
func NewDirectory(edges Edges) *Directory {
	if edges == nil {
		edges = NoEdges{}
	}
	return &Directory{seed: maphash.MakeSeed(), edges: edges}
}

func (d *Directory) stripe(name string) *stripe {
	return &d.stripes[maphash.String(d.seed, name)%stripes]
}

// TellRostersAsText makes Join and Revisit tell rosters as Subscribed.Roster
// instead of as members. Call it before the Directory is used.
func (d *Directory) TellRostersAsText(encode AppendMember) {
	for i := range d.stripes {
		d.stripes[i].encode = encode
	}
}

// Subscribed is what Subscribe and Join tell of the channel at the moment the
// subscription took its place in the order of publications.
type Subscribed struct {
	Name     string       // the name, safe to keep
	Since    uint64       // number to subscribe in the Registry with
	Occupied bool         // this is the node's first subscription
	First    bool         // Join only: the user's first connection
	Cached   *CachedEvent // the cached event, nil when there is none or it expired
	Roster   *RosterText  // presence channels, after TellRostersAsText
}

// Subscribe counts a subscription held by reactor. name is not retained.
func (d *Directory) Subscribe(name string, reactor int, now time.Time) Subscribed {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := d.subscribe(s, name, reactor)
	d.edges.Counted(c.name, int(c.subscriptions), c.interest)
	return s.subscribed(c, now)
}

func (d *Directory) subscribe(s *stripe, name string, reactor int) *occupied {
	c, ok := s.occupied[name]
	if !ok {
		if s.occupied == nil {
			s.occupied = make(map[string]*occupied)
		}
		c = &occupied{name: strings.Clone(name)}
		s.occupied[c.name] = c
	}
	c.subscriptions++
	c.interest |= 1 << reactor
	if !ok {
		d.edges.Occupied(c.name)
	}
	return c
}

func (s *stripe) subscribed(c *occupied, now time.Time) Subscribed {
	out := Subscribed{Name: c.name, Occupied: c.subscriptions == 1, Since: s.seq}
	if hit, ok := s.cached[c.name]; ok && now.Before(hit.expires) {
		out.Cached = hit.event
	}
	if c.roster != nil && s.encode != nil {
		out.Roster = c.roster.text.of(c.roster, s.encode)
	}
	return out
}

// appendMembers appends the roster, unless it is told as text.
func (s *stripe) appendMembers(dst []*Member, r *roster) []*Member {
	if s.encode != nil {
		return dst
	}
	return r.appendMembers(dst)
}

// Unsubscribe takes back what Subscribe counted. last says that the reactor
// holds no other subscriber of the channel. vacated is true when the node has
// none left.
func (d *Directory) Unsubscribe(name string, reactor int, last bool) (vacated bool) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok {
		return false
	}
	if vacated = d.unsubscribe(s, c, reactor, last); !vacated {
		d.edges.Counted(c.name, int(c.subscriptions), c.interest)
	}
	return vacated
}

func (d *Directory) unsubscribe(s *stripe, c *occupied, reactor int, last bool) (vacated bool) {
	c.subscriptions--
	if last {
		c.interest &^= 1 << reactor
	}
	if c.subscriptions > 0 {
		return false
	}
	delete(s.occupied, c.name)
	d.edges.Vacated(c.name)
	return true
}

// Join counts a subscription of a presence channel and seats its user. When it
// is the user's first connection, emit is called with the number of that edge,
// before Join returns and in the order of all edges of the channel; the joiner's
// own Since is that number, so that it does not see itself arrive. roster is
// appended to members and includes the joiner. maxMembers 0 means no limit.
func (d *Directory) Join(name string, reactor int, m *Member, maxMembers int, members []*Member, now time.Time, emit Emit) (Subscribed, []*Member, error) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.occupied[name]; maxMembers > 0 && c != nil && c.roster != nil && len(c.roster.byID) >= maxMembers {
		if _, present := c.roster.byID[m.ID]; !present {
			return Subscribed{}, members, ErrRosterFull
		}
	}
	c := d.subscribe(s, name, reactor)
	if c.roster == nil {
		c.roster = &roster{}
	}
	first := c.roster.join(m)
	if first {
		emit(c.interest, s.nextSeq())
		d.edges.MemberAdded(c.name, m)
	}
	out := s.subscribed(c, now)
	out.First = first
	return out, s.appendMembers(members, c.roster), nil
}

// Revisit tells a connection that is subscribed already what it would be told if
// it subscribed now, and appends the roster of a presence channel to members.
// Since is the number to subscribe with from now on.
func (d *Directory) Revisit(name string, members []*Member, now time.Time) (Subscribed, []*Member) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok {
		return Subscribed{Name: name}, members
	}
	if c.roster != nil {
		members = s.appendMembers(members, c.roster)
	}
	out := s.subscribed(c, now)
	out.Occupied = false
	return out, members
}

// Leave takes back what Join counted. When it was the user's last connection,
// emit is called with the number of that edge and member is who left.
func (d *Directory) Leave(name string, reactor int, last bool, userID string, emit func(to Interest, seq uint64, gone *Member)) (vacated bool) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok {
		return false
	}
	if last {
		c.interest &^= 1 << reactor
	}
	if c.roster != nil {
		if gone := c.roster.leave(userID); gone != nil {
			emit(c.interest, s.nextSeq(), gone)
			d.edges.MemberRemoved(c.name, gone)
		}
	}
	return d.unsubscribe(s, c, reactor, last)
}

// Recount tells the edges the number of subscriptions of a channel again.
func (d *Directory) Recount(name string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.occupied[name]; ok && c.roster == nil {
		d.edges.Counted(c.name, int(c.subscriptions), c.interest)
	}
}

// nextSeq numbers an edge or cached publication. Numbers rise over the whole
// stripe, so that they keep rising for a channel that was vacated in between:
// what still waits in a mailbox is then older than any later subscriber.
func (s *stripe) nextSeq() uint64 {
	s.seq++
	return s.seq
}

// Interest returns the reactors that hold a subscriber of name.
func (d *Directory) Interest(name string) Interest {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.occupied[name]; ok {
		return c.interest
	}
	return 0
}

// Publish keeps event as the channel's last one until expires and calls emit
// with the number of the publication. name is not retained.
//
// Pusher: cache channels keep the last event published by the server, whether
// or not anybody is subscribed.
// Departs: Reverb loses it when the channel empties.
func (d *Directory) Publish(name string, event *CachedEvent, expires time.Time, emit Emit) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if ok {
		name = c.name
	} else {
		name = strings.Clone(name)
	}
	if s.cached == nil {
		s.cached = make(map[string]cached)
	}
	s.cached[name] = cached{event: event, expires: expires}
	if ok {
		emit(c.interest, s.nextSeq())
	}
}

// Expire drops cached events whose time has passed and returns how many are
// left. It locks one stripe after the other: O(cached events).
func (d *Directory) Expire(now time.Time) (left int) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		for name, hit := range s.cached {
			if !now.Before(hit.expires) {
				delete(s.cached, name)
			}
		}
		left += len(s.cached)
		s.mu.Unlock()
	}
	return left
}

// Occupancy is what the HTTP API tells of a channel.
type Occupancy struct {
	Subscriptions int
	Users         int           // presence channels: distinct members
	Cached        *CachedEvent  // nil when there is none
	CachedFor     time.Duration // how long Cached is still kept
}

// Occupied reports whether the channel has a subscriber.
func (o Occupancy) Occupied() bool { return o.Subscriptions > 0 }

// Channel returns the occupancy of name; all zero when it is vacant.
func (d *Directory) Channel(name string, now time.Time) Occupancy {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	var o Occupancy
	if c, ok := s.occupied[name]; ok {
		o = c.occupancy()
	}
	if hit, ok := s.cached[name]; ok && now.Before(hit.expires) {
		o.Cached, o.CachedFor = hit.event, hit.expires.Sub(now)
	}
	return o
}

func (c *occupied) occupancy() Occupancy {
	o := Occupancy{Subscriptions: int(c.subscriptions)}
	if c.roster != nil {
		o.Users = len(c.roster.byID)
	}
	return o
}

// NamedOccupancy is one row of Channels.
type NamedOccupancy struct {
	Name string
	Occupancy
}

// Channels returns the occupied channels whose names begin with prefix, in no
// particular order and without cached events. Each stripe is a moment of its
// own. O(channels).
func (d *Directory) Channels(prefix string) []NamedOccupancy {
	var out []NamedOccupancy
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		for name, c := range s.occupied {
			if strings.HasPrefix(name, prefix) {
				out = append(out, NamedOccupancy{name, c.occupancy()})
			}
		}
		s.mu.Unlock()
	}
	return out
}

// Members returns the roster of a presence channel in the order of joining;
// ok is false when the channel is vacant.
func (d *Directory) Members(name string) (members []*Member, ok bool) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok {
		return nil, false
	}
	if c.roster != nil {
		members = c.roster.appendMembers(nil)
	}
	return members, true
}

// IsMember reports whether a user is a member of a presence channel.
func (d *Directory) IsMember(name, userID string) bool {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if !ok || c.roster == nil {
		return false
	}
	_, ok = c.roster.byID[userID]
	return ok
}
