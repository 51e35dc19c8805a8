package channels

import (
	"hash/maphash"
	"strings"
	"sync"
)

const userStripes = 16

// Users is what a node knows of an app's signed-in users: how many connections
// each has and on which reactors, and which reactors hold somebody who watches
// for them. Safe for concurrent use; striped like Directory, with the same rules.
type Users struct {
	seed    maphash.Seed
	stripes [userStripes]userStripe
}

type userStripe struct {
	mu    sync.Mutex
	users map[string]*user
	seq   uint64 // number of the last edge of any user here
	_     [40]byte
}

// user is signed in, watched for, or both.
type user struct {
	id          string
	connections int32
	watchers    int32
	at          Interest // reactors with a connection of the user
	watched     Interest // reactors with a watcher
}

// NewUsers returns an empty index.
func NewUsers() *Users { return &Users{seed: maphash.MakeSeed()} }

func (u *Users) stripe(id string) *userStripe {
	return &u.stripes[maphash.String(u.seed, id)%userStripes]
}

func (s *userStripe) get(id string) *user {
	x, ok := s.users[id]
	if !ok {
		if s.users == nil {
			s.users = make(map[string]*user)
		}
		x = &user{id: strings.Clone(id)}
		s.users[x.id] = x
	}
	return x
}

func (s *userStripe) drop(x *user) {
	if x.connections == 0 && x.watchers == 0 {
		delete(s.users, x.id)
	}
}

// SignIn counts a connection of a user. When it is the first, the user comes
// online and emit is called for the reactors with watchers. name is the id,
// safe to keep. id is not retained.
func (u *Users) SignIn(id string, reactor int, emit Emit) (name string) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.get(id)
	x.connections++
	x.at |= 1 << reactor
	if x.connections == 1 {
		s.seq++
		emit(x.watched, s.seq)
	}
	return x.id
}

// SignOut takes back what SignIn counted. last says that the reactor holds no
// other connection of the user. When none is left, the user goes offline and
// emit is called for the reactors with watchers.
func (u *Users) SignOut(id string, reactor int, last bool, emit Emit) {
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
	if x.connections == 0 {
		s.seq++
		emit(x.watched, s.seq)
	}
	s.drop(x)
}

// Watch counts a watcher of a user. online says whether the user is signed in
// now; since is the number to subscribe with, so that the watcher is told every
// later edge and no earlier one.
func (u *Users) Watch(id string, reactor int) (name string, online bool, since uint64) {
	s := u.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.get(id)
	x.watchers++
	x.watched |= 1 << reactor
	return x.id, x.connections > 0, s.seq
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
	s.drop(x)
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
