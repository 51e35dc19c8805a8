package e2e

import "testing"

// kinds are a channel of each kind that pusher-js subscribes to by name.
var kinds = []string{
	"news", "private-orders", "private-encrypted-vault", "presence-room",
	"cache-price", "private-cache-price", "private-encrypted-cache-vault", "presence-cache-room",
}

func TestPusherJSReceivesOnEveryKindOfChannel(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.pusher(t, "ann", testApp.key, s.as("ann"))
	s.pusher(t, "bob", testApp.key, s.as("bob"))
	for _, channel := range kinds {
		t.Run(channel, func(t *testing.T) {
			s.subscribeRaw(t, "ann", channel)
			s.subscribeRaw(t, "bob", channel)
			s.call(t, `{}`, "trigger", channel, "Happened", map[string]any{"text": "grüße", "to": "others"},
				map[string]any{"socket_id": s.socketID(t, "ann")})
			s.call(t, `{}`, "trigger", channel, "Happened", map[string]any{"text": "grüße"})
			for client, want := range map[string]string{"ann": `{"text":"grüße"}`, "bob": `{"text":"grüße","to":"others"}`} {
				if h := s.expectEvent(t, client, channel, "Happened"); !sameJSON(string(h.Value), want) {
					t.Errorf("%s got %s, want %s", client, h.Value, want)
				}
			}
		})
	}
}
