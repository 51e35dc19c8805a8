package e2e

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// browser is a Chromium.
type browser struct{ *driver }

// browse starts Chromium with a profile of its own.
func browse(t *testing.T) browser {
	t.Helper()
	needPackages(t)
	executable := needChromium(t)
	profile := t.TempDir()
	b := browser{drive(t, "browser.mjs")}
	b.do(t, "launch", arguments{"executable": executable, "profile": profile})
	return b
}

// open opens the application's page as a user, connected by one transport.
func (b browser) open(t *testing.T, page, user, transport string, s *stage) {
	t.Helper()
	query := url.Values{
		"key": {s.application.app.key}, "host": {"127.0.0.1"}, "port": {strconv.Itoa(s.server.port)},
		"transport": {transport}, "auth": {s.auth + "/broadcasting/auth"}, "user": {user},
	}
	b.do(t, "open", arguments{"client": page, "url": s.application.URL + "/page?" + query.Encode()})
	b.expectItem(t, page, "transport", quote(transport))
}

// expectItem waits for a list item of the page and compares its text as JSON.
func (b browser) expectItem(t *testing.T, page, class, want string) {
	t.Helper()
	var got string
	if err := json.Unmarshal(b.text(t, page, "."+class), &got); err != nil || !sameJSON(got, want) {
		t.Fatalf("%s: %s shows %q, want %s", page, class, got, want)
	}
}

// text waits until an element shows up and returns its text.
func (b browser) text(t *testing.T, page, selector string) json.RawMessage {
	t.Helper()
	return b.do(t, "text", arguments{"client": page, "selector": selector, "timeout": patience.Milliseconds() / 2})
}

// expectCount compares how many items of a class the page shows.
func (b browser) expectCount(t *testing.T, page, class string, want int) {
	t.Helper()
	var got int
	if err := json.Unmarshal(b.do(t, "count", arguments{"client": page, "selector": "." + class}), &got); err != nil || got != want {
		t.Errorf("%s shows %d items of %s, want %d", page, got, class, want)
	}
}

func TestEchoInChromium(t *testing.T) {
	t.Parallel()
	b := browse(t)
	// The pages come from the application, so the server is of another origin.
	// The stage's clients run in Node; here it is its back end that is used.
	tests := []struct {
		name, transport string
		stage           func(*testing.T, startOptions) *stage
	}{
		{"by WebSocket", "ws", setStage},
		{"by streaming", "xhr_streaming", setStage},
		{"by polling", "xhr_polling", setStage},
		{"authorized by the server", "ws", setShieldedStage},
		{"by streaming, authorized by the server", "xhr_streaming", setShieldedStage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.stage(t, startOptions{env: reusePort})
			s.backend(t)
			ann, bob, out := tt.name+": ann", tt.name+": bob", tt.name+": banned"
			b.open(t, ann, "ann", tt.transport, s)
			for _, class := range []string{"public-subscribed", "private-subscribed", "encrypted-subscribed"} {
				b.expectItem(t, ann, class, `null`)
			}
			b.expectItem(t, ann, "here", `[{"name":"ann"}]`)

			s.call(t, `{}`, "trigger", []string{"news", "private-orders", "presence-room"}, "ignored", "nobody listens")
			s.call(t, `{}`, "trigger", "news", "Published", map[string]any{"title": "grüße"})
			s.call(t, `{}`, "trigger", "private-orders", "Shipped", map[string]any{"order": 1})
			s.call(t, `{}`, "trigger", "presence-room", "Announced", map[string]any{"text": "hello"})
			s.call(t, `{}`, "trigger", "private-encrypted-vault", "Opened", map[string]any{"code": 42})
			b.expectItem(t, ann, "public-event", `{"title":"grüße"}`)
			b.expectItem(t, ann, "private-event", `{"order":1}`)
			b.expectItem(t, ann, "presence-event", `{"text":"hello"}`)
			b.expectItem(t, ann, "encrypted-event", `{"code":42}`)

			b.open(t, bob, "bob", tt.transport, s)
			b.expectItem(t, bob, "here", `[{"name":"ann"},{"name":"bob"}]`)
			b.expectItem(t, ann, "joining", `{"name":"bob"}`)
			b.do(t, "click", arguments{"client": bob, "selector": "#whisper", "timeout": patience.Milliseconds() / 2})
			b.expectItem(t, ann, "whisper", `{"from":"bob"}`)
			b.expectCount(t, bob, "whisper", 0)

			b.open(t, out, banned, tt.transport, s)
			b.expectItem(t, out, "public-subscribed", `null`)
			var refusal string
			if err := json.Unmarshal(b.text(t, out, ".error"), &refusal); err != nil || !strings.Contains(refusal, `"status":403`) {
				t.Errorf("the page of a banned user shows %q, want an error with status 403", refusal)
			}
			b.expectCount(t, out, "here", 0)

			b.do(t, "shut", arguments{"client": bob})
			b.expectItem(t, ann, "leaving", `{"name":"bob"}`)
			b.expectCount(t, ann, "joining", 1)
			b.expectCount(t, ann, "error", 0)

			b.expectComesBack(t, ann, s)
			b.do(t, "shut", arguments{"client": ann})
			b.do(t, "shut", arguments{"client": out})
			if n := b.count(ann, "page_error", "") + b.count(bob, "page_error", ""); n != 0 {
				t.Errorf("%d errors on the pages, want 0:\n%s", n, b.history(ann)+b.history(bob))
			}
		})
	}
}

// expectComesBack kills the server while another one is there: the page connects
// to it by itself and gets what is triggered from then on.
func (b browser) expectComesBack(t *testing.T, page string, s *stage) {
	t.Helper()
	s.replaceServer(t)
	b.text(t, page, ".transport >> nth=1")
	s.server.api().eventually(t, "/channels/private-orders", "", `{"occupied":true}`)
	s.server.api().trigger(t, "private-orders", "Shipped", `{"order":2}`)
	b.text(t, page, `.private-event:text-is('{"order":2}')`)
	b.expectCount(t, page, "private-event", 2)
}
