package rest

import (
	"strings"
	"testing"

	"resound/pusher"
)

func TestRoutes(t *testing.T) {
	tests := []struct {
		name, method, target string
		status               int
		answer, allow        string
	}{
		{"129_up", "GET", "/up", 200, `{"health":"OK"}`, ""},
		{"up_with_a_query", "GET", "/up?x=1", 200, `{"health":"OK"}`, ""},
		{"up_by_POST", "POST", "/up", 405, "Method not allowed. This path takes GET, HEAD.", "GET, HEAD"},
		{"events_by_GET", "GET", eventsPath, 405, "Method not allowed. This path takes POST.", "POST"},
		{"events_by_HEAD", "HEAD", eventsPath, 405, "", "POST"},
		{"events_by_DELETE", "DELETE", eventsPath, 405, "Method not allowed.", "POST"},
		{"channels_by_POST", "POST", appPath + "/channels", 405, "Method not allowed.", "GET, HEAD"},
		{"OPTIONS", "OPTIONS", eventsPath, 405, "Method not allowed.", "POST"},
		{"a_method_nobody_knows", "BREW", "/up", 405, "Method not allowed.", "GET, HEAD"},
		{"nothing", "GET", "/", 404, "Not found. Routes are those of the Pusher HTTP API", ""},
		{"an_unknown_path", "GET", "/x", 404, "Not found.", ""},
		{"a_trailing_slash", "GET", "/up/", 404, "Not found.", ""},
		{"a_double_slash", "GET", "//up", 404, "Not found.", ""},
		{"dots_are_not_walked", "GET", "/x/../up", 404, "Not found.", ""},
		{"an_empty_app", "GET", "/apps//channels", 404, "Not found.", ""},
		{"an_unknown_endpoint", "GET", appPath + "/x", 404, "Not found.", ""},
		{"too_deep", "GET", appPath + "/channels/a/users/x", 404, "Not found.", ""},
		{"much_too_deep", "GET", strings.Repeat("/a", 500), 404, "Not found.", ""},
		{"an_escaped_literal", "GET", "/u%70", 404, "Not found.", ""},
		{"the_WebSocket_path", "GET", "/app/" + appKey + "?protocol=7", 426, "Upgrade required. This path speaks WebSocket", ""},
		{"the_WebSocket_path_by_POST", "POST", "/app/" + appKey, 405, "Method not allowed.", "GET, HEAD"},
		{"the_WebSocket_path_without_key", "GET", "/app/", 404, "Not found.", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			got := f.send(tt.method, tt.target, "")
			if tt.method == "HEAD" {
				if got.status != tt.status || got.body != "" {
					t.Errorf("%d %q, want %d without a body", got.status, got.body, tt.status)
				}
			} else {
				got.check(t, tt.status, tt.answer)
			}
			if allow := got.header.Get("Allow"); allow != tt.allow {
				t.Errorf("Allow = %q, want %q", allow, tt.allow)
			}
			if tt.status == 426 && (got.header.Get("Upgrade") != "websocket" || got.header.Get("Connection") != "Upgrade") {
				t.Errorf("headers %v, want Upgrade: websocket and Connection: Upgrade", got.header)
			}
			if n := f.server.Stats().Responses[tt.status/100]; n != 1 {
				t.Errorf("%d responses counted in class %d, want 1", n, tt.status/100)
			}
		})
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{"/up", "/ready", appPath + "/channels", appPath + "/channels/a", appPath + "/connections"} {
		get, head := f.do("GET", path, ""), f.do("HEAD", path, "")
		if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("HEAD %s = %d, %q, %v; GET has %v", path, head.status, head.body, head.header, get.header)
		}
	}
}

func TestReady(t *testing.T) {
	tests := []struct {
		name   string
		ready  Readiness
		given  func(*fixture)
		status int
		answer string
	}{
		{"serving", Readiness{}, nil, 200, `{"ready":true,"version":"1.2.3"}`},
		{"degraded", Readiness{Degraded: "redis"}, nil, 200, `{"ready":true,"degraded":"redis","version":"1.2.3"}`},
		{"starting", Readiness{Waiting: "starting"}, nil, 503, `{"ready":false,"reason":"starting"}`},
		{"draining", Readiness{Degraded: "redis"}, func(f *fixture) { f.node.Drain() }, 503, `{"ready":false,"reason":"draining"}`},
		{"over_capacity", Readiness{}, func(f *fixture) { f.node.full = true }, 503, `{"ready":false,"reason":"over capacity"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(o *Options, _ *pusher.AppOptions) {
				o.Version = "1.2.3"
				o.Ready = func() Readiness { return tt.ready }
			})
			if tt.given != nil {
				tt.given(f)
			}
			got := f.send("GET", "/ready", "")
			got.check(t, tt.status, tt.answer)
			if retry := got.header.Get("Retry-After"); (retry == "1") != (tt.status == 503) {
				t.Errorf("Retry-After = %q with status %d", retry, tt.status)
			}
			f.send("GET", "/up", "").check(t, 200, `{"health":"OK"}`)
		})
	}
	t.Run("without_options", func(t *testing.T) {
		newFixture(t, nil).send("GET", "/ready", "").check(t, 200, `{"ready":true}`)
	})
}
