package pusher

import (
	"fmt"
	"slices"
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
	if was := ss.user(); was == nil {
		s.signIn(conn, ss, u)
	} else {
		was.info = u.info
		s.unwatch(conn, ss)
	}
	s.send(conn, func(dst []byte) []byte { return appendSignedIn(dst, data.Str) })
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
	return app.Secret.VerifyUser(signature, view(s.socketID(conn).Append(buf[:0])), userData)
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
func (s *Shard) signIn(conn int32, ss *session, u *user) {
	app := ss.app.app
	ss.more().user = u
	u.id = app.users.SignIn(u.id, s.index, s.tellWatchers(app, u.id, true))
	ss.app.signedIn.Subscribe(conn, u.id, 0)
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
	app := ss.app.app
	app.users.SignOut(id, s.index, last, s.tellWatchers(app, id, false))
	ss.extra.user = nil
}

// tellWatchers makes the edge of a user's coming or going known.
func (s *Shard) tellWatchers(app *App, id string, online bool) channels.Emit {
	return func(to channels.Interest, seq uint64) {
		if to == 0 {
			return
		}
		p := newPublication(app, Event{Channel: id}, func(dst []byte, _ *Event) []byte {
			if online {
				return appendWatchlist(dst, []string{id}, nil)
			}
			return appendWatchlist(dst, nil, []string{id})
		})
		p.audience, p.seq = toWatchers, seq
		s.node.post(to, p)
	}
}

// watch enters the connection as a watcher of the users listed and tells it who
// of them is online and who is not.
//
// Pusher: watchlists; of one that is too long the first ids are accepted, and
// the client is told with 4302 which.
func (s *Shard) watch(conn int32, ss *session, ids []string) {
	limit := ss.app.app.Options().MaxWatchlist
	var online, offline []string
	taken := make(map[string]bool, min(len(ids), limit))
	over := false
	for _, id := range ids {
		if taken[id] {
			continue
		}
		if over = len(taken) == limit; over {
			break
		}
		name, on, since := ss.app.app.users.Watch(id, s.index)
		taken[name] = true
		ss.app.watchers.Subscribe(conn, name, since)
		if on {
			online = append(online, name)
		} else {
			offline = append(offline, name)
		}
	}
	if over {
		accepted := append(slices.Clone(online), offline...)
		slices.Sort(accepted)
		s.sendError(conn, &Error{4302, fmt.Sprintf("Watchlist limit exceeded, the first %d ids are accepted: %s", limit, strings.Join(accepted, ", "))})
	}
	if len(taken) > 0 {
		s.send(conn, func(dst []byte) []byte { return appendWatchlist(dst, online, offline) })
	}
}

// unwatch ends what watch began.
func (s *Shard) unwatch(conn int32, ss *session) {
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
	}
	s.send(conn, func(dst []byte) []byte { return appendSubscribed(dst, channel, nil) })
}
