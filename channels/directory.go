package channels

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
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
// A node alone decides every edge here. A node of a cluster is connected by
// Connect: the cluster decides, and the Directory is this node's replica of the
// channels it watches, see replica. Disconnect makes it a node alone again. Either
// happens to one stripe after the other.
//
// Lock order: a stripe's lock comes before a mailbox's and those of a Link; no
// two stripes are ever locked at once.
type Directory struct {
	seed    maphash.Seed
	left    atomic.Int64 // in all stripes, see maxLeft
	kept    keptBytes    // of the cached events of all stripes
	stripes [stripes]stripe
}

type stripe struct {
	mu       sync.Mutex
	edges    Edges
	link     RosterLink // nil: the node is alone
	occupied map[string]*occupied
	cached   map[string]cached // outlives occupied: a cache survives an empty channel
	seq      uint64            // number of the last edge or cached publication of any channel here
	cut      bool              // the cluster is out of reach: decide as a node alone does
	left     map[left]struct{} // while cut, what is to be taken back
	encode   AppendMember      // makes the text of rosters; nil: they are told as members
	_        [40]byte          // own cache lines
}

// occupied is a channel with at least one subscriber on the node. In a cluster it
// may outlast the last one while an answer is awaited, see release.
type occupied struct {
	name          string
	roster        *roster  // presence channels only
	replica       *replica // nil: the node is alone
	interest      Interest
	subscriptions int32
}

type cached struct {
	event   *CachedEvent
	expires time.Time
	own     bool // this node published it
}

// CachedEvent is the last event of a cache channel. Immutable.
type CachedEvent struct {
	Frame []byte // the whole frame as subscribers get it
	Name  string // event name as a JSON string token
	Data  string // data as a JSON token
	Seq   uint64 // its number in the cluster, 0 when that is not known
}

// NewDirectory returns an empty directory that tells edges what happens; nil
// tells nobody.
func NewDirectory(edges Edges) *Directory {
	if edges == nil {
		edges = NoEdges{}
	}
	d := &Directory{seed: maphash.MakeSeed()}
	for i := range d.stripes {
		d.stripes[i].edges = edges
	}
	return d
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

// get returns the channel if it has a subscriber.
func (s *stripe) get(name string) (c *occupied, ok bool) {
	c, ok = s.occupied[name]
	return c, ok && c.subscriptions > 0
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

	// Waiting says that the cluster has not answered yet. Subscribe with the
	// number Waiting; after a call of Link.Settled, Revisit tells the rest.
	Waiting bool
	// Refused says, after waiting, what ErrRosterFull says without: unsubscribe.
	Refused bool
}

// Subscribe counts a subscription held by reactor. name is not retained.
func (d *Directory) Subscribe(name string, reactor int, now time.Time) Subscribed {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := d.subscribe(s, name, reactor)
	d.counted(s, c)
	out := s.subscribed(c, now)
	out.Waiting = c.replica.wait()
	return out
}

// counted makes the number of subscriptions known where this node tells it.
func (d *Directory) counted(s *stripe, c *occupied) {
	if c.replica == nil || s.cut {
		s.edges.Counted(c.name, int(c.subscriptions), c.interest)
	}
}

// Counted takes a count of the cluster over: emit is called as by Publish, unless a
// later one was told here. It reports whether emit was called.
func (d *Directory) Counted(name string, number uint64, emit func(to Interest)) bool {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	switch {
	case s.cut || s.link == nil:
		return false
	case !ok: // others may have subscribers
		emit(0)
		return true
	case c.replica == nil || number <= c.replica.counted:
		return false
	}
	c.replica.counted = number
	emit(c.interest)
	return true
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
	if c.subscriptions == 1 {
		s.edges.Occupied(c.name)
	}
	if s.link != nil {
		d.state(s, c)
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
	c, ok := s.get(name)
	if !ok {
		return false
	}
	if vacated = d.unsubscribe(s, c, reactor, last); !vacated {
		d.counted(s, c)
	}
	return vacated
}

func (d *Directory) unsubscribe(s *stripe, c *occupied, reactor int, last bool) (vacated bool) {
	c.subscriptions--
	if last {
		c.interest &^= 1 << reactor
	}
	if s.link != nil {
		s.link.Hold(c.name, int(c.subscriptions))
	}
	if c.subscriptions > 0 {
		return false
	}
	d.release(s, c)
	s.edges.Vacated(c.name)
	return true
}

// release forgets a channel without subscriptions, unless the cluster owes an
// answer about it: then it is forgotten with the answer.
func (d *Directory) release(s *stripe, c *occupied) {
	if c.replica != nil {
		if c.replica.owed() {
			return
		}
		s.link.Unwatch(c.name)
		d.leaves(s, c.name, "")
	}
	delete(s.occupied, c.name)
	d.makeRoom(s, c.name)
}

// Join counts a subscription of a presence channel and seats its user. When it
// is the user's first connection, the edges are told the number of that edge,
// before Join returns and in the order of all edges of the channel; the joiner's
// own Since is that number, so that it does not see itself arrive. roster is
// appended to members and includes the joiner. maxMembers 0 means no limit.
//
// In a cluster the roster is the cluster's, and the limit is held against what is
// known here of it: nodes that join members at the same moment may pass it.
func (d *Directory) Join(name string, reactor int, m *Member, maxMembers int, members []*Member, now time.Time) (Subscribed, []*Member, error) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.occupied[name]; c != nil && c.full(m.ID, maxMembers) {
		return Subscribed{}, members, ErrRosterFull
	}
	c := d.subscribe(s, name, reactor)
	if c.roster == nil {
		c.roster = &roster{}
	}
	if c.replica != nil {
		c.replica.maxMembers = maxMembers
		return d.joinCluster(s, c, m, members, now)
	}
	first := c.roster.join(m)
	if first {
		s.edges.MemberAdded(c.name, m, c.interest, s.nextSeq())
	}
	out := s.subscribed(c, now)
	out.First = first
	return out, s.appendMembers(members, c.roster), nil
}

// full reports whether a user would be one member too many.
func (c *occupied) full(userID string, maxMembers int) bool {
	switch {
	case c.roster == nil:
		return false
	case c.replica != nil:
		return c.replica.full(c.roster, userID, maxMembers)
	}
	return maxMembers > 0 && len(c.roster.byID) >= maxMembers && !c.roster.has(userID)
}

// Revisit tells a connection that is subscribed already what it would be told if
// it subscribed now, and appends the roster of a presence channel to members.
// userID is who the connection is there, empty in other channels. Since is the
// number to subscribe with from now on.
func (d *Directory) Revisit(name, userID string, members []*Member, now time.Time) (Subscribed, []*Member) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.get(name)
	if !ok {
		return Subscribed{Name: name}, members
	}
	out := s.subscribed(c, now)
	out.Occupied = false
	if c.replica != nil {
		out.Waiting = c.wait(userID)
		out.Refused = c.replica.refused(userID)
	}
	if c.roster != nil {
		members = s.appendMembers(members, c.roster)
	}
	return out, members
}

// Leave takes back what Join counted. When it was the user's last connection, the
// edges are told who left and the number of that edge.
func (d *Directory) Leave(name string, reactor int, last bool, userID string) (vacated bool) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.get(name)
	if !ok {
		return false
	}
	if last {
		c.interest &^= 1 << reactor
	}
	switch {
	case c.roster == nil:
	case c.replica != nil:
		d.leaveCluster(s, c, userID)
	default:
		if gone := c.roster.leave(userID); gone != nil {
			s.edges.MemberRemoved(c.name, gone, c.interest, s.nextSeq())
		}
	}
	return d.unsubscribe(s, c, reactor, last)
}

// Recount makes the number of subscriptions of a channel known again: to the
// edges or, in a cluster, to the others. name may be kept.
func (d *Directory) Recount(name string) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.get(name)
	switch {
	case ok && c.roster == nil:
		if s.link != nil {
			s.link.Recount(c.name, int(c.subscriptions))
		}
		d.counted(s, c)
	case !ok && s.link != nil: // others may have subscribers
		s.link.Recount(name, 0)
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

// Publish keeps event as the channel's last one until expires, if there is room (see
// LimitCache), and calls emit with the number of the publication, for nobody when the channel is vacant, and
// whether it is kept. name is not retained.
//
// Pusher: cache channels keep the last event published by the server, whether
// or not anybody is subscribed.
// Departs: Reverb loses it when the channel empties.
func (d *Directory) Publish(name string, event *CachedEvent, expires time.Time, emit func(to Interest, seq uint64, kept bool)) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.occupied[name]
	if ok {
		name = c.name
	} else {
		name = strings.Clone(name)
	}
	kept := d.keep(s, name, event, expires, true)
	var to Interest
	if ok {
		to = c.interest
		if kept { // or it never gets a place in the cluster's order
			c.replica.published(event, s.cut)
		}
	}
	emit(to, s.nextSeq(), kept)
}

// Expire drops cached events whose time has passed and returns how many are
// left. It locks one stripe after the other: O(cached events).
func (d *Directory) Expire(now time.Time) (left int) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		for name, hit := range s.cached {
			if !now.Before(hit.expires) {
				d.forget(s, name)
			} else if s.occupied[name] == nil {
				d.makeRoom(s, name)
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
	if c, ok := s.get(name); ok {
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
			if c.subscriptions > 0 && strings.HasPrefix(name, prefix) {
				out = append(out, NamedOccupancy{name, c.occupancy()})
			}
		}
		s.mu.Unlock()
	}
	return out
}

// Idle reports whether nobody subscribes to anything and, in a cluster, no answer
// is owed.
func (d *Directory) Idle() bool {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		left := len(s.occupied)
		s.mu.Unlock()
		if left > 0 {
			return false
		}
	}
	return true
}

// Members returns the roster of a presence channel in the order of joining;
// ok is false when the channel is vacant.
func (d *Directory) Members(name string) (members []*Member, ok bool) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.get(name)
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
	c, ok := s.get(name)
	return ok && c.roster != nil && c.roster.has(userID)
}
