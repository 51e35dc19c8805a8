package pusher

import (
	"strings"

	"github.com/tidwall/gjson"

	"resound/channels"
)

// user is who a connection is signed in as. Owned by its session.
type user struct {
	id      string
	info    string                 // user_info as JSON, "null" when it was not sent
	self    channels.Subscriptions // in appShard.signedIn
	watched channels.Subscriptions // in appShard.watchers
	waits   *signInWait            // nil: everything was told
}

// signInWait is what a connection is told once the cluster has answered.
type signInWait struct {
	answer string     // user_data of the signin_success to send; empty when it was sent
	asked  bool       // the client subscribed to its server-to-user channel before that
	list   *watchlist // of which it is not told yet; nil for none
}

// answered reports whether the sign-in was answered.
func (u *user) answered() bool { return u.waits == nil || u.waits.answer == "" }

// watches is the list that the connection is not told of yet, or nil.
func (u *user) watches() *watchlist {
	if u.waits == nil {
		return nil
	}
	return u.waits.list
}

// wait returns what waits, to add to it.
func (u *user) wait() *signInWait {
	if u.waits == nil {
		u.waits = &signInWait{}
	}
	return u.waits
}

// forgetList forgets a list, and that anything waits when nothing else does.
func (u *user) forgetList() {
	if u.waits != nil {
		u.waits.list = nil
		if u.waits.answer == "" {
			u.waits = nil
		}
	}
}

// onSignin handles pusher:signin.
//
// Pusher: user authentication; the signature is over socket_id::user::user_data.
func (s *Shard) onSignin(conn int32, ss *session, m *message) {
	object, ok := m.object()
	signed, data := field(object, "auth"), field(object, "user_data")
	if !ok || signed.Type != gjson.String || data.Type != gjson.String {
		s.sendError(conn, ErrMessageFormat)
		return
	}
	if !s.userAuthorized(conn, ss.app.app, signed.Str, data.Str) {
		s.sendError(conn, ErrUnauthorized)
		return
	}
	u, watchlist, e := parseUser(data.Str, ss.app.app.Options())
	switch {
	case e != nil:
		s.sendError(conn, e)
		return
	case ss.user() != nil && ss.user().id != u.id:
		s.sendError(conn, ErrSignedIn)
		return
	}
	s.authorize(conn, ss)
	waiting := false
	if was := ss.user(); was == nil {
		waiting = s.signIn(conn, ss, u)
	} else {
		was.info = u.info
		waiting, u = !was.answered(), was
		s.unwatch(conn, ss)
	}
	if waiting {
		u.wait().answer = cloned(data.Str)
	} else {
		s.send(conn, func(dst []byte) []byte { return appendSignedIn(dst, data.Str) })
	}
	// Being told may have closed a connection that does not read.
	if ss.app != nil && ss.app.app.Options().Watchlist {
		s.watch(conn, ss, watchlist)
	}
}

func (s *Shard) userAuthorized(conn int32, app *App, signed, userData string) bool {
	signature, ok := app.signature(signed)
	if !ok {
		return false
	}
	var buf [32]byte
	return app.Secret().VerifyUser(signature, view(s.socketID(conn).Append(buf[:0])), userData)
}

// parseUser reads user_data. The user owns its strings, the watchlist's are
// views.
func parseUser(userData string, o *AppOptions) (u *user, watchlist []string, e *Error) {
	if !ValidJSON(userData) {
		return nil, nil, ErrUser
	}
	object := gjson.Parse(userData)
	if !object.IsObject() {
		return nil, nil, ErrUser
	}
	var id, info, list gjson.Result
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "id":
			id = value
		case "user_info":
			info = value
		case "watchlist":
			list = value
		}
		return true
	})
	switch {
	case id.Type != gjson.String || id.Str == "":
		return nil, nil, ErrUser
	case len(id.Str) > o.MaxUserIDBytes:
		return nil, nil, ErrUserID
	}
	u = &user{id: strings.Clone(id.Str), info: "null"}
	if info.Raw != "" {
		u.info = strings.Clone(info.Raw)
	}
	if list.IsArray() {
		list.ForEach(func(_, value gjson.Result) bool {
			if value.Type == gjson.String || value.Type == gjson.Number {
				watchlist = append(watchlist, value.String())
			}
			return true
		})
	}
	return u, watchlist, nil
}

// signIn enters the connection in the indexes of users. The first connection of
// a user tells those who watch.
func (s *Shard) signIn(conn int32, ss *session, u *user) (waiting bool) {
	ss.more().user = u
	u.id, waiting = ss.app.app.users.SignIn(u.id, s.index)
	since := uint64(0)
	if waiting {
		since = channels.Waiting
	}
	ss.app.signedIn.Subscribe(conn, u.id, since)
	return waiting
}

// signOut takes the connection out again.
func (s *Shard) signOut(conn int32, ss *session) {
	u := ss.user()
	if u == nil {
		return
	}
	s.unwatch(conn, ss)
	id := u.id
	last, _ := ss.app.signedIn.Unsubscribe(conn, id)
	ss.app.app.users.SignOut(id, s.index, last)
	ss.extra.user = nil
}

// tellWatchers makes the edge of a user's coming or going known.
func (a *App) tellWatchers(id string, online bool, to channels.Interest, seq uint64) {
	p := newPublication(a, Event{Channel: id}, func(dst []byte, _ *Event) []byte {
		if online {
			return appendWatchlist(dst, []string{id}, nil)
		}
		return appendWatchlist(dst, nil, []string{id})
	})
	p.audience, p.seq = toWatchers, seq
	a.node.post(to, p)
}

// watch enters the connection as a watcher of the users listed and tells it who
// of them is online and who is not.
//
// Pusher: watchlists; of one that is too long the first ids are accepted, and
// the client is told with 4302 which.
func (s *Shard) watch(conn int32, ss *session, ids []string) {
	limit := ss.app.app.Options().MaxWatchlist
	var list watchlist
	taken := make(map[string]bool, min(len(ids), limit))
	for _, id := range ids {
		if taken[id] {
			continue
		}
		if list.cut = len(taken) == limit; list.cut {
			break
		}
		w := ss.app.app.users.Watch(id, s.index)
		taken[w.Name] = true
		list.add(w)
	}
	s.tellWatchlist(conn, ss, &list)
}

// unwatch ends what watch began.
func (s *Shard) unwatch(conn int32, ss *session) {
	ss.user().forgetList()
	for {
		id, last, ok := ss.app.watchers.UnsubscribeAny(conn)
		if !ok {
			return
		}
		ss.app.app.users.Unwatch(id, s.index, last)
	}
}

// subscribeUser answers pusher-js, which subscribes to its own server-to-user
// channel after signing in. What is sent there goes by the index of users, so
// there is nothing to enter; it belongs to the signed-in user alone.
func (s *Shard) subscribeUser(conn int32, ss *session, channel, id string) {
	if u := ss.user(); u == nil || u.id != id {
		s.refuse(conn, channel, ErrUnauthorized)
		return
	} else if !u.answered() {
		u.waits.asked = true // answered after the sign-in
		return
	}
	s.send(conn, func(dst []byte) []byte { return appendSubscribed(dst, channel, nil) })
}
