package webhook

import (
	"encoding/json"
	"fmt"
	"strings"
)

// EventType is what an event is about. The zero value is no type.
type EventType uint8

// Pusher: webhooks, the seven events.
const (
	ChannelOccupied   EventType = iota + 1 // first subscriber came
	ChannelVacated                         // last subscriber left
	MemberAdded                            // a user's first connection joined a presence channel
	MemberRemoved                          // a user's last connection left it
	ClientEvent                            // a connection sent a client event
	CacheMiss                              // a subscriber found nothing in a cache channel
	SubscriptionCount                      // the number of subscribers changed
)

var typeNames = [...]string{
	ChannelOccupied:   "channel_occupied",
	ChannelVacated:    "channel_vacated",
	MemberAdded:       "member_added",
	MemberRemoved:     "member_removed",
	ClientEvent:       "client_event",
	CacheMiss:         "cache_miss",
	SubscriptionCount: "subscription_count",
}

// ParseEventType returns the type with Pusher's name.
func ParseEventType(name string) (EventType, error) {
	for t, known := range typeNames {
		if known == name && name != "" {
			return EventType(t), nil
		}
	}
	return 0, fmt.Errorf("event type %q is none of %s", name, strings.Join(typeNames[1:], ", "))
}

func (t EventType) valid() bool { return t >= ChannelOccupied && t <= SubscriptionCount }

// String returns Pusher's name.
func (t EventType) String() string {
	if !t.valid() {
		return fmt.Sprintf("EventType(%d)", uint8(t))
	}
	return typeNames[t]
}

// MarshalText is for stored events.
func (t EventType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is for stored events.
func (t *EventType) UnmarshalText(text []byte) (err error) {
	*t, err = ParseEventType(string(text))
	return err
}

// typeSet is a set of event types.
type typeSet uint16

const allTypes = 1<<(SubscriptionCount+1) - 1<<ChannelOccupied

func setOf(types ...EventType) (s typeSet) {
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

// interest is the set of types that make an event of type t matter. An edge and
// its opposite matter together: whoever wants only channel_occupied must still
// not hear of a channel that was vacated for a moment.
func (t EventType) interest() typeSet {
	switch t {
	case ChannelOccupied, ChannelVacated:
		return setOf(ChannelOccupied, ChannelVacated)
	case MemberAdded, MemberRemoved:
		return setOf(MemberAdded, MemberRemoved)
	default:
		return setOf(t)
	}
}

// Event is one thing that happened. Which fields count depends on Type; the
// others are ignored. Publish keeps nothing of it.
type Event struct {
	ID      string // becomes that of its Record
	Teller  string // becomes that of its Record
	Type    EventType
	Channel string

	UserID   string // member_*; client_event on presence channels, empty elsewhere
	Name     string // client_event: the event's name
	SocketID string // client_event: the sender

	// Data is the client event's data: the JSON value as it was sent. Nil means
	// there was none.
	Data []byte

	Count  int    // subscription_count
	Number uint64 // subscription_count: becomes that of its Record
}

// condition is that of e's Record.
func (e *Event) condition(o *Options) Condition {
	switch {
	case e.Type == SubscriptionCount && e.Number != 0:
		return Condition{Subject: strings.Clone(e.Channel), Number: e.Number}
	case e.Type == CacheMiss && o.CacheMissInterval > 0:
		return Condition{Subject: strings.Clone(e.Channel), Once: o.CacheMissInterval}
	default:
		return Condition{Teller: strings.Clone(e.Teller)}
	}
}

// payload is an event as receivers see it.
type payload struct {
	Name     string          `json:"name"`
	Channel  string          `json:"channel"`
	Event    string          `json:"event,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
	SocketID string          `json:"socket_id,omitempty"`
	UserID   string          `json:"user_id,omitempty"`
	Count    *int            `json:"subscription_count,omitempty"`
}

// encode returns the JSON of e.
//
// Pusher: webhooks, "Events". user_id is always a string there.
func (e *Event) encode() json.RawMessage {
	p := payload{Name: e.Type.String(), Channel: e.Channel}
	switch e.Type {
	case MemberAdded, MemberRemoved:
		p.UserID = e.UserID
	case ClientEvent:
		p.Event, p.Data, p.SocketID, p.UserID = e.Name, dataString(e.Data), e.SocketID, e.UserID
	case SubscriptionCount:
		count := e.Count // a pointer into e would move every event to the heap
		p.Count = &count
	}
	body, err := json.Marshal(&p)
	if err != nil {
		// dataString let only valid JSON through and the rest are strings.
		panic(fmt.Sprintf("webhook event %s is not JSON: %v", e.Type, err))
	}
	return body
}

// dataString returns data as a JSON string. A string stays as it was sent;
// any other value becomes a string that holds its JSON text.
//
// Pusher: the server libraries of Go and Swift declare data as a string and
// refuse the whole webhook when it is an object.
func dataString(data []byte) json.RawMessage {
	if len(data) == 0 || (data[0] == '"' && json.Valid(data)) {
		return data
	}
	text, _ := json.Marshal(string(data)) // a string always encodes
	return text
}
