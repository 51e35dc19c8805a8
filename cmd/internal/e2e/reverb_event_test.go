package e2e

import "testing"

var eventBehaviors = []behavior{
	{16, "http_event_reaches_every_subscriber", "", func(t *testing.T, w *world) {
		sockets := []*socket{w.open(t), w.open(t), w.open(t)}
		for _, k := range sockets {
			k.join(t, "test-16", "")
		}
		w.api().trigger(t, "test-16", "App\\Events\\TestEvent", `{"foo":"bar"}`)
		for _, k := range sockets {
			k.expect(t, `{"event":"App\\Events\\TestEvent","data":"{\"foo\":\"bar\"}","channel":"test-16"}`)
		}
	}},
	{17, "http_event_reaches_a_member", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.join(t, "presence-test-17", member(1))
		w.api().trigger(t, "presence-test-17", "App\\Events\\TestEvent", `{"foo":"bar"}`)
		k.expect(t, `{"event":"App\\Events\\TestEvent","data":"{\"foo\":\"bar\"}","channel":"presence-test-17"}`)
	}},
	{18, "ping_is_answered", "", func(t *testing.T, w *world) {
		k := w.open(t)
		k.send(t, `{"event":"pusher:ping"}`)
		k.expect(t, `{"event":"pusher:pong"}`)
	}},
	{21, "whisper_on_a_public_channel", "", func(t *testing.T, w *world) {
		sender, receiver := w.open(t), w.open(t)
		sender.join(t, "test-21", "")
		receiver.join(t, "test-21", "")
		sender.send(t, `{"event":"client-start-typing","data":{"id":123,"name":"Joe"},"channel":"test-21"}`)
		receiver.expect(t, `{"event":"client-start-typing","data":{"id":123,"name":"Joe"},"channel":"test-21"}`)
	}},
}
