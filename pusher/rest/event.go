package rest

import (
	"github.com/valyala/fasthttp"

	"resound/pusher"
)

// event is one event of a trigger as the body has it: tokens, empty for what is
// absent. Of equal keys the last one counts.
type event struct {
	name, data, channel, channels, socketID, info string
}

func (e *event) read(object string) {
	*e = event{}
	for members := valuesOf(object); ; {
		key, value, ok := members.next()
		if !ok {
			return
		}
		switch plain(key) {
		case "name":
			e.name = value
		case "data":
			e.data = value
		case "channel":
			e.channel = value
		case "channels":
			e.channels = value
		case "socket_id":
			e.socketID = value
		case "info":
			e.info = value
		}
	}
}

// validate checks what both kinds of trigger demand alike. prefix stands before
// the name of each field.
func (e *event) validate(m *messages, prefix string) {
	m.requireString(prefix+"name", e.name)
	m.requireString(prefix+"data", e.data)
	m.allowString(prefix+"socket_id", e.socketID)
	m.allowString(prefix+"info", e.info)
}

// checkLimits refuses an event that is larger than the app allows.
func (e *event) checkLimits(o *pusher.AppOptions) error {
	if longer(e.name, o.MaxEventNameBytes) {
		return badRequest("Bad request. The event name is longer than %d bytes.", o.MaxEventNameBytes)
	}
	if longer(e.data, o.MaxEventBytes) {
		return refuse(fasthttp.StatusRequestEntityTooLarge, "Payload too large. The data of an event may have %d bytes in this application.", o.MaxEventBytes)
	}
	return nil
}

func checkChannelName(channel string, o *pusher.AppOptions) error {
	if o.MaxChannelNameBytes > 0 && len(channel) > o.MaxChannelNameBytes {
		return badRequest("Bad request. A channel name of %d bytes is longer than %d bytes.", len(channel), o.MaxChannelNameBytes)
	}
	return nil
}

// except returns the connection that must not receive the event.
//
// Reverb: a socket_id that is malformed or unknown excludes nobody.
func (e *event) except() pusher.SocketID {
	if e.socketID == "" {
		return pusher.SocketID{}
	}
	id, _ := pusher.ParseSocketID(plain(e.socketID))
	return id
}

// attributes returns what the response shall tell of the event's channels.
func (e *event) attributes() attributes {
	if e.info == "" {
		return 0
	}
	return parseAttributes(plain(e.info))
}

// wantsAnswer reports whether the response has an entry for the event.
func (e *event) wantsAnswer() bool { return len(e.info) > len(`""`) }
