package pusher

import (
	"time"

	"resound/channels"
)

// In a cluster a subscription is answered only when nothing that is published
// afterwards can be missed, and a member is welcomed only when the cluster's
// roster includes it. Until then the connection is subscribed with the number
// channels.Waiting: it counts, it may leave, and it gets nothing. What it says there
// is held, see held.go.
//
//	subscribe --> waiting --> answered     the Directory posts settled
//	                 |
//	                 +------> gone         unsubscribed or closed: nothing is owed
//
// A sign-in waits in the same way for the user's own channel, and the first frame
// of a watchlist for those of all its users.

// settled is the mailbox item that says that what waits for a name may be
// answered.
type settled struct {
	app    *App
	users  bool   // name is a user's and not a channel's
	name   string // of the channel or user
	userID string // in presence channels: whose connections
}

func (s *Shard) settle(it *settled) {
	as, ok := s.apps[it.app]
	switch {
	case !ok:
	case it.users:
		s.settleUser(as, it.name)
	case it.userID != "":
		for conn := range as.members[it.userID] {
			s.answer(conn, it.name)
		}
	default:
		s.eachWaiting(as.registry, it.name, func(conn int32) { s.answer(conn, it.name) })
	}
}

// eachWaiting calls do, which may close connections, for those that wait for a
// name.
func (s *Shard) eachWaiting(registry *channels.Registry, name string, do func(conn int32)) {
	registry.Walk(name)
	for {
		subscribers := registry.Step(walkStep)
		for i := subscribers.Len() - 1; i >= 0; i-- {
			if subscribers.Waits(i) {
				do(subscribers.Conn(i))
			}
		}
		if subscribers.Len() < walkStep {
			return
		}
	}
}

// answer answers the subscription of a connection that waited, unless it has to
// wait on.
func (s *Shard) answer(conn int32, channel string) {
	ss := s.session(conn)
	registry := ss.app.registry
	if !registry.Waits(conn, channel) {
		return
	}
	kind := channels.KindOf(channel)
	var now time.Time
	userID := ""
	member := ss.member(channel)
	if member != nil {
		userID = member.ID
	}
	if kind.Is(channels.Cache) {
		now = s.node.Now()
	}
	d, _ := ss.app.app.directory.Revisit(channel, userID, nil, now)
	switch {
	case d.Waiting:
	case d.Refused:
		held := s.takeHeld(ss, channel)
		s.unsubscribe(conn, ss, channel)
		s.refuse(conn, channel, ErrMembers)
		s.relayHeld(conn, ss, held)
	case member != nil:
		registry.Subscribe(conn, d.Name, d.Since)
		s.welcome(conn, &d, kind.Is(channels.Cache))
		s.release(conn, ss, channel)
	default:
		if !kind.Is(channels.Cache) {
			d.Since = 0
		}
		registry.Subscribe(conn, d.Name, d.Since)
		s.subscribed(conn, d.Name, kind, d.Cached)
		s.release(conn, ss, channel)
	}
}

// settleUser answers sign-ins of a user, and tells those who watch for it and know
// of all others.
func (s *Shard) settleUser(as *appShard, id string) {
	as.signedIn.Walk(id)
	for {
		signedIn := as.signedIn.Step(walkStep)
		for i := signedIn.Len() - 1; i >= 0; i-- {
			s.answerSignIn(signedIn.Conn(i))
		}
		if signedIn.Len() < walkStep {
			break
		}
	}
	s.eachWaiting(as.watchers, id, func(conn int32) {
		as.watchers.Subscribe(conn, id, channels.Held)
		ss := s.session(conn)
		if l := ss.user().watches(); l != nil {
			if l.waiting--; l.waiting == 0 {
				s.relook(conn, ss)
			}
		}
	})
}

// answerSignIn sends what a sign-in waited with, unless it has to wait on.
func (s *Shard) answerSignIn(conn int32) {
	ss := s.session(conn)
	u := ss.user()
	if u.answered() || !ss.app.app.users.Settled(u.id) {
		return
	}
	ss.app.signedIn.Subscribe(conn, u.id, 0)
	w := *u.waits
	u.waits.answer = ""
	if w.list == nil {
		u.waits = nil
	}
	s.send(conn, func(dst []byte) []byte { return appendSignedIn(dst, w.answer) })
	if w.asked {
		s.send(conn, func(dst []byte) []byte { return appendSubscribed(dst, channels.ServerToUserPrefix+u.id, nil) })
	}
	if ss.user() == u && w.list != nil && w.list.waiting == 0 { // the sends may have closed the connection
		s.relook(conn, ss)
	}
}
