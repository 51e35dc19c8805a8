package e2e

import "testing"

var cacheBehaviors = []behavior{
	{5, "subscribe_to_a_cache_channel", "", subscribesTo("cache-test-05")},
	{6, "subscribe_to_a_private_cache_channel", "", subscribesTo("private-cache-test-06")},
	{7, "subscribe_to_a_presence_cache_channel", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.subscribeSigned(t, "presence-cache-test-07", member(1))
		k.expectEvent(t, "pusher_internal:subscription_succeeded", "presence-cache-test-07",
			`{"presence":{"count":1,"ids":[1],"hash":{"1":{"name":"Test User"}}}}`)
	}},
	{10, "last_event_on_joining_a_cache_channel", "", sendsLastEvent("cache-test-10")},
	{11, "last_event_on_joining_a_private_cache_channel", "", sendsLastEvent("private-cache-test-11")},
	{12, "last_event_on_joining_a_presence_cache_channel", "", sendsLastEvent("presence-cache-test-12")},
	{13, "miss_on_joining_an_empty_cache_channel", "", sendsMiss("cache-test-13")},
	{14, "miss_on_joining_an_empty_private_cache_channel", "", sendsMiss("private-cache-test-14")},
	{15, "miss_on_joining_an_empty_presence_cache_channel", "", sendsMiss("presence-cache-test-15")},
}

func subscribesTo(channel string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		k := w.open(t)
		k.subscribeSigned(t, channel, "")
		k.expect(t, `{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":`+quote(channel)+`}`)
	}
}

// dataFor is the channel data a channel needs.
func dataFor(channel string, id int) string {
	if channel[:len("presence")] == "presence" {
		return member(id)
	}
	return ""
}

func sendsLastEvent(channel string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		w.api().trigger(t, channel, "App\\Events\\Earlier", `{"foo":"old"}`)
		w.api().trigger(t, channel, "App\\Events\\TestEvent", `{"foo":"bar"}`)
		k := w.open(t)
		k.join(t, channel, dataFor(channel, 1))
		k.expect(t, `{"event":"App\\Events\\TestEvent","data":"{\"foo\":\"bar\"}","channel":`+quote(channel)+`}`)
	}
}

func sendsMiss(channel string) func(*testing.T, *world) {
	return func(t *testing.T, w *world) {
		k := w.open(t)
		k.join(t, channel, dataFor(channel, 1))
		k.expect(t, `{"event":"pusher:cache_miss","channel":`+quote(channel)+`}`)
	}
}
