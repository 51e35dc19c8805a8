package e2e

import (
	"fmt"
	"testing"
)

var subscribeBehaviors = []behavior{
	{2, "subscribe_to_a_public_channel", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.subscribe(t, "test-02")
		k.expect(t, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"test-02"}`)
		w.api().expect(t, "/channels/test-02", "subscription_count", `{"occupied":true,"subscription_count":1}`)
	}},
	{3, "subscribe_to_a_private_channel", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.subscribeSigned(t, "private-test-03", "")
		k.expect(t, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"private-test-03"}`)
		w.api().expect(t, "/channels/private-test-03", "subscription_count", `{"occupied":true,"subscription_count":1}`)
	}},
	{4, "subscribe_to_a_presence_channel", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.subscribeSigned(t, "presence-test-04", member(1))
		k.expectEvent(t, "pusher_internal:subscription_succeeded", "presence-test-04",
			`{"presence":{"count":1,"ids":[1],"hash":{"1":{"name":"Test User"}}}}`)
	}},
	{8, "members_hear_of_a_joining_member", "", func(t *testing.T, w *world) {
		first, second := w.open(t), w.open(t)
		first.join(t, "presence-test-08", member(1))
		second.join(t, "presence-test-08", member(2))
		first.expectEvent(t, "pusher_internal:member_added", "presence-test-08",
			`{"user_id":2,"user_info":{"name":"Test User"}}`)
	}},
	{9, "members_hear_of_a_member_that_disconnects", "", func(t *testing.T, w *world) {
		sockets := []*socket{w.open(t), w.open(t), w.open(t)}
		for i, k := range sockets {
			k.join(t, "presence-test-09", member(i+1))
			for _, other := range sockets[:i] {
				other.next(t) // member_added, see item 8
			}
		}
		sockets[2].close(t)
		for _, other := range sockets[:2] {
			other.expectEvent(t, "pusher_internal:member_removed", "presence-test-09", `{"user_id":3}`)
		}
	}},
	{22, "one_connection_on_four_channels", "", func(t *testing.T, w *world) {
		k := w.open(t)
		for i := range 4 {
			k.join(t, fmt.Sprintf("test-22-%d", i), "")
		}
		for i := range 4 {
			channel := fmt.Sprintf("test-22-%d", i)
			w.api().expect(t, "/channels/"+channel, "subscription_count", `{"occupied":true,"subscription_count":1}`)
			// That subscriber is this very connection.
			w.api().trigger(t, channel, "Event", "{}")
			k.expectEvent(t, "Event", channel, "{}")
		}
	}},
	{23, "two_connections_over_four_channels", "", func(t *testing.T, w *world) {
		first, second := w.open(t), w.open(t)
		for i := range 4 {
			first.join(t, fmt.Sprintf("test-23-%d", i), "")
			if i%2 == 0 {
				second.join(t, fmt.Sprintf("test-23-%d", i), "")
			}
		}
		for i, want := range []int{2, 1, 2, 1} {
			w.api().expect(t, fmt.Sprintf("/channels/test-23-%d", i), "subscription_count",
				fmt.Sprintf(`{"occupied":true,"subscription_count":%d}`, want))
		}
	}},
	{24, "invalid_auth_on_a_private_channel", alsoSubscriptionError, refusesInvalidAuth("private-test-24", "")},
	{25, "invalid_auth_on_a_presence_channel", alsoSubscriptionError, refusesInvalidAuth("presence-test-25", member(1))},
	{26, "invalid_auth_on_a_private_cache_channel", alsoSubscriptionError, refusesInvalidAuth("private-cache-test-26", "")},
	{27, "invalid_auth_on_a_presence_cache_channel", alsoSubscriptionError, refusesInvalidAuth("presence-cache-test-27", member(1))},
	{35, "the_last_unsubscribe_removes_the_channel", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.join(t, "test-35", "")
		w.api().expect(t, "/channels/test-35", "", `{"occupied":true}`)
		k.send(t, `{"event":"pusher:unsubscribe","data":{"channel":"test-35"}}`)
		// An unsubscribe has no answer; the next message's answer is behind it.
		k.send(t, `{"event":"pusher:ping","data":{}}`)
		k.expect(t, `{"event":"pusher:pong"}`)
		w.api().expect(t, "/channels/test-35", "", `{"occupied":false}`)
	}},
	{36, "null_auth_on_a_private_channel", alsoSubscriptionError, refusesNullAuth("private-test-36")},
	{37, "null_auth_on_a_presence_channel", alsoSubscriptionError, refusesNullAuth("presence-test-37")},
	{43, "a_user_with_two_connections_is_one_member", "", func(t *testing.T, w *world) {
		first, second := w.open(t), w.open(t)
		first.join(t, "presence-test-43", member(1))
		second.subscribeSigned(t, "presence-test-43", member(1))
		second.expectEvent(t, "pusher_internal:subscription_succeeded", "presence-test-43",
			`{"presence":{"count":1,"ids":[1],"hash":{"1":{"name":"Test User"}}}}`)
		// The first connection heard nothing of the second.
		w.api().trigger(t, "presence-test-43", "Event", "{}")
		first.expectEvent(t, "Event", "presence-test-43", "{}")
	}},
}

// refusesInvalidAuth checks that a wrong signature, a wrong key and another
// connection's signature are refused, and that nothing is left of them.
func refusesInvalidAuth(channel, channelData string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		k, other := w.open(t), w.open(t)
		signature := func(k *socket) string {
			text := k.id + ":" + channel
			if channelData != "" {
				text += ":" + channelData
			}
			return sign(k.app.secret, text)
		}
		for _, auth := range []string{"app-key:invalid", "", ":", k.app.key + ":", k.app.key + ":" + signature(other), "other-key:" + signature(k)} {
			k.subscribeAuth(t, channel, auth, channelData)
			k.expectRefused(t, channel)
		}
		w.api().expect(t, "/channels/"+channel, "", `{"occupied":false}`)
		k.subscribeAuth(t, channel, k.app.key+":"+signature(k), channelData)
		if got := decode(t, k.next(t)); got.Event != "pusher_internal:subscription_succeeded" {
			t.Errorf("received %s for the right signature, want pusher_internal:subscription_succeeded", got.Event)
		}
	}
}

func refusesNullAuth(channel string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		k := w.open(t)
		k.send(t, `{"event":"pusher:subscribe","data":{"channel":`+quote(channel)+`,"auth":null}}`)
		k.expectRefused(t, channel)
		w.api().expect(t, "/channels/"+channel, "", `{"occupied":false}`)
	}
}
