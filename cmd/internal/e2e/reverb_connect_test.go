package e2e

import (
	"context"
	"net/http"
	"testing"

	"github.com/coder/websocket"
)

var connectBehaviors = []behavior{
	{1, "connect_to_other_apps", "", func(t *testing.T, w *world) {
		w.openApp(t, "reverb-key-2")
		k := w.dial(t, "reverb-key-3", "http://laravel.com")
		if got := decode(t, k.next(t)); got.Event != "pusher:connection_established" {
			t.Errorf("received %s, want pusher:connection_established", got.Event)
		}
	}},
	{28, "unknown_app_key", "the connection is closed, with the error's code", func(t *testing.T, w *world) {
		k := dial(t, w.server, credentials{key: "not-a-key"}, nil)
		k.expectError(t, 4001, "Application does not exist")
		k.expectClose(t, 4001)
	}},
	{31, "wrong_or_no_origin", "the connection is closed, with the error's code", func(t *testing.T, w *world) {
		for _, origin := range []string{"", "http://laravel.org", "http://sub.laravel.com"} {
			k := w.dial(t, "reverb-key-3", origin)
			k.expectError(t, 4009, "Origin not allowed")
			k.expectClose(t, 4009)
		}
	}},
	{32, "valid_origin", "", func(t *testing.T, w *world) {
		// Scheme and port of an origin do not matter.
		for _, origin := range []string{"http://laravel.com", "https://laravel.com:8443"} {
			k := w.dial(t, "reverb-key-3", origin)
			if got := decode(t, k.next(t)); got.Event != "pusher:connection_established" {
				t.Errorf("from %s: received %s, want pusher:connection_established", origin, got.Event)
			}
		}
	}},
	{33, "over_max_connections", "connections without a subscription count too, and the refused one is closed", func(t *testing.T, w *world) {
		w.openApp(t, "single")
		k := w.dial(t, "single", "")
		k.expectError(t, 4004, "Application is over connection quota")
		k.expectClose(t, 4004)
	}},
	{41, "answers_behind_a_path_prefix", "", func(t *testing.T, _ *world) {
		s := start(t, startOptions{args: append([]string{"--path", "ws"}, anyPort...)})
		open(t, s).join(t, "test-channel", "")
		s.api().trigger(t, "test-channel", "Event", "{}")
	}},
	{42, "not_found_without_the_prefix", "", func(t *testing.T, _ *world) {
		s := start(t, startOptions{args: append([]string{"--path", "/ws"}, anyPort...)})
		s.path = ""
		if got := s.api().get(t, "/channels", ""); got.status != http.StatusNotFound {
			t.Errorf("GET without the prefix = %d %s, want 404", got.status, got.body)
		}
		url := "ws://" + s.address() + "/app/" + testApp.key
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, response, err := websocket.Dial(ctx, url, &websocket.DialOptions{
			HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		})
		if err == nil || response == nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("handshake without the prefix: %v, want 404", err)
		}
	}},
	{48, "names_itself_in_the_handshake", "the name is resound", func(t *testing.T, w *world) {
		if got := w.open(t).response.Header.Get("X-Powered-By"); got != "resound" {
			t.Errorf("X-Powered-By %q, want resound", got)
		}
	}},
}
