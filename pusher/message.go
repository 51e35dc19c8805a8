package pusher

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"resound/channels"
)

// message is a client's event. Strings are views of the received bytes.
type message struct {
	event    string
	eventRaw string // JSON token
	channel  gjson.Result
	data     gjson.Result
}

// parseMessage reads the envelope every client event comes in. ok is false when
// it is not a JSON object whose event is a string. Of duplicate keys the last
// counts, as in PHP and JavaScript.
func parseMessage(isText bool, payload []byte) (m message, ok bool) {
	if !isText && !utf8.Valid(payload) || !ValidJSON(view(payload)) {
		return m, false
	}
	object := gjson.Parse(view(payload))
	if !object.IsObject() {
		return m, false
	}
	var event gjson.Result
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "event":
			event = value
		case "channel":
			m.channel = value
		case "data":
			m.data = value
		}
		return true
	})
	m.event, m.eventRaw = event.Str, event.Raw
	return m, event.Type == gjson.String
}

// object returns data as an object, which may have come as a string of JSON.
//
// Reverb: a data string that holds JSON is decoded first.
func (m *message) object() (o gjson.Result, ok bool) {
	o = m.data
	if o.Type == gjson.String {
		if !ValidJSON(o.Str) {
			return o, false
		}
		o = gjson.Parse(o.Str)
	}
	return o, o.IsObject()
}

// OnMessage handles a client's message.
//
// Reverb: Pusher\Server::message and EventHandler::handle.
func (s *Shard) OnMessage(conn int32, text bool, payload []byte) {
	ss := s.session(conn)
	if ss.app == nil {
		return
	}
	s.traceConn(conn, "Message Received", view(payload))
	ss.app.tally.receive(len(payload))
	s.touch(conn, ss)
	if !s.withinRate(conn, ss) {
		return
	}
	m, ok := parseMessage(text, payload)
	if !ok {
		s.sendError(conn, ErrMessageFormat)
		return
	}
	switch {
	case m.event == "pusher:ping":
		s.sendFrame(conn, framePong)
	case m.event == "pusher:pong":
	case m.event == "pusher:subscribe":
		s.onSubscribe(conn, ss, &m)
	case m.event == "pusher:unsubscribe":
		s.onUnsubscribe(conn, ss, &m)
	case m.event == "pusher:signin":
		s.onSignin(conn, ss, &m)
	case strings.HasPrefix(m.event, "client-"):
		s.onClientEvent(conn, ss, &m)
	case strings.HasPrefix(m.event, "pusher:") || !m.harmless():
		s.sendError(conn, ErrMessageFormat)
	}
	// Reverb: any other event is silently ignored.
	if s.node.options.Trace != nil && s.session(conn).app != nil { // it is open still
		s.traceConn(conn, "Message Handled", "")
	}
}

// harmless reports whether an event that means nothing here has a form that
// Reverb ignores: a channel, and data that is no bare value.
func (m *message) harmless() bool {
	if m.channel.Type != gjson.String {
		return false
	}
	if m.data.Type == gjson.Null || m.data.IsArray() {
		return true
	}
	_, ok := m.object()
	return ok
}

// withinRate counts a message against the app's rate limit and answers one that
// exceeds it.
//
// Reverb: rate_limiting. Departs: with terminate_on_limit the client is told
// before the connection closes.
func (s *Shard) withinRate(conn int32, ss *session) bool {
	limit := &ss.app.app.Options().RateLimit
	if limit.MaxAttempts == 0 {
		return true
	}
	if ss.more().messages.admit(s.reactor.Now(), seconds(limit.Decay), uint32(limit.MaxAttempts)) {
		return true
	}
	if limit.Terminate {
		s.fail(conn, ErrRateLimit)
	} else {
		s.sendError(conn, ErrRateLimit)
	}
	return false
}

// onClientEvent relays an event of a client to the other subscribers of its
// channel.
//
// Pusher: client events. Reverb: ClientEvent, accept_client_events_from.
func (s *Shard) onClientEvent(conn int32, ss *session, m *message) {
	if m.channel.Type != gjson.String {
		s.sendError(conn, ErrMessageFormat)
		return
	}
	o := ss.app.app.Options()
	channel := m.channel.Str
	if e := s.checkClientEvent(conn, ss, o, m.event, channel); e != nil {
		s.sendError(conn, e)
		return
	}
	event := Event{Channel: channel, Name: m.eventRaw, Data: m.data.Raw, Except: s.socketID(conn)}
	if event.Data == "" {
		event.Data = "null"
	}
	if ss.app.registry.Waits(conn, channel) {
		s.hold(conn, ss, &event, m.event)
		return
	}
	s.relay(conn, ss, &event, m.event)
}

// relay publishes a client event that may be. name is its plain name.
func (s *Shard) relay(conn int32, ss *session, event *Event, name string) {
	if member := ss.member(event.Channel); member != nil {
		event.UserID = member.IDJSON
	}
	if s.node.publish(ss.app.app, *event, appendClientEvent) != nil {
		s.sendError(conn, ErrOverload)
		return
	}
	ss.app.tally.clientEvents.Add(1)
	s.node.watched(ss.app.app, *event, true)
	s.clientEventHook(ss, event, name)
}

// mayTalk reports whether a connection may send client events to a channel, as far
// as that depends on its subscription.
func (a *appShard) mayTalk(conn int32, channel string) bool {
	return a.app.Options().ClientEventsFrom != ClientEventsFromMembers || a.registry.Subscribed(conn, channel)
}

// checkClientEvent says why an event must not be relayed, or nil.
func (s *Shard) checkClientEvent(conn int32, ss *session, o *AppOptions, event, channel string) *Error {
	switch {
	case o.ClientEventsFrom == ClientEventsFromNone:
		return ErrClientEvents
	case !ss.app.mayTalk(conn, channel):
		return ErrNotMember
	case o.NoClientEventsOnPublicChannels && !channels.KindOf(channel).Is(channels.Private):
		return ErrPublicClient
	case len(event) > o.MaxEventNameBytes:
		return ErrEventName
	case o.MaxClientEventsPerSecond > 0 && !ss.more().events.admit(s.reactor.Now(), 1, uint32(o.MaxClientEventsPerSecond)):
		return ErrClientRate
	}
	return nil
}
