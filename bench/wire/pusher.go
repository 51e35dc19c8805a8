package wire

import (
	"bytes"
	"fmt"
)

// EventName is the name of every event the generator triggers.
const EventName = "bench"

// Payloads the client sends.
//
// Pusher: WebSocket protocol, "pusher:pong".
var Pong = []byte(`{"event":"pusher:pong","data":{}}`)

// Kind is what a text message of the server means to the client.
type Kind uint8

// The kinds Classify tells apart.
const (
	KindOther Kind = iota
	KindEstablished
	KindSubscribed
	KindPing
	KindError
)

var kindNames = []struct {
	kind Kind
	name []byte
}{
	{KindEstablished, []byte(`"pusher:connection_established"`)},
	{KindSubscribed, []byte(`"pusher_internal:subscription_succeeded"`)},
	{KindPing, []byte(`"pusher:ping"`)},
	{KindError, []byte(`"pusher:error"`)},
	{KindError, []byte(`"pusher:subscription_error"`)},
}

// Classify returns what a text message that carries no stamp is. It searches for
// the event's name instead of parsing JSON; the generator's own events and
// channels contain none of these names.
func Classify(payload []byte) Kind {
	for _, k := range kindNames {
		if bytes.Contains(payload, k.name) {
			return k.kind
		}
	}
	return KindOther
}

// AppendSubscribe appends the payload that subscribes to a public channel.
//
// Pusher: WebSocket protocol, "pusher:subscribe".
func AppendSubscribe(dst []byte, channel string) []byte {
	return fmt.Appendf(dst, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
}

// AppendEvent appends the payload by which a server delivers an event.
//
// Reverb: key order event, data, channel.
func AppendEvent(dst []byte, channel string, data []byte) []byte {
	dst = append(dst, `{"event":"`+EventName+`","data":"`...)
	dst = append(dst, data...)
	return append(dst, `","channel":"`+channel+`"}`...)
}

// AppendEstablished appends the payload of pusher:connection_established.
func AppendEstablished(dst []byte, socketID string) []byte {
	return fmt.Appendf(dst, `{"event":"pusher:connection_established","data":"{\"socket_id\":\"%s\",\"activity_timeout\":30}"}`, socketID)
}

// AppendSubscribed appends the payload of pusher_internal:subscription_succeeded.
func AppendSubscribed(dst []byte, channel string) []byte {
	return fmt.Appendf(dst, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"%s"}`, channel)
}
