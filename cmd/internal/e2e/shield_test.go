package e2e

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"testing"
)

// The tests of this file are about clients that ask the server, and not the
// application, for authorization.

func TestShieldPassesOnWhatTheApplicationGrants(t *testing.T) {
	t.Parallel()
	s := setShieldedStage(t, startOptions{})
	s.backend(t)
	s.echo(t, "ann", "ann")
	s.echo(t, "bob", "bob")
	for _, kind := range []string{"private", "presence", "encrypted"} {
		s.subscribe(t, "ann", kind, kind+"-of-both")
		s.subscribe(t, "bob", kind, kind+"-of-both")
	}
	s.expectValue(t, "ann", "here", "presence-of-both", `[{"name":"ann"}]`)
	s.expectValue(t, "ann", "joining", "presence-of-both", `{"name":"bob"}`)
	s.call(t, `{}`, "trigger", "private-encrypted-encrypted-of-both", "Happened", map[string]any{"code": 42})
	s.expectValue(t, "ann", "event", "encrypted-of-both", `{"code":42}`)
	s.whisper(t, "ann", "private", "private-of-both", map[string]any{"n": 1})
	s.expectValue(t, "bob", "whisper", "private-of-both", `{"n":1}`)
	if asked := s.application.asked.Load(); asked != 6 {
		t.Errorf("%d questions to the application, want 6", asked)
	}
}

func TestShieldSignsUsersIn(t *testing.T) {
	t.Parallel()
	s := setShieldedStage(t, startOptions{})
	s.backend(t)
	s.signIn(t, "ann", "ann")
	s.subscribeRaw(t, "ann", staffRoom)
	s.call(t, `{}`, "sendToUser", "ann", "Paid", map[string]any{"order": 7})
	s.expectUserEvent(t, "ann", "Paid", `{"order":7}`)
}

// expectRefusal subscribes a user and waits for .error() of Echo.
func (s *stage) expectRefusal(t *testing.T, client, user string, status int) {
	t.Helper()
	s.echo(t, client, user)
	for _, kind := range []string{"private", "presence", "encrypted"} {
		channel := client + " on a " + kind + " channel"
		s.startSubscribe(t, client, kind, channel)
		if h := s.expect(t, client, "error", channel); !contains(h, `"status":`+strconv.Itoa(status)) {
			t.Errorf("%s: error %s, want status %d", channel, h.Value, status)
		}
		if n := s.count(client, "subscribed", channel); n != 0 {
			t.Errorf("%s: %d subscriptions succeeded, want 0", channel, n)
		}
	}
	// Nothing else is lost.
	s.subscribe(t, client, "public", "news")
	s.server.api().expect(t, "/channels", "", `{"channels":{"news":{}}}`)
}

func TestShieldGrantsNothingByItself(t *testing.T) {
	t.Parallel()
	s := setShieldedStage(t, startOptions{})
	t.Run("when the application refuses", func(t *testing.T) { s.expectRefusal(t, "banned", banned, 403) })
	t.Run("when the application signs for another app", func(t *testing.T) { s.expectRefusal(t, "stranger", stranger, 503) })
	t.Run("when the application is down", func(t *testing.T) {
		s.application.Close()
		s.expectRefusal(t, "ann", "ann", 503)
	})
}

func TestShieldGivesUpOnAnApplicationThatHangs(t *testing.T) {
	t.Parallel()
	s := setShieldedStage(t, startOptions{env: map[string]string{"RESOUND_APP_AUTH_TIMEOUT": "0.3"}})
	s.expectRefusal(t, "lagging", lagging, 503)
}

func TestShieldAsksOnceForManyTabs(t *testing.T) {
	t.Parallel()
	s := setShieldedStage(t, startOptions{env: map[string]string{"RESOUND_APP_AUTH_CACHE_TTL": "60"}})
	for i := range 5 {
		tab := "tab " + strconv.Itoa(i)
		s.pusher(t, tab, testApp.key, s.as("ann"))
		s.subscribeRaw(t, tab, "private-orders")
		s.subscribeRaw(t, tab, "presence-room")
	}
	if asked := s.application.asked.Load(); asked != 2 {
		t.Errorf("%d questions of 5 tabs with 2 channels each, want 2", asked)
	}
	// What holds for one user does not for another.
	s.pusher(t, "banned", testApp.key, s.as(banned))
	s.do(t, "subscribeRaw", arguments{"client": "banned", "channel": "private-orders"})
	if h := s.expectEvent(t, "banned", "private-orders", "pusher:subscription_error"); !contains(h, `"status":403`) {
		t.Errorf("error %s, want status 403", h.Value)
	}
}

// A page may use the cookies of its visitor when its origin is named, and no page
// may because every origin is allowed. Browsers resolve names below localhost to
// this host and take one below the other's neighbor for the same site, which
// cookies are for.
func TestShieldTakesCookiesFromNamedOriginsOnly(t *testing.T) {
	t.Parallel()
	b := browse(t)
	tests := []struct {
		name, origins string
		read, asked   bool
	}{
		{"a named origin", "other.test,www.shop.localhost", true, true},
		{"a pattern", "*.shop.localhost", true, true},
		{"any origin", "*", false, false},
		{"any origin, beside another one that is named", "*,other.test", false, false},
		{"another origin", "other.test", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := setShieldedStage(t, startOptions{env: map[string]string{"RESOUND_APP_ALLOWED_ORIGINS": tt.origins}})
			_, port, err := net.SplitHostPort(s.application.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			b.do(t, "open", arguments{"client": tt.name, "url": "http://www.shop.localhost:" + port + "/blank"})
			value := b.do(t, "ask", arguments{
				"client": tt.name,
				"url":    "http://ws.shop.localhost:" + strconv.Itoa(s.server.port) + s.server.path + "/broadcasting/auth",
				"cookie": "user=ann; domain=shop.localhost; path=/",
				"form":   arguments{"socket_id": "1.2", "channel_name": "private-orders"},
			})
			var got *struct {
				Status int    `json:"status"`
				Body   string `json:"body"`
			}
			if err := json.Unmarshal(value, &got); err != nil {
				t.Fatal(err)
			}
			signed := testApp.key + ":" + sign(testApp.secret, "1.2:private-orders")
			if read := got != nil && got.Status == 200 && strings.Contains(got.Body, signed); read != tt.read {
				t.Errorf("the page got %+v, want a signature: %v", got, tt.read)
			}
			if asked := s.application.asked.Load() > 0; asked != tt.asked {
				t.Errorf("the application was asked: %v, want %v", asked, tt.asked)
			}
			b.do(t, "shut", arguments{"client": tt.name})
		})
	}
}
