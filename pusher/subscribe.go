package pusher

import (
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"resound/channels"
	"resound/frame"
)

// subscription is the data of pusher:subscribe. Strings are views.
type subscription struct {
	channel     string
	auth        string
	channelData string // JSON text as it was signed; empty when absent
}

// parseSubscription reads the data of pusher:subscribe.
//
// Reverb: channel must be a string; auth a string or null; channel_data a string
// of JSON or null.
func parseSubscription(m *message) (sub subscription, ok bool) {
	object, ok := m.object()
	if !ok {
		return sub, false
	}
	var channel, signed, data gjson.Result
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "channel":
			channel = value
		case "auth":
			signed = value
		case "channel_data":
			data = value
		}
		return true
	})
	if channel.Type != gjson.String || !stringOrNull(signed) || !stringOrNull(data) {
		return sub, false
	}
	if data.Str != "" && !ValidJSON(data.Str) {
		return sub, false
	}
	return subscription{channel: channel.Str, auth: signed.Str, channelData: data.Str}, true
}

func stringOrNull(r gjson.Result) bool { return r.Type == gjson.String || r.Type == gjson.Null }

// onSubscribe handles pusher:subscribe.
//
// Pusher: section "Subscribing". Reverb: EventHandler::subscribe.
func (s *Shard) onSubscribe(conn int32, ss *session, m *message) {
	sub, ok := parseSubscription(m)
	if !ok {
		s.sendError(conn, ErrMessageFormat)
		return
	}
	if user, ok := strings.CutPrefix(sub.channel, channels.ServerToUserPrefix); ok {
		s.subscribeUser(conn, ss, sub.channel, user)
		return
	}
	kind := channels.KindOf(sub.channel)
	if e := s.checkSubscription(conn, ss, &sub, kind); e != nil {
		s.refuse(conn, sub.channel, e)
		return
	}
	if kind.Is(channels.Private) {
		s.authorize(conn, ss)
	}
	if kind.Is(channels.Presence) {
		s.join(conn, ss, &sub)
	} else {
		s.subscribe(conn, ss, &sub, kind)
	}
}

// refuse answers a subscription that failed: to the connection as Reverb does,
// and to the channel so that its listeners hear of it.
func (s *Shard) refuse(conn int32, channel string, e *Error) {
	s.sendError(conn, e)
	s.send(conn, func(dst []byte) []byte { return appendSubscriptionError(dst, channel, e) })
}

// checkSubscription authorizes a subscription and holds it against the limits.
func (s *Shard) checkSubscription(conn int32, ss *session, sub *subscription, kind channels.Kind) *Error {
	app := ss.app.app
	o := app.Options()
	switch {
	case len(sub.channel) > o.MaxChannelNameBytes:
		return ErrChannelName
	case kind.Is(channels.Private) && !s.authorized(conn, app, sub, kind):
		return ErrUnauthorized
	case ss.subscriptions.Len() >= o.MaxSubscriptionsPerConnection &&
		!ss.app.registry.Subscribed(conn, sub.channel):
		return ErrSubscriptions
	}
	return nil
}

// authorized checks the signature of a subscription: of the app's key, over this
// very connection, channel and channel_data.
//
// Pusher: channel authorization. Departs: Reverb does not look at the key.
func (s *Shard) authorized(conn int32, app *App, sub *subscription, kind channels.Kind) bool {
	signature, ok := app.signature(sub.auth)
	if !ok {
		return false
	}
	var buf [32]byte
	id := view(s.socketID(conn).Append(buf[:0]))
	if app.Secret().VerifyChannel(signature, id, sub.channel, sub.channelData) {
		return true
	}
	// Pusher signs channel_data only for presence channels, Reverb whenever it
	// is there.
	return sub.channelData != "" && !kind.Is(channels.Presence) &&
		app.Secret().VerifyChannel(signature, id, sub.channel, "")
}

// subscribe adds the connection to a channel without a roster. Subscribing again
// is answered again and changes nothing.
func (s *Shard) subscribe(conn int32, ss *session, sub *subscription, kind channels.Kind) {
	var now time.Time
	if kind.Is(channels.Cache) {
		now = s.node.Now()
	}
	registry, directory := ss.app.registry, ss.app.app.directory
	var kept *channels.CachedEvent
	if registry.Subscribed(conn, sub.channel) {
		if registry.Waits(conn, sub.channel) {
			return // one answer will do for both
		}
		if kind.Is(channels.Cache) {
			d, _ := directory.Revisit(sub.channel, "", nil, now)
			if kept = d.Cached; kept != nil {
				// What waits in the mailbox is older than the event it gets now.
				registry.Subscribe(conn, d.Name, d.Since)
			}
		}
	} else {
		d := directory.Subscribe(sub.channel, s.index, now)
		ss.app.tally.subscriptions.Add(1)
		if d.Waiting {
			registry.Subscribe(conn, d.Name, channels.Waiting)
			return
		}
		if !kind.Is(channels.Cache) {
			d.Since = 0
		}
		registry.Subscribe(conn, d.Name, d.Since)
		kept = d.Cached
	}
	s.subscribed(conn, sub.channel, kind, kept)
}

// subscribed answers a subscription of a channel without a roster.
func (s *Shard) subscribed(conn int32, channel string, kind channels.Kind, kept *channels.CachedEvent) {
	s.send(conn, func(dst []byte) []byte { return appendSubscribed(dst, channel, nil) })
	if kind.Is(channels.Cache) {
		s.sendCached(conn, channel, kept)
	}
}

// sendCached sends a new subscriber the channel's last event, or tells it that
// there is none.
//
// Pusher: cache channels.
func (s *Shard) sendCached(conn int32, channel string, kept *channels.CachedEvent) {
	as := s.session(conn).app
	if as == nil {
		return // it was closed when it was told that it is subscribed, as too slow
	}
	if kept == nil {
		s.send(conn, func(dst []byte) []byte { return appendCacheMiss(dst, channel) })
		s.node.hook(as.app, Hook{Name: HookCacheMiss, Channel: channel})
		return
	}
	s.sendFrame(conn, kept.Frame)
}

// join adds the connection to a presence channel as a member.
//
// Pusher: presence channels. Reverb: PresenceChannel::subscribe. Departs: a
// member needs a user_id but no user_info; joining again as somebody else makes
// the first leave.
func (s *Shard) join(conn int32, ss *session, sub *subscription) {
	o := ss.app.app.Options()
	if len(sub.channelData) > o.MaxPresenceMemberBytes {
		s.refuse(conn, sub.channel, ErrMemberTooLarge)
		return
	}
	member, ok := s.member(ss, sub)
	switch {
	case !ok:
		s.refuse(conn, sub.channel, ErrMember)
		return
	case len(member.ID) > o.MaxUserIDBytes:
		s.refuse(conn, sub.channel, ErrUserID)
		return
	case len(member.Info) > o.MaxPresenceMemberBytes: // that of a sign-in; channel_data was measured
		s.refuse(conn, sub.channel, ErrMemberTooLarge)
		return
	}
	directory := ss.app.app.directory
	cache := channels.KindOf(sub.channel).Is(channels.Cache)
	if was := ss.member(sub.channel); was != nil && was.ID == member.ID {
		if ss.app.registry.Waits(conn, sub.channel) {
			return // one answer will do for both
		}
		d, _ := directory.Revisit(sub.channel, member.ID, nil, s.node.Now())
		ss.app.registry.Subscribe(conn, d.Name, d.Since)
		s.welcome(conn, &d, cache)
		return
	}
	if s.node.overloaded(directory.Interest(sub.channel)) {
		s.refuse(conn, sub.channel, ErrBusy)
		return
	}
	if ss.member(sub.channel) != nil {
		s.unsubscribe(conn, ss, sub.channel)
		if ss.app == nil {
			return // it was closed when it was told what became of its events, as too slow
		}
	}

	d, _, err := directory.Join(sub.channel, s.index, member, o.MaxPresenceMembers, nil, s.node.Now())
	if err != nil {
		s.refuse(conn, sub.channel, ErrMembers)
		return
	}
	if d.Waiting {
		d.Since = channels.Waiting
	}
	ss.app.registry.Subscribe(conn, d.Name, d.Since)
	ss.app.tally.subscriptions.Add(1)
	x := ss.more()
	if x.members == nil {
		x.members = make(map[string]*channels.Member, 1)
	}
	x.members[d.Name] = member
	ss.app.identify(member.ID, conn)
	if !d.Waiting {
		s.welcome(conn, &d, cache)
	}
}

// welcome tells a member the roster.
func (s *Shard) welcome(conn int32, d *channels.Subscribed, cache bool) {
	const overhead = len(`{"event":"pusher_internal:subscription_succeeded","data":"{\"presence\":{\"count\":,\"ids\":[],\"hash\":{}}}","channel":}`) + 20
	if size := frame.HeaderRoom + overhead + d.Roster.Len() + 2*len(d.Name); size > maxScratchBytes {
		// Large rosters are put together where they stay until they are written.
		buf := appendSubscribed(make([]byte, frame.HeaderRoom, size), d.Name, d.Roster)
		s.reactor.Send(conn, frame.Seal(buf))
	} else {
		s.send(conn, func(dst []byte) []byte { return appendSubscribed(dst, d.Name, d.Roster) })
	}
	if cache {
		s.sendCached(conn, d.Name, d.Cached)
	}
}

// member is who joins: channel_data says it, or else the sign-in.
//
// Pusher: a signed-in user may subscribe to a presence channel without
// channel_data.
func (s *Shard) member(ss *session, sub *subscription) (m *channels.Member, ok bool) {
	if u := ss.user(); sub.channelData == "" && u != nil {
		return &channels.Member{ID: u.id, IDJSON: string(appendString(nil, u.id)), Info: u.info}, true
	}
	return parseMember(sub.channelData)
}

// parseMember reads channel_data: an object with a user_id that is a string or a
// number. The member owns its strings.
//
// Pusher: 10 and "10" are the same user.
func parseMember(channelData string) (*channels.Member, bool) {
	if channelData == "" {
		return nil, false
	}
	object := gjson.Parse(channelData)
	if !object.IsObject() {
		return nil, false
	}
	var id, info gjson.Result
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "user_id":
			id = value
		case "user_info":
			info = value
		}
		return true
	})
	m := &channels.Member{IDJSON: strings.Clone(id.Raw), Info: "null"}
	switch {
	case id.Type == gjson.String && id.Str != "":
		m.ID = strings.Clone(id.Str)
	case id.Type == gjson.Number:
		m.ID = m.IDJSON
	default:
		return nil, false
	}
	if info.Raw != "" {
		m.Info = strings.Clone(info.Raw)
	}
	return m, true
}

// onUnsubscribe handles pusher:unsubscribe, which has no answer.
func (s *Shard) onUnsubscribe(conn int32, ss *session, m *message) {
	object, ok := m.object()
	channel := field(object, "channel")
	if !ok || channel.Type != gjson.String {
		s.sendError(conn, ErrMessageFormat)
		return
	}
	s.unsubscribe(conn, ss, channel.Str)
}

func (s *Shard) unsubscribe(conn int32, ss *session, channel string) {
	if last, removed := ss.app.registry.Unsubscribe(conn, channel); removed {
		s.unsubscribed(conn, ss, channel, last)
		s.release(conn, ss, channel)
	}
}

// unsubscribed tells the node that the connection left a channel.
func (s *Shard) unsubscribed(conn int32, ss *session, channel string, last bool) {
	ss.app.tally.subscriptions.Add(-1)
	app := ss.app.app
	member := ss.member(channel)
	if member == nil {
		app.directory.Unsubscribe(channel, s.index, last)
		return
	}
	delete(ss.extra.members, channel)
	ss.app.forget(member.ID, conn)
	app.directory.Leave(channel, s.index, last, member.ID)
}

// identify and forget keep the index of users, by which they are terminated.
func (a *appShard) identify(user string, conn int32) {
	conns := a.members[user]
	if conns == nil {
		if a.members == nil {
			a.members = make(map[string]map[int32]int32)
		}
		conns = make(map[int32]int32, 1)
		a.members[user] = conns
	}
	conns[conn]++
}

func (a *appShard) forget(user string, conn int32) {
	conns := a.members[user]
	if conns[conn]--; conns[conn] <= 0 {
		delete(conns, conn)
	}
	if len(conns) == 0 {
		delete(a.members, user)
	}
}
