package e2e

import (
	"context"
	"testing"
	"time"
)

// The app "watched" pings after a second of silence. A ping that stays without an
// answer is followed by the end of the connection, never by another ping: seeing
// two of them shows that what came between counts as life.

var livenessBehaviors = []behavior{
	{19, "a_silent_subscriber_is_pinged", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "watched")
		k.join(t, "test-19", "")
		k.expect(t, `{"event":"pusher:ping"}`)
	}},
	{20, "a_dead_subscriber_is_closed", "the close has code 4201, and comes a fixed time after the ping", func(t *testing.T, w *world) {
		if testing.Short() {
			t.Skip("waits half a minute for the pong timeout")
		}
		k := w.openApp(t, "watched")
		k.join(t, "test-20", "")
		k.expect(t, `{"event":"pusher:ping"}`)
		// The wait for the pong is as long as the others here may last.
		k.patience = patience + 15*time.Second
		k.expectError(t, 4201, "Pong reply not received in time")
		k.expectClose(t, 4201)
		rest{w.server, w.apps["watched"]}.eventually(t, "/channels/test-20", "", `{"occupied":false}`)
	}},
	{44, "a_websocket_ping_is_answered_and_is_life", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "watched")
		k.expect(t, `{"event":"pusher:ping"}`)
		k.ping(t)
		k.expectPing(t)
	}},
	{45, "a_websocket_pong_is_life_and_has_no_answer", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "watched")
		k.ping(t)
		for range 3 {
			k.expectPing(t) // answered with a pong by the library
		}
		if got := k.pongs.Load(); got != 1 {
			t.Errorf("%d pongs received, want 1, for the ping", got)
		}
	}},
	{46, "the_first_probe_is_pusher_ping", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "watched")
		k.join(t, "test-46", "")
		for range 2 {
			k.expect(t, `{"event":"pusher:ping"}`)
			k.send(t, `{"event":"pusher:pong"}`)
		}
		if got := len(k.pings); got != 0 {
			t.Errorf("%d WebSocket pings received, want 0", got)
		}
	}},
	{47, "a_client_that_sent_a_control_frame_gets_those", "", func(t *testing.T, w *world) {
		k := w.openApp(t, "watched")
		k.join(t, "test-47", "")
		k.ping(t)
		k.expectPing(t)
		before := len(k.messages) // a busy host may have probed it before it sent the frame
		k.expectPing(t)
		if got := len(k.messages) - before; got != 0 {
			t.Errorf("%d messages beside the WebSocket pings, want 0", got)
		}
	}},
}

// ping sends a WebSocket ping and waits for its pong.
func (k *socket) ping(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := k.conn.Ping(ctx); err != nil {
		t.Fatalf("ping: %v", err)
	}
}

// expectPing waits for a WebSocket ping.
func (k *socket) expectPing(t *testing.T) {
	t.Helper()
	select {
	case <-k.pings:
	case <-time.After(patience):
		t.Fatalf("no WebSocket ping within %v", patience)
	}
}
