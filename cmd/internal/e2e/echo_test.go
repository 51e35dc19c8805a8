package e2e

import (
	"testing"
)

func TestEchoReceivesWhatTheApplicationBroadcasts(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.echo(t, "ann", "ann")
	tests := []struct {
		name, kind, channel, wire string
	}{
		{"on a public channel", "public", "news", "news"},
		{"on a private channel", "private", "orders.1", "private-orders.1"},
		{"on a presence channel", "presence", "room.1", "presence-room.1"},
		{"on a cache channel", "public", "cache-price", "cache-price"},
		{"on a private cache channel", "private", "cache-price", "private-cache-price"},
		{"on a presence cache channel", "presence", "cache-price", "presence-cache-price"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.subscribe(t, "ann", tt.kind, tt.channel)
			s.server.api().trigger(t, tt.wire, "Happened", `{"text":"héllo \"world\" / 🎉","n":1.0}`)
			s.expectValue(t, "ann", "event", tt.channel, `{"text":"héllo \"world\" / 🎉","n":1}`)
		})
	}
}

func TestEchoUsesTheNamespaceOfLaravel(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.echo(t, "ann", "ann")
	s.do(t, "subscribe", arguments{"client": "ann", "kind": "public", "channel": "news", "listen": []string{"Shipped"}})
	s.expect(t, "ann", "subscribed", "news")
	s.server.api().trigger(t, "news", `App\Events\Shipped`, `{"order":7}`)
	s.expectValue(t, "ann", "event", "news", `{"order":7}`)
}

func TestEchoPresence(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	api := s.server.api()

	s.echo(t, "ann", "ann")
	s.subscribe(t, "ann", "presence", "room")
	s.expectValue(t, "ann", "here", "room", `[{"name":"ann"}]`)

	s.echo(t, "bob's first tab", "bob")
	s.subscribe(t, "bob's first tab", "presence", "room")
	s.expectValue(t, "bob's first tab", "here", "room", `[{"name":"ann"},{"name":"bob"}]`)
	s.expectValue(t, "ann", "joining", "room", `{"name":"bob"}`)

	s.echo(t, "bob's second tab", "bob")
	s.subscribe(t, "bob's second tab", "presence", "room")
	s.expectValue(t, "bob's second tab", "here", "room", `[{"name":"ann"},{"name":"bob"}]`)
	api.expect(t, "/channels/presence-room/users", "", `{"users":[{"id":"ann"},{"id":"bob"}]}`)
	api.expect(t, "/channels/presence-room", "user_count", `{"occupied":true,"user_count":2}`)

	// One tab leaves, the user stays. The event comes behind a member_removed that
	// must not be there.
	s.do(t, "leave", arguments{"client": "bob's first tab", "channel": "room"})
	s.do(t, "disconnect", arguments{"client": "bob's first tab"})
	api.eventually(t, "/connections", "", `{"connections":2}`)
	api.trigger(t, "presence-room", "Happened", `"bob is still here"`)
	s.expect(t, "ann", "event", "room")
	s.expect(t, "bob's second tab", "event", "room")
	if n := s.count("ann", "leaving", "room"); n != 0 {
		t.Errorf("ann saw %d leave while bob has a tab open, want 0", n)
	}

	s.do(t, "disconnect", arguments{"client": "bob's second tab"})
	s.expectValue(t, "ann", "leaving", "room", `{"name":"bob"}`)
	api.trigger(t, "presence-room", "Happened", `"bob is gone"`)
	s.expect(t, "ann", "event", "room")
	if joined, left := s.count("ann", "joining", "room"), s.count("ann", "leaving", "room"); joined != 1 || left != 1 {
		t.Errorf("ann saw bob join %d times and leave %d times, want 1 and 1", joined, left)
	}
}

func TestEchoWhispers(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.echo(t, "ann", "ann")
	s.echo(t, "bob", "bob")
	tests := []struct {
		name, kind, channel, wire string
		user                      string // user_id that the receiver sees
	}{
		{"on a private channel, without a user", "private", "chat", "private-chat", ``},
		{"on a presence channel, with the sender's user_id", "presence", "room", "presence-room", `"ann"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.subscribe(t, "ann", tt.kind, tt.channel)
			s.subscribe(t, "bob", tt.kind, tt.channel)
			s.whisper(t, "ann", tt.kind, tt.channel, map[string]any{"user_id": "forged", "empty": map[string]any{}})
			got := s.expectValue(t, "bob", "whisper", tt.channel, `{"user_id":"forged","empty":{}}`)
			if string(got.User) != tt.user {
				t.Errorf("user_id %s, want %s", got.User, tt.user)
			}
			// The sender's event comes behind a whisper that must not be there.
			s.server.api().trigger(t, tt.wire, "Happened", `{}`)
			s.expect(t, "ann", "event", tt.channel)
			if n := s.count("ann", "whisper", tt.channel); n != 0 {
				t.Errorf("the sender got %d of its own whispers, want 0", n)
			}
		})
	}
}

func TestEchoHearsThatASubscriptionWasRefused(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	for _, user := range []string{forger, stranger} {
		s.echo(t, user, user)
		for _, kind := range []string{"private", "presence", "encrypted"} {
			t.Run(user+" on a "+kind+" channel", func(t *testing.T) {
				channel := "refused-" + kind
				s.startSubscribe(t, user, kind, channel)
				s.expectValue(t, user, "error", channel,
					`{"type":"AuthError","error":"Connection is unauthorized","status":401}`)
				if n := s.count(user, "subscribed", channel); n != 0 {
					t.Errorf("%d subscriptions succeeded, want 0", n)
				}
			})
		}
	}
	// A refused subscription costs nothing else.
	s.subscribe(t, forger, "public", "news")
}

func TestEchoDecryptsEncryptedChannels(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.echo(t, "ann", "ann")
	s.subscribe(t, "ann", "encrypted", "vault")
	s.call(t, `{}`, "trigger", "private-encrypted-vault", "Happened", map[string]any{"secret": "tür"})
	s.expectValue(t, "ann", "event", "vault", `{"secret":"tür"}`)

	// What the server saw was the ciphertext.
	frame := s.expectWhere(t, "ann", "frame", "private-encrypted-vault", func(h happening) bool {
		return contains(h, "ciphertext") && contains(h, "nonce")
	})
	if contains(frame, "secret") {
		t.Errorf("the event crossed the server in the clear: %s", frame.Value)
	}
}

func TestEchoWorksBehindAPathPrefix(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{args: append([]string{"--path", "/ws"}, anyPort...)})
	s.backend(t)
	s.echo(t, "ann", "ann")
	s.subscribe(t, "ann", "private", "orders")
	s.call(t, `{}`, "trigger", "private-orders", "Happened", map[string]any{"order": 1})
	s.expectValue(t, "ann", "event", "orders", `{"order":1}`)
}
