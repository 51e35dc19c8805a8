package wire

import (
	"bytes"
	"fmt"
)

// A user of a presence channel is a number, and its id the text
//
//	+------+---------------+---+
//	| ~ru~ | 8 hex: number | ~ |
//	+------+---------------+---+
//
// in which JSON escapes nothing, so that it is found without parsing.
const (
	userMark    = "~ru~"
	userIDBytes = len(userMark) + 8 + 1
)

// AppendUserID appends the id of a user to dst.
func AppendUserID(dst []byte, user uint32) []byte {
	return append(appendHex(append(dst, userMark...), uint64(user), 8), '~')
}

// ReadUserID returns the user whose id comes first in b, and what follows it.
func ReadUserID(b []byte) (user uint32, rest []byte, found bool) {
	at := bytes.Index(b, []byte(userMark))
	if at < 0 || len(b) < at+userIDBytes {
		return 0, nil, false
	}
	number, ok := parseHex(b[at+len(userMark) : at+userIDBytes-1])
	return uint32(number), b[at+userIDBytes:], ok
}

// MemberEvent is a user who joined a presence channel or left it.
type MemberEvent struct {
	User  uint32
	Added bool
}

var (
	memberAdded   = []byte(`"pusher_internal:member_added"`)
	memberRemoved = []byte(`"pusher_internal:member_removed"`)
)

// ReadMemberEvent returns what a text message says of a member, and false when it
// is another message.
//
// Pusher: WebSocket protocol, "pusher_internal:member_added" and "member_removed".
func ReadMemberEvent(payload []byte) (MemberEvent, bool) {
	added := bytes.Contains(payload, memberAdded)
	if !added && !bytes.Contains(payload, memberRemoved) {
		return MemberEvent{}, false
	}
	user, _, found := ReadUserID(payload)
	return MemberEvent{User: user, Added: added}, found
}

// AppendMemberEvent appends the payload by which a server tells of e.
func AppendMemberEvent(dst []byte, channel string, e MemberEvent) []byte {
	name := memberRemoved
	if e.Added {
		name = memberAdded
	}
	return fmt.Appendf(dst, `{"event":%s,"data":"{\"user_id\":\"%s\"}","channel":"%s"}`, name, AppendUserID(nil, e.User), channel)
}

// AppendSubscribeAs appends the payload that subscribes a connection to a presence
// channel as user.
//
// Pusher: WebSocket protocol, "pusher:subscribe"; "Generating authentication
// signatures", presence channels.
func (a App) AppendSubscribeAs(dst []byte, channel, socketID string, user uint32) []byte {
	member := `{"user_id":"` + string(AppendUserID(nil, user)) + `"}`
	signature := Sign(a.Secret, socketID+":"+channel+":"+member)
	return fmt.Appendf(dst, `{"event":"pusher:subscribe","data":{"channel":%q,"auth":"%s:%s","channel_data":%q}}`,
		channel, a.Key, signature, member)
}

// AppendUnsubscribe appends the payload that leaves a channel.
//
// Pusher: WebSocket protocol, "pusher:unsubscribe".
func AppendUnsubscribe(dst []byte, channel string) []byte {
	return fmt.Appendf(dst, `{"event":"pusher:unsubscribe","data":{"channel":%q}}`, channel)
}

// AppendClientEvent appends the payload of a client event with data.
//
// Pusher: WebSocket protocol, "Triggering client events".
func AppendClientEvent(dst []byte, channel string, data []byte) []byte {
	return fmt.Appendf(dst, `{"event":"client-`+EventName+`","channel":%q,"data":"%s"}`, channel, data)
}

// SocketID returns the socket id in a connection_established message.
//
// Pusher: WebSocket protocol, "pusher:connection_established".
func SocketID(payload []byte) (string, bool) {
	_, rest, found := bytes.Cut(payload, []byte(`socket_id`))
	if !found {
		return "", false
	}
	start := bytes.IndexAny(rest, "0123456789")
	if start < 0 {
		return "", false
	}
	id := rest[start:]
	for i, c := range id {
		if (c < '0' || c > '9') && c != '.' {
			return string(id[:i]), true
		}
	}
	return "", false
}
