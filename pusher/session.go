package pusher

import (
	"net/netip"
	"strings"
	"time"

	"resound/channels"
	"resound/frame"
)

// session is the Pusher protocol's state of one connection. Owned by its shard.
// It is kept small, as there may be a million; what few connections need is in
// extra.
type session struct {
	app           *appShard // nil when the connection is not open
	word          uint64    // random half of the socket id, and flags in the bits that it leaves
	subscriptions channels.Subscriptions
	extra         *extra
}

// Flags of a session, above the bits of maxNonce.
const (
	pinged  = 1 << 62 // a ping is unanswered
	control = 1 << 63 // the client has sent a control frame: probe it with pings of its own kind
)

func (ss *session) nonce() uint64       { return ss.word & maxNonce }
func (ss *session) is(flag uint64) bool { return ss.word&flag != 0 }
func (ss *session) set(flag uint64)     { ss.word |= flag }
func (ss *session) clear(flag uint64)   { ss.word &^= flag }

// extra is what only some connections need.
type extra struct {
	user     *user                       // who is signed in; nil for nobody
	members  map[string]*channels.Member // presence channels joined, and as whom
	messages window                      // AppOptions.RateLimit
	events   window                      // AppOptions.MaxClientEventsPerSecond
	held     []heldEvent                 // client events whose subscriptions wait

	// authorizeBy is the second by which the connection must have signed in or
	// subscribed to a private channel; 0 when it need not, or has.
	authorizeBy uint32
}

func (ss *session) more() *extra {
	if ss.extra == nil {
		ss.extra = &extra{}
	}
	return ss.extra
}

// user is who is signed in, or nil.
func (ss *session) user() *user {
	if ss.extra == nil {
		return nil
	}
	return ss.extra.user
}

// member is who the session is in a presence channel, or nil.
func (ss *session) member(channel string) *channels.Member {
	if ss.extra == nil {
		return nil
	}
	return ss.extra.members[channel]
}

// window counts what happened since it began.
type window struct {
	began uint32 // second
	count uint32
}

// admit counts one more and reports whether it is within limit for each period
// of the given seconds, the first beginning with the first event.
func (w *window) admit(now, seconds, limit uint32) bool {
	if w.count == 0 || now-w.began >= seconds {
		*w = window{began: now}
	}
	w.count++
	return w.count <= limit
}

func (s *Shard) socketID(conn int32) SocketID {
	return SocketID{nonce: s.session(conn).nonce(), slot: slotOf(s.index, conn)}
}

// traceConn is node.trace for a connection.
func (s *Shard) traceConn(conn int32, what, payload string) {
	if s.node.options.Trace != nil {
		s.node.options.Trace(what, s.socketID(conn).String(), payload)
	}
}

// traceOpen tells of a new connection: where its client is, if the reactor knows,
// and the page's origin.
func (s *Shard) traceOpen(conn int32, origin string) {
	if s.node.options.Trace == nil {
		return
	}
	text := origin
	if r, ok := s.reactor.(interface {
		ClientAddr(conn int32) netip.AddrPort
	}); ok {
		if a := r.ClientAddr(conn); a.IsValid() {
			from := a.String()
			if a.Port() == 0 {
				from = a.Addr().String() // a proxy told no more
			}
			text = strings.TrimSpace("from " + from + " " + origin)
		}
	}
	s.traceConn(conn, "Connection Established", text)
}

// OnOpen admits a connection to the app its path names, or refuses it with an
// error and the error's close code.
//
// Reverb: Pusher\Server::open. Departs: refused connections are closed.
func (s *Shard) OnOpen(conn int32, req *frame.Request) {
	s.grow(conn)
	ss := s.session(conn)
	*ss = session{}
	app, e := s.admit(req)
	if e != nil {
		s.node.trace("Connection Refused", view(req.Path), e.Message)
		s.node.refusals.add(e.Code)
		s.fail(conn, e)
		return
	}
	ss.app = s.appShard(app)
	ss.word = s.node.options.NewNonce() & maxNonce
	s.openedAt[conn>>sessionBits][conn&(sessionBlock-1)] = s.reactor.Now()
	ss.app.tally.opened.Add(1)
	o := app.Options()
	s.reactor.SetReadLimit(conn, uint32(o.MaxMessageBytes))
	if o.AuthorizedConnectionsTimeout > 0 {
		ss.more().authorizeBy = s.reactor.Now() + seconds(o.AuthorizedConnectionsTimeout)
	}
	s.touch(conn, ss)
	s.traceOpen(conn, view(req.Origin))
	s.send(conn, func(dst []byte) []byte {
		return appendEstablished(dst, s.socketID(conn), int(seconds(o.ActivityTimeout)))
	})
}

// admit finds the app of a handshake and counts the connection.
func (s *Shard) admit(req *frame.Request) (*App, *Error) {
	n := s.node
	app := n.AppByKey(appKey(view(req.Path)))
	version := checkVersion(view(req.Query))
	switch {
	case app == nil:
		return nil, ErrAppUnknown
	case version != nil:
		return nil, version
	case app.Options().Disabled:
		return nil, ErrAppDisabled
	case n.Draining():
		return nil, ErrDraining
	case !n.admit():
		return nil, ErrOverCapacity
	}
	o := app.Options()
	if !app.admit(o.MaxConnections) {
		n.connections.Add(-1)
		return nil, ErrQuota
	}
	if !originAllowed(o.AllowedOrigins, view(req.Origin)) {
		app.release()
		n.connections.Add(-1)
		return nil, ErrOrigin
	}
	return app, nil
}

// OnClosed forgets a connection: its subscriptions end, and members leave.
func (s *Shard) OnClosed(conn int32) {
	ss := s.session(conn)
	if ss.app == nil {
		return
	}
	s.traceConn(conn, "Connection Closed", "")
	for {
		name, last, ok := ss.app.registry.UnsubscribeAny(conn)
		if !ok {
			break
		}
		s.unsubscribed(conn, ss, name, last)
	}
	s.signOut(conn, ss)
	s.dropHeld(ss)
	ss.app.tally.closed.Add(1)
	ss.app.app.release()
	s.node.connections.Add(-1)
	*ss = session{}
}

// OnControl notes a ping or pong frame.
//
// Reverb: a connection that ever sent a control frame is probed with WebSocket
// pings instead of pusher:ping.
func (s *Shard) OnControl(conn int32) {
	ss := s.session(conn)
	if ss.app == nil {
		return
	}
	s.traceConn(conn, "Control Frame Received", "")
	ss.set(control)
	s.touch(conn, ss)
}

// touch notes that the client is alive.
func (s *Shard) touch(conn int32, ss *session) {
	ss.clear(pinged)
	s.wakeIn(conn, ss, ss.app.app.Options().PingInterval)
}

// wakeIn asks for OnDeadline after a time, or when the connection must have shown
// whose it is.
func (s *Shard) wakeIn(conn int32, ss *session, after time.Duration) {
	at := s.reactor.Now() + seconds(after)
	if ss.extra != nil && ss.extra.authorizeBy != 0 {
		at = min(at, ss.extra.authorizeBy)
	}
	s.reactor.SetDeadline(conn, at)
}

// authorize notes that the connection proved who it belongs to.
func (s *Shard) authorize(conn int32, ss *session) {
	if ss.extra != nil && ss.extra.authorizeBy != 0 {
		ss.extra.authorizeBy = 0
		s.touch(conn, ss)
	}
}

// OnDeadline pings a silent client, and gives up on one that was pinged.
//
// Pusher: activity timeout, code 4201. Departs: Reverb looks once a minute, and
// only at connections with a subscription.
func (s *Shard) OnDeadline(conn int32) {
	ss := s.session(conn)
	if ss.app == nil {
		return
	}
	if ss.extra != nil && ss.extra.authorizeBy != 0 && s.reactor.Now() >= ss.extra.authorizeBy {
		s.fail(conn, ErrNotAuthorizedInTime)
		return
	}
	if ss.is(pinged) {
		s.traceConn(conn, "Connection Pruned", "")
		s.fail(conn, ErrPongTimeout)
		return
	}
	s.traceConn(conn, "Connection Pinged", "")
	ss.set(pinged)
	s.wakeIn(conn, ss, ss.app.app.Options().PongTimeout)
	if ss.is(control) {
		s.reactor.Send(conn, frameWSPing)
	} else {
		s.sendFrame(conn, framePing)
	}
}

// seconds rounds a duration up to whole seconds, at least one.
func seconds(d time.Duration) uint32 {
	return max(1, uint32((d+time.Second-1)/time.Second))
}
