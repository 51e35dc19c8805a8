package e2e

import (
	"strings"
	"testing"
)

// The tests of this file publish and ask with Pusher's own server library.

func TestBackendExcludesTheSocketThatCausedAnEvent(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	for _, user := range []string{"ann", "bob"} {
		s.echo(t, user, user)
		s.subscribe(t, user, "private", "orders")
	}
	s.call(t, `{}`, "trigger", "private-orders", "Happened", "to others",
		map[string]any{"socket_id": s.socketID(t, "ann")})
	s.call(t, `{}`, "trigger", "private-orders", "Happened", "to all")
	s.expectValue(t, "bob", "event", "orders", `"to others"`)
	s.expectValue(t, "bob", "event", "orders", `"to all"`)
	s.expectValue(t, "ann", "event", "orders", `"to all"`)
}

func TestBackendTriggersOnSeveralChannels(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.echo(t, "ann", "ann")
	s.subscribe(t, "ann", "public", "news")
	s.subscribe(t, "ann", "private", "orders")
	s.subscribe(t, "ann", "presence", "room")
	s.call(t, `{"channels":{"news":{"subscription_count":1},"private-orders":{"subscription_count":1},"presence-room":{"user_count":1},"empty":{}}}`,
		"trigger", []string{"news", "private-orders", "presence-room", "empty"}, "Happened", map[string]any{"n": 1},
		map[string]any{"info": "user_count,subscription_count"})
	for _, channel := range []string{"news", "orders", "room"} {
		s.expectValue(t, "ann", "event", channel, `{"n":1}`)
	}
}

func TestBackendTriggersABatch(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	s.echo(t, "ann", "ann")
	s.subscribe(t, "ann", "public", "news")
	s.subscribe(t, "ann", "encrypted", "vault")
	s.call(t, `{"batch":{}}`, "triggerBatch", []map[string]any{
		{"channel": "news", "name": "Happened", "data": map[string]any{"n": 1}},
		{"channel": "private-encrypted-vault", "name": "Happened", "data": map[string]any{"n": 2}},
		{"channel": "news", "name": "Happened", "data": "excluded", "socket_id": s.socketID(t, "ann")},
		{"channel": "news", "name": "Happened", "data": map[string]any{"n": 3}},
	})
	s.expectValue(t, "ann", "event", "news", `{"n":1}`)
	s.expectValue(t, "ann", "event", "vault", `{"n":2}`)
	s.expectValue(t, "ann", "event", "news", `{"n":3}`)
}

func TestBackendAsksWhatIsOccupied(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	get := func(path string, parameters map[string]any) map[string]any {
		return map[string]any{"path": path, "params": parameters}
	}
	s.call(t, `{"channels":{}}`, "get", get("/channels", nil))
	for _, user := range []string{"ann", "bob"} {
		s.echo(t, user, user)
		s.subscribe(t, user, "public", "news")
		s.subscribe(t, user, "presence", "room")
	}
	s.call(t, `{"channels":{"news":{},"presence-room":{}}}`, "get", get("/channels", nil))
	s.call(t, `{"channels":{"presence-room":{"user_count":2}}}`, "get",
		get("/channels", map[string]any{"filter_by_prefix": "presence-", "info": "user_count"}))
	s.call(t, `{"occupied":true,"subscription_count":2}`, "get",
		get("/channels/news", map[string]any{"info": "subscription_count"}))
	s.call(t, `{"occupied":true,"user_count":2}`, "get",
		get("/channels/presence-room", map[string]any{"info": "user_count"}))
	s.call(t, `{"occupied":false}`, "get", get("/channels/empty", nil))
	s.call(t, `{"users":[{"id":"ann"},{"id":"bob"}]}`, "get", get("/channels/presence-room/users", nil))
	s.call(t, `{"connections":2}`, "get", get("/connections", nil))
	for path, want := range map[string]int{"/channels/news/users": 400, "/channels/presence-empty/users": 404, "/nothing": 404} {
		if status, body := s.callRaw(t, "get", get(path, nil)); status != want || strings.TrimSpace(body) == "" {
			t.Errorf("get %s = %d %q, want %d with a body", path, status, body, want)
		}
	}
}

func TestBackendTerminatesTheConnectionsOfAUser(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.backend(t)
	for client, user := range map[string]string{"ann": "ann", "bob's first tab": "bob", "bob's second tab": "bob"} {
		s.echo(t, client, user)
		s.subscribe(t, client, "presence", "room")
	}
	// A connection without a user is in nobody's way.
	s.echo(t, "guest", "guest")
	s.subscribe(t, "guest", "public", "news")

	s.call(t, `{}`, "terminateUserConnections", "bob")
	for _, client := range []string{"bob's first tab", "bob's second tab"} {
		// Code 4009 makes pusher-js give up; any other close brings it back within
		// a second.
		s.expectState(t, client, "disconnected")
	}
	s.expectValue(t, "ann", "leaving", "room", `{"name":"bob"}`)
	s.server.api().eventually(t, "/connections", "", `{"connections":2}`)
	s.server.api().trigger(t, "presence-room", "Happened", `{}`)
	s.expect(t, "ann", "event", "room")
	for _, client := range []string{"bob's first tab", "bob's second tab"} {
		if got := string(s.do(t, "state", arguments{"client": client})); got != `"disconnected"` {
			t.Errorf("%s is %s, want it to stay disconnected", client, got)
		}
	}
}

func TestBackendIsRefusedWithAWrongSecret(t *testing.T) {
	t.Parallel()
	s := setStage(t, startOptions{})
	s.do(t, "backend", arguments{"client": "backend", "options": arguments{
		"host": s.server.address(), "appId": testApp.id, "key": testApp.key, "secret": "wrong",
	}})
	if status, body := s.callRaw(t, "trigger", "news", "Happened", "x"); status != 401 || !strings.Contains(body, "signature") {
		t.Errorf("trigger = %d %q, want 401 that names the signature", status, body)
	}
}
