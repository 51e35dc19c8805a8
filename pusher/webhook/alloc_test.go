//go:build !race

package webhook

import "testing"

func TestEventsForNobodyCostNoAllocation(t *testing.T) {
	d := start(t, Options{}, &receiver{t: t}, testApp("a", Hook{URL: testURL, EventTypes: []EventType{ClientEvent}, ChannelPrefix: "private-"}), testApp("none"))
	defer d.Close(t.Context())
	event := Event{Type: ClientEvent, Channel: "presence-x", UserID: "u", Name: "client-a", SocketID: "1.2", Data: []byte(`"x"`)}
	other := occupied("private-x")
	tests := []struct {
		name  string
		app   string
		event Event
	}{
		{"an unknown app", "unknown", event},
		{"an app without hooks", "none", event},
		{"a channel that no hook wants", "a", event},
		{"a type that no hook wants", "a", other},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(200, func() { d.Publish(tt.app, tt.event) }); got != 0 {
				t.Errorf("%v allocations, want 0", got)
			}
		})
	}
}
