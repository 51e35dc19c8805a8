package e2e

import (
	"encoding/json"
	"syscall"
	"testing"
	"time"
)

func TestPusherJSLearnsWhyItWasRefused(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.pusher(t, "lost", "unknown-key", nil)
	h := s.expect(t, "lost", "connection_error", "")
	var got struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	if err := json.Unmarshal(h.Value, &got); err != nil || got.Code != 4001 || got.Message != "Application does not exist" {
		t.Errorf("error %s, want 4001 Application does not exist", h.Value)
	}
	// 4000 to 4099: pusher-js gives up instead of coming back each second.
	s.expectState(t, "lost", "disconnected")
}

func TestPusherJSGetsTheLastEventOfACacheChannel(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	for _, channel := range []string{"cache-price", "private-cache-price", "presence-cache-price", "private-encrypted-cache-price"} {
		t.Run(channel, func(t *testing.T) {
			early, late := channel+" early", channel+" late"
			options := s.as("ann")
			s.pusher(t, early, testApp.key, options)
			s.subscribeRaw(t, early, channel)
			s.expectEvent(t, early, channel, "pusher:cache_miss")

			s.call(t, `{}`, "trigger", channel, "Changed", map[string]any{"price": 7})
			s.expectEvent(t, early, channel, "Changed")
			// The event outlives the channel's last subscriber.
			s.do(t, "disconnect", arguments{"client": early})
			s.server.api().eventually(t, "/channels/"+channel, "", `{"occupied":false}`)

			s.pusher(t, late, testApp.key, options)
			s.subscribeRaw(t, late, channel)
			if got := s.expectEvent(t, late, channel, "Changed"); !sameJSON(string(got.Value), `{"price":7}`) {
				t.Errorf("cached event %s, want {\"price\":7}", got.Value)
			}
			if misses := s.countEvents(late, channel, "pusher:cache_miss"); misses != 0 {
				t.Errorf("%d cache misses beside the hit, want 0", misses)
			}
		})
	}
}

// countEvents is how many events of a name a client had on a channel so far.
func (s *stage) countEvents(client, channel, event string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, h := range s.happenings {
		if h.Client == client && h.Channel == channel && h.Name == "event" && h.Event == event {
			n++
		}
	}
	return n
}

func TestPusherJSPingsAfterTheActivityTimeout(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"REVERB_APP_ACTIVITY_TIMEOUT": "1"}})
	s.pusher(t, "ann", testApp.key, nil)
	s.expectState(t, "ann", "connected")
	for range 2 {
		s.expectFrame(t, "ann", "pusher:pong")
	}
}

func TestPusherJSAnswersThePingsOfTheServer(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"REVERB_APP_PING_INTERVAL": "1"}})
	s.pusher(t, "ann", testApp.key, nil)
	s.expectState(t, "ann", "connected")
	began := time.Now()
	for range 3 {
		s.expectFrame(t, "ann", "pusher:ping")
	}
	// A ping that was not answered is followed by a close, not by a ping.
	if got := string(s.do(t, "state", arguments{"client": "ann"})); got != `"connected"` {
		t.Errorf("state %s after %v of pings, want connected", got, time.Since(began))
	}
}

// expectFrame waits for a message that belongs to no channel.
func (s *stage) expectFrame(t *testing.T, client, event string) {
	t.Helper()
	s.expectWhere(t, client, "frame", "", func(h happening) bool { return contains(h, quote(event)) })
}

func TestPusherJSUnsubscribes(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.pusher(t, "ann", testApp.key, nil)
	s.subscribeRaw(t, "ann", "news")
	s.subscribeRaw(t, "ann", "sport")
	s.do(t, "unsubscribeRaw", arguments{"client": "ann", "channel": "news"})
	s.server.api().eventually(t, "/channels", "", `{"channels":{"sport":{}}}`)
}

func TestPusherJSComesBackAfterARestart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		sig  syscall.Signal
		code int
	}{
		// Closed with 4200, pusher-js tries again at once and, with nobody there,
		// not before 15 s.
		{"of a server that was stopped", syscall.SIGTERM, 0},
		// Without a close code it tries again after a second.
		{"of a server that was killed", syscall.SIGKILL, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := setStage(t, startOptions{})
			s.echo(t, "ann", "ann")
			s.subscribe(t, "ann", "private", "orders")
			s.server.signal(t, tt.sig)
			if code := s.server.wait(t); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			s.expectState(t, "ann", "connecting")

			s.server = start(t, startOptions{args: s.server.samePort()})
			s.expectState(t, "ann", "connected")
			s.expect(t, "ann", "subscribed", "orders")
			s.server.api().trigger(t, "private-orders", "Happened", `{"order":8}`)
			s.expectValue(t, "ann", "event", "orders", `{"order":8}`)
		})
	}
}
