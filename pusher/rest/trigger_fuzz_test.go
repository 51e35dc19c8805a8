package rest

import (
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/valyala/fasthttp"

	"resound/pusher"
)

// FuzzTrigger sends any body, signed. Whatever is accepted must have reached the
// node as encoding/json reads it; whatever is refused must not have.
func FuzzTrigger(f *testing.F) {
	for _, seed := range []string{
		`{"name":"e","channel":"a","data":"x"}`,
		`{"name":"\u00e9\\","channels":["a","\u0061","b"],"data":"{\"x\":[1]}","socket_id":"1.2","info":"user_count"}`,
		`{"name":"e","data":"x","channels":{"1":"a","0":""}}`, `{"name":" ","data":1}`, `[]`, `{"name":"e","name":null}`, "{\"na\xffme\"",
	} {
		f.Add([]byte(seed))
	}
	real, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{{ID: appID, Key: appKey, Secret: appSecret}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		node := &fakeNode{Node: real, now: testNow}
		s, err := New(Options{Node: node, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetHost("x")
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.SetRequestURI(eventsPath + "?" + sign("POST", eventsPath, nil, string(body)))
		ctx.Request.SetBody(body)
		s.Handle(&ctx)
		switch ctx.Response.StatusCode() {
		case 400, 422:
			if len(node.triggered) > 0 {
				t.Fatalf("%q is refused and triggered %v", body, node.triggered)
			}
			return
		case 200:
		default:
			t.Fatalf("%q: %d %s", body, ctx.Response.StatusCode(), ctx.Response.Body())
		}
		if !json.Valid(ctx.Response.Body()) {
			t.Fatalf("%q is answered with %q", body, ctx.Response.Body())
		}
		want := map[string]any{}
		if err := json.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is accepted: %v", body, err)
		}
		for _, e := range node.triggered {
			var name, data any
			if json.Unmarshal([]byte(e.Name), &name) != nil || json.Unmarshal([]byte(e.Data), &data) != nil {
				t.Fatalf("%q gives the tokens %s and %s", body, e.Name, e.Data)
			}
			if name != want["name"] || data != want["data"] || !named(want, e.Channel) {
				t.Errorf("%q gives %q, %q, %q", body, e.Channel, name, data)
			}
		}
	})
}

// named reports whether a body names a channel to send to.
func named(body map[string]any, channel string) bool {
	switch many := body["channels"].(type) {
	case []any:
		if len(many) > 0 {
			return slices.Contains(many, any(channel))
		}
	case map[string]any:
		if len(many) > 0 {
			return true // A map hides the first of two equal keys.
		}
	}
	return body["channel"] == channel
}
