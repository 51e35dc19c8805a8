package e2e

import (
	"encoding/json"
	"net/url"
	"strconv"
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

// open opens the application's page as a user.
func (b browser) open(t *testing.T, page string, a *application, s *server) {
	t.Helper()
	query := url.Values{"key": {a.app.key}, "host": {"127.0.0.1"}, "port": {strconv.Itoa(s.port)}, "user": {page}}
	b.do(t, "open", arguments{"client": page, "url": a.URL + "/page?" + query.Encode()})
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
	// The stage's clients run in Node; here it is its back end that is used.
	s := setStage(t, startOptions{})
	s.backend(t)

	b.open(t, "ann", s.application, s.server)
	for _, class := range []string{"public-subscribed", "private-subscribed", "encrypted-subscribed"} {
		b.expectItem(t, "ann", class, `null`)
	}
	b.expectItem(t, "ann", "here", `[{"name":"ann"}]`)

	s.call(t, `{}`, "trigger", []string{"news", "private-orders", "presence-room"}, "ignored", "nobody listens")
	s.call(t, `{}`, "trigger", "news", "Published", map[string]any{"title": "grüße"})
	s.call(t, `{}`, "trigger", "private-orders", "Shipped", map[string]any{"order": 1})
	s.call(t, `{}`, "trigger", "presence-room", "Announced", map[string]any{"text": "hello"})
	s.call(t, `{}`, "trigger", "private-encrypted-vault", "Opened", map[string]any{"code": 42})
	b.expectItem(t, "ann", "public-event", `{"title":"grüße"}`)
	b.expectItem(t, "ann", "private-event", `{"order":1}`)
	b.expectItem(t, "ann", "presence-event", `{"text":"hello"}`)
	b.expectItem(t, "ann", "encrypted-event", `{"code":42}`)

	b.open(t, "bob", s.application, s.server)
	b.expectItem(t, "bob", "here", `[{"name":"ann"},{"name":"bob"}]`)
	b.expectItem(t, "ann", "joining", `{"name":"bob"}`)
	b.do(t, "click", arguments{"client": "bob", "selector": "#whisper", "timeout": patience.Milliseconds() / 2})
	b.expectItem(t, "ann", "whisper", `{"from":"bob"}`)
	b.expectCount(t, "bob", "whisper", 0)

	b.do(t, "shut", arguments{"client": "bob"})
	b.expectItem(t, "ann", "leaving", `{"name":"bob"}`)
	b.expectCount(t, "ann", "joining", 1)
	b.expectCount(t, "ann", "error", 0)
	if n := b.count("ann", "page_error", "") + b.count("bob", "page_error", ""); n != 0 {
		t.Errorf("%d errors on the pages, want 0:\n%s", n, b.history("ann")+b.history("bob"))
	}
}
