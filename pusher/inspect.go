package pusher

// Session is what a Shard tells of an open connection, for people to look at. It
// holds no view.
type Session struct {
	ID            SocketID
	App           *App
	UserID        string // signed in as, or else a member of a presence channel as; empty for nobody
	OpenedAt      uint32 // second of Reactor.Now
	Subscriptions int
}

// Inspect returns the session of a connection; ok is false when it is not open
// or belongs to no app. O(presence channels joined). Call it on the reactor.
func (s *Shard) Inspect(conn int32) (_ Session, ok bool) {
	if int(conn>>sessionBits) >= len(s.sessions) {
		return Session{}, false
	}
	ss := s.session(conn)
	if ss.app == nil {
		return Session{}, false
	}
	return Session{
		ID:            s.socketID(conn),
		App:           ss.app.app,
		UserID:        ss.userID(),
		OpenedAt:      s.openedAt[conn>>sessionBits][conn&(sessionBlock-1)],
		Subscriptions: ss.subscriptions.Len(),
	}, true
}

// userID is who the connection acts for. Of several members the first in the
// order of ids counts.
func (ss *session) userID() (id string) {
	if u := ss.user(); u != nil {
		return u.id
	}
	if ss.extra == nil {
		return ""
	}
	for _, m := range ss.extra.members {
		if id == "" || m.ID < id {
			id = m.ID
		}
	}
	return id
}

// Subscribed reports whether a connection subscribes to a channel. Call it on the
// reactor.
func (s *Shard) Subscribed(conn int32, channel string) bool {
	if int(conn>>sessionBits) >= len(s.sessions) {
		return false
	}
	ss := s.session(conn)
	return ss.app != nil && ss.app.registry.Subscribed(conn, channel)
}
