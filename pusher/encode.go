package pusher

import (
	"strconv"
	"strings"

	"resound/channels"
	"resound/frame"
)

// Encoders append the payload of a frame, in the key order of Reverb. Strings
// named raw are JSON tokens that are copied as they are.

// appendEstablished appends pusher:connection_established.
//
// Pusher: the first frame of a connection. Reverb: Pusher\EventHandler::acknowledge.
func appendEstablished(dst []byte, id SocketID, activitySeconds int) []byte {
	dst = append(dst, `{"event":"pusher:connection_established","data":"{\"socket_id\":\"`...)
	dst = id.Append(dst)
	dst = append(dst, `\",\"activity_timeout\":`...)
	dst = strconv.AppendInt(dst, int64(activitySeconds), 10)
	return append(dst, `}"}`...)
}

// appendError appends pusher:error.
//
// Departs: Pusher sends data as an object; we follow Reverb, whose data is a
// JSON string. pusher-js accepts both.
func appendError(dst []byte, e *Error) []byte {
	data := strconv.AppendInt(append(make([]byte, 0, 128), `{"code":`...), int64(e.Code), 10)
	data = appendString(append(data, `,"message":`...), e.Message)
	data = append(data, '}')
	dst = append(dst, `{"event":"pusher:error","data":`...)
	return append(appendString(dst, view(data)), '}')
}

// appendSubscriptionError appends pusher:subscription_error, which reaches the
// channel's own listeners.
//
// Pusher: subscription_error. Departs: Reverb sends only pusher:error, so Echo's
// error() never fires there.
func appendSubscriptionError(dst []byte, channel string, e *Error) []byte {
	kind, status := "LimitReached", e.Code
	if e == ErrUnauthorized || e == ErrMember {
		kind, status = "AuthError", 401
	}
	dst = append(dst, `{"event":"pusher:subscription_error","data":"{\"type\":\"`...)
	dst = append(dst, kind...)
	dst = append(dst, `\",\"error\":\"`...)
	dst = append(dst, e.Message...)
	dst = append(dst, `\",\"status\":`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, `}","channel":`...)
	dst = appendString(dst, channel)
	return append(dst, '}')
}

// appendSubscribed appends pusher_internal:subscription_succeeded. roster is nil
// for channels that have none, whose data is the string "{}".
//
// Reverb: EventHandler::afterSubscribe; an empty channel name is left out.
func appendSubscribed(dst []byte, channel string, roster *channels.RosterText) []byte {
	dst = append(dst, `{"event":"pusher_internal:subscription_succeeded","data":"{`...)
	if roster != nil {
		dst = appendRoster(dst, roster)
	}
	dst = append(dst, `}"`...)
	if channel != "" {
		dst = append(dst, `,"channel":`...)
		dst = appendString(dst, channel)
	}
	return append(dst, '}')
}

// appendRoster appends the presence payload, as it stands in a JSON string: count,
// ids and hash of the members.
//
// Departs: Reverb makes hash a JSON array when ids count up from 0; here it is
// always an object.
func appendRoster(dst []byte, roster *channels.RosterText) []byte {
	dst = append(dst, `\"presence\":{\"count\":`...)
	dst = strconv.AppendInt(dst, int64(roster.Members), 10)
	dst = append(dst, `,\"ids\":[`...)
	dst = roster.AppendIDs(dst)
	dst = append(dst, `],\"hash\":{`...)
	dst = roster.AppendEntries(dst)
	return append(dst, `}}`...)
}

// appendMember appends what appendRoster says of a member. It is
// channels.AppendMember.
func appendMember(ids, entries []byte, m *channels.Member) (_, _ []byte) {
	ids = appendEscaped(ids, m.IDJSON)
	var room [128]byte
	id := appendString(room[:0], m.ID)
	entries = append(appendEscaped(entries, view(id)), ':')
	return ids, appendEscaped(entries, m.Info)
}

// appendMemberAdded appends pusher_internal:member_added.
func appendMemberAdded(dst []byte, channel string, m *channels.Member) []byte {
	data := make([]byte, 0, 64)
	data = append(append(data, `{"user_id":`...), m.IDJSON...)
	data = append(append(data, `,"user_info":`...), m.Info...)
	data = append(data, '}')
	return appendInternal(dst, "pusher_internal:member_added", data, channel)
}

// appendMemberRemoved appends pusher_internal:member_removed.
func appendMemberRemoved(dst []byte, channel string, m *channels.Member) []byte {
	data := make([]byte, 0, 64)
	data = append(append(data, `{"user_id":`...), m.IDJSON...)
	data = append(data, '}')
	return appendInternal(dst, "pusher_internal:member_removed", data, channel)
}

func appendInternal(dst []byte, event string, data []byte, channel string) []byte {
	dst = append(append(dst, `{"event":"`...), event...)
	dst = append(dst, `","data":`...)
	dst = appendString(dst, view(data))
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, channel)
	return append(dst, '}')
}

// appendCacheMiss appends pusher:cache_miss.
//
// Reverb: CacheChannel; no data.
func appendCacheMiss(dst []byte, channel string) []byte {
	dst = append(dst, `{"event":"pusher:cache_miss","channel":`...)
	return append(appendString(dst, channel), '}')
}

// encodeEvent appends the payload of an event's frame.
type encodeEvent func(dst []byte, e *Event) []byte

// appendServerEvent appends an event triggered by the application. The data is
// the JSON string exactly as it was published.
func appendServerEvent(dst []byte, e *Event) []byte {
	dst = append(append(dst, `{"event":`...), e.Name...)
	dst = append(append(dst, `,"data":`...), e.Data...)
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, e.Channel)
	return append(dst, '}')
}

// appendClientEvent appends an event of a client: data as it came, user_id only
// when the sender's presence data was verified.
//
// Departs: Reverb relays {} as []; here data is unchanged.
func appendClientEvent(dst []byte, e *Event) []byte {
	dst = append(append(dst, `{"event":`...), e.Name...)
	dst = append(dst, `,"channel":`...)
	dst = appendString(dst, e.Channel)
	dst = append(append(dst, `,"data":`...), e.Data...)
	if e.UserID != "" {
		dst = append(append(dst, `,"user_id":`...), e.UserID...)
	}
	return append(dst, '}')
}

// Frames that are always the same, encoded once.
var (
	framePong   = text(`{"event":"pusher:pong"}`)
	framePing   = text(`{"event":"pusher:ping"}`)
	frameWSPing = frame.AppendPing(nil, nil)
)

func text(payload string) []byte { return frame.AppendText(nil, []byte(payload)) }

// appendSignedIn appends pusher:signin_success. userData is the JSON text that
// was signed.
//
// Pusher: data is an object, not a string.
func appendSignedIn(dst []byte, userData string) []byte {
	dst = append(dst, `{"event":"pusher:signin_success","data":{"user_data":`...)
	return append(appendString(dst, userData), `}}`...)
}

// appendWatchlist appends pusher_internal:watchlist_events with who is online
// and who is offline; a list that is empty is left out.
//
// Pusher: watchlist events.
func appendWatchlist(dst []byte, online, offline []string) []byte {
	dst = append(dst, `{"event":"pusher_internal:watchlist_events","data":{"events":[`...)
	for i, list := range [][]string{online, offline} {
		if len(list) == 0 {
			continue
		}
		if i == 1 && len(online) > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, `{"name":"`...), [...]string{"online", "offline"}[i]...)
		dst = append(dst, `","user_ids":[`...)
		for j, id := range list {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, id)
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, `]}}`...)
}

// countPrefix is how a subscription count begins, up to the number.
const countPrefix = `{"event":"pusher_internal:subscription_count","data":"{\"subscription_count\":`

// appendCount appends pusher_internal:subscription_count.
//
// Pusher: subscription count events.
func appendCount(dst []byte, channel string, subscriptions int) []byte {
	dst = append(dst, countPrefix...)
	dst = strconv.AppendInt(dst, int64(subscriptions), 10)
	dst = append(dst, `}","channel":`...)
	return append(appendString(dst, channel), '}')
}

// countOf reads the number that appendCount wrote; ok is false for any other
// payload.
func countOf(payload []byte) (subscriptions int, ok bool) {
	rest, ok := strings.CutPrefix(view(payload), countPrefix)
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(rest, "}")
	n, err := strconv.Atoi(number)
	return n, err == nil
}
