package channels

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

const userStripes = 16

// Users is what a node knows of an app's signed-in users: how many connections
// each has and on which reactors, and which reactors hold somebody who watches
// for them. Safe for concurrent use; striped like Directory, with the same rules:
// in a cluster, which says who is online, it is this node's replica.
type Users struct {
	seed    maphash.Seed
	tell    Tell
	left    atomic.Int64 // in all stripes, see maxLeft
	stripes [userStripes]userStripe
}

// Tell makes the edge of a user's coming or going known to the reactors with
// watchers. It runs with a stripe locked: it may encode and post to mailboxes,
// and must neither wait nor call the Users. id may be kept.
type Tell func(id string, online bool, to Interest, seq uint64)

type userStripe struct {
	mu    sync.Mutex
	link  Link // nil: the node is alone
	users map[string]*user
	seq   uint64              // number of the last edge of any user here
	cut   bool                // the cluster is out of reach
	left  map[string]struct{} // while cut, who signed out, as in stripe
	_     [8]byte
}

// user is signed in, watched for, or both. In a cluster it may outlast that while
// an answer is awaited.
type user struct {
	id          string
	connections int32
	watchers    int32
	at          Interest // reactors with a connection of the user
	watched     Interest // reactors with a watcher

	online  bool // as watchers were told
	settled bool // nothing from now on is missed; true for a node alone
	waits   bool // a connection or a watcher waits for settled
}

// NewUsers returns an empty index.
func NewUsers(tell Tell) *Users { return &Users{seed: maphash.MakeSeed(), tell: tell} }

func (u *Users) stripe(id string) *userStripe {
	return &u.stripes[maphash.String(u.seed, id)%userStripes]
}

// get returns the user, whom the cluster is asked about if nobody was before.
func (u *Users) get(s *userStripe, id string) *user {
	x, ok := s.users[id]
	if !ok {
		if s.users == nil {
			s.users = make(map[string]*user)
		}
		x = &user{id: strings.Clone(id), settled: s.link == nil || s.cut}
		s.users[x.id] = x
		if !x.settled {
			s.link.Watch(x.id)
		}
	}
	return x
}

func (u *Users) drop(s *userStripe, x *user) {
	if x.connections > 0 || x.watchers > 0 || !x.settled {
		return // if not settled, the answer comes back to it
	}
	delete(s.users, x.id)
	if s.link != nil {
		s.link.Unwatch(x.id)
	}
}

// set makes the user's coming or going known, once.
func (u *Users) set(s *userStripe, x *user, online bool) {
	if x.online == online {
		return
	}
	x.online = online
	s.seq++
	if x.watched != 0 {
		u.tell(x.id, online, x.watched, s.seq)
	}
}

// decides reports whether this node says who is online.
func (s *userStripe) decides() bool { return s.link == nil || s.cut }

func (x *user) wait() bool {
	if x.settled {
		return false
	}
	x.waits = true
	return true
}

// SignIn counts a connection of a user, who comes online with the first. name is
// the id, safe to keep. id is not retained. waiting says that what is sent to
// the user may still be missed: Settled tells, after a call of Link.Settled.
func (u *Users) SignIn(id string, reactor int) (name string, waiting bool) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := u.get(s, id)
	x.connections++
	x.at |= 1 << reactor
	if s.link != nil {
		s.link.Hold(x.id, int(x.connections))
	}
	if s.decides() {
		u.set(s, x, true)
	}
	return x.id, x.wait()
}

// Settled reports whether nothing that is sent to the user is missed.
func (u *Users) Settled(id string) bool {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.users[id]
	return !ok || !x.wait()
}

// SignOut takes back what SignIn counted. last says that the reactor holds no
// other connection of the user. When none is left, the user goes offline.
func (u *Users) SignOut(id string, reactor int, last bool) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.users[id]
	if !ok || x.connections == 0 {
		return
	}
	x.connections--
	if last {
		x.at &^= 1 << reactor
	}
	if s.link != nil {
		s.link.Hold(x.id, int(x.connections))
	}
	if x.connections == 0 && s.decides() {
		u.set(s, x, false)
		if _, noted := s.left[x.id]; s.cut && !noted && u.left.Load() < maxLeft {
			if s.left == nil {
				s.left = make(map[string]struct{})
			}
			s.left[x.id] = struct{}{}
			u.left.Add(1)
		}
	}
	u.drop(s, x)
}

// Watched is what a watcher is told of a user.
type Watched struct {
	Name   string // the id, safe to keep
	Online bool
	// Since is the number to subscribe with, so that the watcher is told every
	// later edge and no earlier one.
	Since uint64
	// Waiting says that the cluster has not answered yet. Subscribe with the
	// number Waiting; after a call of Link.Settled, Look tells the rest.
	Waiting bool
}

// Watch counts a watcher of a user. id is not retained.
func (u *Users) Watch(id string, reactor int) Watched {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := u.get(s, id)
	x.watchers++
	x.watched |= 1 << reactor
	return Watched{x.id, x.online, s.seq, x.wait()}
}

// Look tells a watcher what it would be told if it watched now.
func (u *Users) Look(id string) Watched {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.users[id]
	if !ok {
		return Watched{Name: id, Since: s.seq}
	}
	return Watched{x.id, x.online, s.seq, x.wait()}
}

// Unwatch takes back what Watch counted. last says that the reactor holds no
// other watcher of the user.
func (u *Users) Unwatch(id string, reactor int, last bool) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.users[id]
	if !ok || x.watchers == 0 {
		return
	}
	x.watchers--
	if last {
		x.watched &^= 1 << reactor
	}
	u.drop(s, x)
}

// Idle reports whether nobody is signed in or watched for and, in a cluster, no
// answer is owed.
func (u *Users) Idle() bool {
	for i := range u.stripes {
		s := &u.stripes[i]
		s.mu.Lock()
		left := len(s.users)
		s.mu.Unlock()
		if left > 0 {
			return false
		}
	}
	return true
}

// Interest returns the reactors that hold a connection of the user.
func (u *Users) Interest(id string) Interest {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if x, ok := s.users[id]; ok {
		return x.at
	}
	return 0
}
