package e2e

import "testing"

// expectSubscriptionCount waits for pusher:subscription_count with this number and
// asks pusher-js for it too.
func (s *stage) expectSubscriptionCount(t *testing.T, client, channel, want string) {
	t.Helper()
	s.expectWhere(t, client, "event", channel, func(h happening) bool {
		return h.Event == "pusher:subscription_count" && sameJSON(string(h.Value), `{"subscription_count":`+want+`}`)
	})
	if got := s.do(t, "subscriptionCount", arguments{"client": client, "channel": channel}); string(got) != want {
		t.Errorf("%s: subscription_count of %s is %s, want %s", client, channel, got, want)
	}
}

func TestPusherJSCountsTheSubscriptionsOfAChannel(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{env: map[string]string{"RESOUND_APP_SUBSCRIPTION_COUNT": "true"}})
	s.pusher(t, "ann", testApp.key, s.as("ann"))
	s.pusher(t, "bob", testApp.key, s.as("bob"))
	for _, channel := range []string{"news", "private-orders", "cache-price", "private-encrypted-vault"} {
		t.Run(channel, func(t *testing.T) {
			s.subscribeRaw(t, "ann", channel)
			s.expectSubscriptionCount(t, "ann", channel, "1")
			s.subscribeRaw(t, "bob", channel)
			s.expectSubscriptionCount(t, "ann", channel, "2")
			s.expectSubscriptionCount(t, "bob", channel, "2")
			s.do(t, "unsubscribeRaw", arguments{"client": "bob", "channel": channel})
			s.expectSubscriptionCount(t, "ann", channel, "1")
			s.server.api().expect(t, "/channels/"+channel, "subscription_count", `{"occupied":true,"subscription_count":1}`)
		})
	}
	t.Run("presence channels count members instead", func(t *testing.T) {
		s.subscribeRaw(t, "ann", "presence-room")
		s.subscribeRaw(t, "bob", "presence-room")
		s.server.api().trigger(t, "presence-room", "Marked", `{}`)
		s.expectEvent(t, "ann", "presence-room", "Marked")
		if n := s.countEvents("ann", "presence-room", "pusher:subscription_count"); n != 0 {
			t.Errorf("%d subscription counts, want 0", n)
		}
	})
}

func TestSubscriptionCountsAreOffUnlessTheAppWants(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.pusher(t, "ann", testApp.key, nil)
	s.subscribeRaw(t, "ann", "news")
	s.pusher(t, "bob", testApp.key, nil)
	s.subscribeRaw(t, "bob", "news")
	s.server.api().trigger(t, "news", "Marked", `{}`)
	s.expectEvent(t, "ann", "news", "Marked")
	if n := s.countEvents("ann", "news", "pusher:subscription_count"); n != 0 {
		t.Errorf("%d subscription counts, want 0", n)
	}
}
