package webhook

import (
	"encoding/json"
	"testing"
)

func TestEventHasTheFieldsOfItsType(t *testing.T) {
	// Fields that a type does not have are set in every row, and must not show.
	all := Event{Channel: "presence-x", UserID: "u", Name: "client-a", SocketID: "1.2", Data: []byte(`"d"`), Count: 3}
	tests := []struct {
		typ  EventType
		want string
	}{
		{ChannelOccupied, `{"name":"channel_occupied","channel":"presence-x"}`},
		{ChannelVacated, `{"name":"channel_vacated","channel":"presence-x"}`},
		{MemberAdded, `{"name":"member_added","channel":"presence-x","user_id":"u"}`},
		{MemberRemoved, `{"name":"member_removed","channel":"presence-x","user_id":"u"}`},
		{ClientEvent, `{"name":"client_event","channel":"presence-x","event":"client-a","data":"d","socket_id":"1.2","user_id":"u"}`},
		{CacheMiss, `{"name":"cache_miss","channel":"presence-x"}`},
		{SubscriptionCount, `{"name":"subscription_count","channel":"presence-x","subscription_count":3}`},
	}
	for _, tt := range tests {
		t.Run(tt.typ.String(), func(t *testing.T) {
			e := all
			e.Type = tt.typ
			if got := string(e.encode()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestClientEventOutsidePresenceHasNoUser(t *testing.T) {
	e := Event{Type: ClientEvent, Channel: "private-x", Name: "client-a", SocketID: "1.2"}
	want := `{"name":"client_event","channel":"private-x","event":"client-a","socket_id":"1.2"}`
	if got := string(e.encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestCountOfNobodyIsSent(t *testing.T) {
	e := Event{Type: SubscriptionCount, Channel: "x"}
	want := `{"name":"subscription_count","channel":"x","subscription_count":0}`
	if got := string(e.encode()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestClientEventDataIsAlwaysAString(t *testing.T) {
	tests := []struct {
		name, data, want string
	}{
		{"a string", `"hello"`, "hello"},
		{"a string that holds JSON", `"{\"a\":1}"`, `{"a":1}`},
		{"an object", `{"a": [1, "<b>"]}`, `{"a": [1, "<b>"]}`},
		{"a number", `12.50`, `12.50`},
		{"null", `null`, `null`},
		{"a string with an escape", `"\u00e4\n"`, "ä\n"},
		{"something broken that begins as a string", `"abc`, `"abc`},
		{"two strings", `"a""b"`, `"a""b"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := Event{Type: ClientEvent, Channel: "private-x", Name: "client-a", Data: []byte(tt.data)}
			var got struct{ Data string }
			if err := json.Unmarshal(e.encode(), &got); err != nil {
				t.Fatal(err)
			}
			if got.Data != tt.want {
				t.Errorf("got data %q, want %q", got.Data, tt.want)
			}
		})
	}
}

func TestParseEventType(t *testing.T) {
	for typ := ChannelOccupied; typ <= SubscriptionCount; typ++ {
		if got, err := ParseEventType(typ.String()); err != nil || got != typ {
			t.Errorf("ParseEventType(%q) = %v, %v", typ, got, err)
		}
	}
	for _, name := range []string{"", "channel-occupied", "CHANNEL_OCCUPIED", "member_updated", "EventType(0)"} {
		if got, err := ParseEventType(name); err == nil {
			t.Errorf("ParseEventType(%q) = %v, want an error", name, got)
		}
	}
}
