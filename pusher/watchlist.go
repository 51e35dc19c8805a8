package pusher

import (
	"fmt"
	"slices"
	"strings"

	"resound/channels"
)

// watchlist is the users a connection watches, until it is told who of them is
// online. Owned by its session.
type watchlist struct {
	users   []channels.Watched
	waiting int  // users of whom the cluster has not told
	cut     bool // the list was longer than the limit
}

func (l *watchlist) add(w channels.Watched) {
	if w.Waiting {
		l.waiting++
	}
	l.users = append(l.users, w)
}

// tellWatchlist tells a connection who of its watchlist is online and who is
// not, when that is known of all and the sign-in is answered. Until then it gets
// no edges of them.
func (s *Shard) tellWatchlist(conn int32, ss *session, l *watchlist) {
	u, registry := ss.user(), ss.app.watchers
	wait := l.waiting > 0 || !u.answered()
	var online, offline []string
	for _, w := range l.users {
		since := w.Since
		switch {
		case w.Waiting:
			since = channels.Waiting
		case wait:
			since = channels.Held
		case w.Online:
			online = append(online, w.Name)
		default:
			offline = append(offline, w.Name)
		}
		registry.Subscribe(conn, w.Name, since)
	}
	if wait {
		u.wait().list = l
		return
	}
	u.forgetList()
	if l.cut {
		accepted := append(slices.Clone(online), offline...)
		slices.Sort(accepted)
		s.sendError(conn, &Error{4302, fmt.Sprintf("Watchlist limit exceeded, the first %d ids are accepted: %s", len(accepted), strings.Join(accepted, ", "))})
	}
	if len(l.users) > 0 {
		s.send(conn, func(dst []byte) []byte { return appendWatchlist(dst, online, offline) })
	}
}

// relook asks again about every user of a watchlist that nothing seems to wait
// for any more.
func (s *Shard) relook(conn int32, ss *session) {
	l := ss.user().watches()
	users := ss.app.app.users
	next := watchlist{cut: l.cut, users: l.users[:0]}
	for _, w := range l.users {
		next.add(users.Look(w.Name))
	}
	s.tellWatchlist(conn, ss, &next)
}
