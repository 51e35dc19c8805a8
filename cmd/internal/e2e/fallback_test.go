package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fallbacks are the transports of pusher-js that need no WebSocket.
var fallbacks = []string{"xhr_streaming", "xhr_polling"}

// over connects a pusher-js of a user by one transport only.
func (s *stage) over(t *testing.T, client, user, transport string) {
	t.Helper()
	options := s.as(user)
	options["enabledTransports"] = []string{transport}
	s.pusher(t, client, testApp.key, options)
	s.expectState(t, client, "connected")
	s.expectTransport(t, client, transport)
}

func (s *stage) expectTransport(t *testing.T, client, want string) {
	t.Helper()
	if got := s.do(t, "transport", arguments{"client": client}); string(got) != quote(want) {
		t.Errorf("%s is connected by %s, want %s", client, got, want)
	}
}

func TestFallbackInNode(t *testing.T) {
	t.Parallel()
	for _, transport := range fallbacks {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := setStage(t, startOptions{})
			s.backend(t)
			s.over(t, "ann", "ann", transport)
			s.over(t, "bob", "bob", "ws")

			t.Run("receives on every kind of channel", func(t *testing.T) {
				for _, channel := range kinds {
					s.subscribeRaw(t, "ann", channel)
					s.call(t, `{}`, "trigger", channel, "Happened", map[string]any{"on": channel, "text": "grüße 🎉"})
					if h := s.expectEvent(t, "ann", channel, "Happened"); !sameJSON(string(h.Value), `{"on":`+quote(channel)+`,"text":"grüße 🎉"}`) {
						t.Errorf("received %s on %s", h.Value, channel)
					}
				}
			})
			t.Run("is a member like any other", func(t *testing.T) {
				s.subscribeRaw(t, "bob", "presence-room")
				s.expectEvent(t, "ann", "presence-room", "pusher:member_added")
				s.server.api().expect(t, "/channels/presence-room", "user_count", `{"occupied":true,"user_count":2}`)
			})
			t.Run("sends and receives client events", func(t *testing.T) {
				for from, to := range map[string]string{"ann": "bob", "bob": "ann"} {
					s.do(t, "triggerRaw", arguments{"client": from, "channel": "presence-room", "event": "client-typing", "data": arguments{"from": from}})
					h := s.expectWhere(t, to, "frame", "presence-room", func(h happening) bool { return contains(h, `"client-typing"`) })
					if !contains(h, quote(from)) || string(h.User) != quote(from) {
						t.Errorf("%s got %s of user %s, want it from %s", to, h.Value, h.User, from)
					}
				}
			})
			t.Run("gets what is sent to its user", func(t *testing.T) {
				s.do(t, "signin", arguments{"client": "ann"})
				s.expectFrame(t, "ann", "pusher:signin_success")
				s.call(t, `{}`, "sendToUser", "ann", "Paid", map[string]any{"order": 7})
				s.expectUserEvent(t, "ann", "Paid", `{"order":7}`)
			})
			t.Run("hears that a subscription was refused", func(t *testing.T) {
				s.over(t, "forger", forger, transport)
				s.do(t, "subscribeRaw", arguments{"client": "forger", "channel": "private-orders"})
				s.expectEvent(t, "forger", "private-orders", "pusher:subscription_error")
			})
			t.Run("is gone when it goes", func(t *testing.T) {
				s.do(t, "disconnect", arguments{"client": "ann"})
				s.expectEvent(t, "bob", "presence-room", "pusher:member_removed")
				// Without bob and the forger nobody would be left.
				s.server.api().eventually(t, "/connections", "", `{"connections":2}`)
			})
		})
	}
}

func TestFallbackLearnsWhyItWasRefused(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	for _, transport := range fallbacks {
		t.Run(transport, func(t *testing.T) {
			s.pusher(t, transport, "unknown-key", arguments{"enabledTransports": []string{transport}})
			if h := s.expect(t, transport, "connection_error", ""); !contains(h, `"code":4001`) {
				t.Errorf("error %s, want 4001", h.Value)
			}
			s.expectState(t, transport, "disconnected")
		})
	}
}

func TestFallbackComesBackWhenItsServerDies(t *testing.T) {
	t.Parallel()
	for _, transport := range fallbacks {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s := setStage(t, startOptions{env: reusePort})
			s.over(t, "ann", "ann", transport)
			s.subscribeRaw(t, "ann", "private-orders")
			s.replaceServer(t)
			s.expectState(t, "ann", "connecting")
			s.expectState(t, "ann", "connected")
			s.expectTransport(t, "ann", transport)
			s.expectEvent(t, "ann", "private-orders", "pusher:subscription_succeeded")
			s.server.api().trigger(t, "private-orders", "Happened", `{"order":8}`)
			s.expectEvent(t, "ann", "private-orders", "Happened")
		})
	}
}

// expectNumbers waits for events with the numbers from 1 to last and fails unless
// each came once and in order.
func (s *stage) expectNumbers(t *testing.T, client, channel string, last int) {
	t.Helper()
	for n := 1; n <= last; n++ {
		h := s.expectEvent(t, client, channel, "Numbered")
		var got struct{ N int }
		if err := json.Unmarshal(h.Value, &got); err != nil || got.N != n {
			t.Fatalf("event %d is %.80s, want number %d", n, h.Value, n)
		}
	}
	if got := s.countEvents(client, channel, "Numbered"); got != last {
		t.Errorf("%d events, want %d", got, last)
	}
}

func numbered(n int, filling string) string {
	return `{"n":` + strconv.Itoa(n) + `,"filling":` + quote(filling) + `}`
}

// What is triggered while no request of the client waits is kept for the next
// one.
func TestFallbackLosesNothingBetweenPolls(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	p := proxyTo(t, s.server)
	s.pusher(t, "ann", testApp.key, arguments{"enabledTransports": []string{"xhr_polling"}, "httpPort": p.port})
	s.subscribeRaw(t, "ann", "news")

	held := p.hold()
	s.server.api().trigger(t, "news", "Numbered", numbered(1, ""))
	select {
	case <-held: // the client has got what there was and asks for more
	case <-time.After(patience):
		t.Fatal("the client does not poll")
	}
	for n := 2; n <= 20; n++ {
		s.server.api().trigger(t, "news", "Numbered", numbered(n, ""))
	}
	p.release()
	s.expectNumbers(t, "ann", "news", 20)
	// The next one waits for no poll.
	s.server.api().trigger(t, "news", "Numbered", numbered(21, ""))
	s.expectEvent(t, "ann", "news", "Numbered")
	if got := s.countEvents("ann", "news", "Numbered"); got != 21 {
		t.Errorf("%d events, want 21", got)
	}
}

// pusher-js drops a streaming response after 256 KiB and opens another one for
// the same connection.
func TestFallbackLosesNothingBetweenStreams(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.over(t, "ann", "ann", "xhr_streaming")
	s.subscribeRaw(t, "ann", "news")
	id := s.socketID(t, "ann")
	filling := strings.Repeat("ü", 4000)
	const last = 100 // 800 kB in UTF-8, 400 KiB as pusher-js counts
	for n := 1; n <= last; n++ {
		s.server.api().trigger(t, "news", "Numbered", numbered(n, filling))
		if n%8 == 0 {
			// Within max_outbound_bytes of what waits for a client.
			s.expectWhere(t, "ann", "frame", "news", func(h happening) bool { return contains(h, `"n":`+strconv.Itoa(n)+`,`) })
		}
	}
	s.expectNumbers(t, "ann", "news", last)
	if got := s.socketID(t, "ann"); got != id {
		t.Errorf("socket_id %s after %s, want the same connection", got, id)
	}
}

func TestFallbackBehindAProxyThatBreaksWebSockets(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	p := proxyTo(t, s.server)
	s.pusher(t, "ann", testApp.key, arguments{
		"enabledTransports": []string{"ws", "xhr_streaming"}, "wsPort": p.port, "httpPort": p.port,
	})
	// pusher-js tries WebSocket for 5 s before it tries anything else.
	s.subscribeRaw(t, "ann", "news")
	s.expectTransport(t, "ann", "xhr_streaming")
	if p.refused() == 0 {
		t.Error("no WebSocket was refused, want pusher-js to try it first")
	}
	s.server.api().trigger(t, "news", "Happened", `{"order":7}`)
	s.expectEvent(t, "ann", "news", "Happened")
}
