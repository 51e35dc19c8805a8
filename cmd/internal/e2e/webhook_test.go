package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// holdBack is how long channel_vacated and member_removed wait.
//
// Pusher: webhooks, "delayed by up to three seconds".
const holdBack = 3 * time.Second

// withHooks are the start options of the test app with webhooks and settings.
func withHooks(t *testing.T, settings map[string]any, hooks ...map[string]any) startOptions {
	t.Helper()
	all := map[string]any{"webhooks": hooks}
	for name, value := range settings {
		all[name] = value
	}
	return startOptions{args: appsFile(t, nil, testApp.entry(all)), bare: true}
}

// hookOf is a webhook event that has only a name and a channel.
func hookOf(name, channel string) string {
	return `{"name":` + quote(name) + `,"channel":` + quote(channel) + `}`
}

// counted is a subscription_count event.
func counted(channel string, n int) string {
	return `{"name":"subscription_count","channel":` + quote(channel) + `,"subscription_count":` + strconv.Itoa(n) + `}`
}

// hookOfMember is a member_added or member_removed event.
func hookOfMember(name, channel, user string) string {
	return `{"name":` + quote(name) + `,"channel":` + quote(channel) + `,"user_id":` + quote(user) + `}`
}

// expectGenuine checks a delivery with Pusher's server library.
func (s *stage) expectGenuine(t *testing.T, d *delivery, since time.Time) {
	t.Helper()
	var got struct {
		Valid bool  `json:"valid"`
		Time  int64 `json:"time"`
	}
	value := s.do(t, "webhook", arguments{"client": "backend", "headers": d.Headers, "rawBody": d.Body})
	if err := json.Unmarshal(value, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Valid || d.Headers["x-pusher-key"] != testApp.key || d.Headers["content-type"] != "application/json" {
		t.Errorf("webhook %s with %v is not valid", d.Body, d.Headers)
	}
	if got.Time < since.UnixMilli() || got.Time > d.AtMS {
		t.Errorf("time_ms %d, want from %d to %d", got.Time, since.UnixMilli(), d.AtMS)
	}
	value = s.do(t, "webhook", arguments{"client": "backend", "headers": d.Headers, "rawBody": d.Body + " "})
	if err := json.Unmarshal(value, &got); err != nil || got.Valid {
		t.Errorf("the signature is valid for another body too (%v)", err)
	}
}

func TestWebhooksTellEverythingThatHappens(t *testing.T) {
	t.Parallel()
	needPackages(t)
	began := time.Now().Add(-time.Millisecond)
	r := startReceiver(t)
	s := setStage(t, withHooks(t, map[string]any{"subscription_count": true}, r.hook("/hook", nil)))
	s.backend(t)
	s.pusher(t, "ann", testApp.key, s.as("ann"))
	s.subscribeRaw(t, "ann", "private-chat")
	s.subscribeRaw(t, "ann", "presence-room")
	s.subscribeRaw(t, "ann", "cache-price")
	ann := s.socketID(t, "ann")
	s.pusher(t, "bob", testApp.key, s.as("bob"))
	s.subscribeRaw(t, "bob", "private-chat")
	s.subscribeRaw(t, "bob", "presence-room")
	for channel, data := range map[string]any{"private-chat": "héllo", "presence-room": map[string]any{"n": 1}} {
		s.do(t, "triggerRaw", arguments{"client": "ann", "channel": channel, "event": "client-typing", "data": data})
		s.expectWhere(t, "bob", "event", channel, func(h happening) bool { return h.Event == "client-typing" })
	}
	s.do(t, "disconnect", arguments{"client": "bob"})
	s.server.api().eventually(t, "/connections", "", `{"connections":1}`)
	s.do(t, "disconnect", arguments{"client": "ann"})

	for _, channel := range []string{"private-chat", "presence-room", "cache-price"} {
		r.expectEvent(t, hookOf("channel_vacated", channel))
	}
	all := r.deliveries(t)
	for i := range all {
		s.expectGenuine(t, &all[i], began)
	}
	events := accepted(t, all)
	expectEvents(t, ofChannel(t, "private-chat", events),
		hookOf("channel_occupied", "private-chat"),
		counted("private-chat", 1),
		counted("private-chat", 2),
		`{"name":"client_event","channel":"private-chat","event":"client-typing","data":"héllo","socket_id":`+quote(ann)+`}`,
		counted("private-chat", 1),
		hookOf("channel_vacated", "private-chat"))
	expectEvents(t, ofChannel(t, "presence-room", events),
		hookOf("channel_occupied", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"),
		hookOfMember("member_added", "presence-room", "bob"),
		`{"name":"client_event","channel":"presence-room","event":"client-typing","data":"{\"n\":1}","socket_id":`+quote(ann)+`,"user_id":"ann"}`,
		hookOfMember("member_removed", "presence-room", "bob"),
		hookOfMember("member_removed", "presence-room", "ann"),
		hookOf("channel_vacated", "presence-room"))
	expectEvents(t, ofChannel(t, "cache-price", events),
		hookOf("channel_occupied", "cache-price"),
		counted("cache-price", 1),
		hookOf("cache_miss", "cache-price"),
		hookOf("channel_vacated", "cache-price"))
}

func TestWebhooksAreFiltered(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	filtered := map[string]any{
		"event_types": []string{"channel_occupied", "client_event"},
		"filter":      map[string]any{"channel_name_starts_with": "private-", "channel_name_ends_with": "-eu"},
		"headers":     map[string]any{"X-Region": "eu"},
	}
	s := start(t, withHooks(t, nil, r.hook("/all", nil), r.hook("/some", filtered)))
	k := open(t, s)
	for _, channel := range []string{"news-eu", "private-orders", "private-orders-us", "private-orders-eu"} {
		k.join(t, channel, "")
	}
	k.join(t, "presence-eu", memberOf("ann"))
	k.send(t, `{"event":"client-typing","channel":"private-orders-eu","data":"x"}`)
	typed := `{"name":"client_event","channel":"private-orders-eu","event":"client-typing","data":"x","socket_id":` + quote(k.id) + `}`
	all := r.until(t, "the client event at both paths", func(all []delivery) bool {
		n := 0
		for _, event := range accepted(t, all) {
			if sameJSON(event, typed) {
				n++
			}
		}
		return n == 2
	})
	var some []string
	for i := range all {
		if all[i].Path == "/some" {
			some = append(some, all[i].events(t)...)
			if got := all[i].Headers["x-region"]; got != "eu" {
				t.Errorf("header X-Region %q, want eu", got)
			}
		}
	}
	expectEvents(t, some, hookOf("channel_occupied", "private-orders-eu"), typed)
}

// A receiver that fails gets everything once it is well again, in order.
func TestWebhooksReachAReceiverThatRecovers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		how  reaction
	}{
		{"after errors of its own", reaction{Status: http.StatusInternalServerError}},
		{"after it refused", reaction{Status: http.StatusGone}},
		{"after redirects, which are not followed", reaction{Status: http.StatusTemporaryRedirect, Location: "/elsewhere"}},
		{"after it hung", reaction{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t)
			s := start(t, withHooks(t, nil, r.hook("/hook", nil)))
			r.react(t, tt.how)
			k := open(t, s)
			k.join(t, "first", "")
			failed := r.expectDeliveries(t, 1)[0]
			k.join(t, "second", "")
			k.join(t, "third", "")
			r.react(t, reaction{Status: http.StatusNoContent})

			all := r.expectEvent(t, hookOf("channel_occupied", "third"))
			expectEvents(t, accepted(t, all), hookOf("channel_occupied", "first"), hookOf("channel_occupied", "second"), hookOf("channel_occupied", "third"))
			for _, d := range all {
				if d.Path != "/hook" {
					t.Errorf("request to %s, want all to /hook", d.Path)
				}
				if d.Status == http.StatusNoContent {
					// The same bytes again, so that a receiver can tell.
					if d.Body != failed.Body || d.Headers["x-pusher-signature"] != failed.Headers["x-pusher-signature"] {
						t.Errorf("retried with %s, want %s", d.Body, failed.Body)
					}
					break
				}
			}
		})
	}
	t.Run("after it was killed", func(t *testing.T) {
		t.Parallel()
		r := startReceiver(t)
		s := start(t, withHooks(t, nil, r.hook("/hook", nil)))
		r.signal(t, syscall.SIGKILL)
		r.wait(t)
		k := open(t, s)
		k.join(t, "first", "")
		s.expectOutput(t, `(?i)webhook.*`+r.address)
		k.join(t, "second", "")
		r = startReceiverAt(t, r.address)
		all := r.expectEvent(t, hookOf("channel_occupied", "second"))
		expectEvents(t, accepted(t, all), hookOf("channel_occupied", "first"), hookOf("channel_occupied", "second"))
	})
}

func TestWebhooksWaitForASlowReceiver(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	s := start(t, withHooks(t, nil, r.hook("/hook", nil)))
	const delay = 2 * time.Second
	r.react(t, reaction{Status: http.StatusOK, DelayMS: int(delay.Milliseconds())})
	k := open(t, s)
	k.join(t, "first", "")
	r.expectDeliveries(t, 1)
	k.join(t, "second", "")
	k.join(t, "third", "")
	all := r.expectEvent(t, hookOf("channel_occupied", "third"))
	// One request at a time, and none repeated.
	expectEvents(t, accepted(t, all), hookOf("channel_occupied", "first"), hookOf("channel_occupied", "second"), hookOf("channel_occupied", "third"))
	if len(all) != 2 {
		t.Errorf("%d requests, want the events that waited in one", len(all))
	}
	if waited := all[1].AtMS - all[0].AtMS; waited < delay.Milliseconds() {
		t.Errorf("the second request came %d ms after the first, want it behind its answer after %v", waited, delay)
	}
}

// What follows the status is nobody's business: its end is not waited for.
func TestWebhooksCutOffAReceiverThatAnswersForEver(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	s := start(t, withHooks(t, nil, r.hook("/hook", nil)))
	r.react(t, reaction{Status: http.StatusOK, Endless: true})
	k := open(t, s)
	k.join(t, "first", "")
	sent, err := strconv.Atoi(r.expectOutput(t, `cut off after (\d+) bytes`)[1])
	if err != nil {
		t.Fatal(err)
	}
	if sent > 16<<20 {
		t.Errorf("%d bytes of an answer were taken, want little more than socket buffers hold", sent)
	}
	k.join(t, "second", "")
	all := r.expectEvent(t, hookOf("channel_occupied", "second"))
	expectEvents(t, accepted(t, all), hookOf("channel_occupied", "first"), hookOf("channel_occupied", "second"))
}

func TestADeadReceiverDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	hanging, other, neighbor := startReceiver(t), startReceiver(t), startReceiver(t)
	hanging.react(t, reaction{})
	one := credentials{"1", "first-key", "first-secret"}
	two := credentials{"2", "second-key", "second-secret"}
	s := start(t, startOptions{bare: true, args: appsFile(t, nil,
		one.entry(map[string]any{"webhooks": []any{hanging.hook("/hook", nil), other.hook("/hook", nil)}}),
		two.entry(map[string]any{"webhooks": []any{neighbor.hook("/hook", nil)}}))})
	first, second := openApp(t, s, one, nil), openApp(t, s, two, nil)
	first.join(t, "news", "")
	hanging.expectDeliveries(t, 1)

	// From here on one request hangs.
	for i := range 20 {
		channel := "channel-" + strconv.Itoa(i)
		first.join(t, channel, "")
		second.join(t, channel, "")
	}
	neighbor.expectEvent(t, hookOf("channel_occupied", "channel-19"))
	other.expectEvent(t, hookOf("channel_occupied", "channel-19"))
	rest{s, one}.trigger(t, "news", "Happened", `{}`)
	first.expectEvent(t, "Happened", "news", `{}`)
	if n := len(hanging.deliveries(t)); n != 1 {
		t.Errorf("the hanging receiver has %d requests, want the first alone", n)
	}
	for _, d := range neighbor.deliveries(t) {
		if d.Headers["x-pusher-key"] != two.key || d.Headers["x-pusher-signature"] != sign(two.secret, d.Body) {
			t.Errorf("request %s with %v, want it signed by the second app", d.Body, d.Headers)
		}
	}
	if got := ofChannel(t, "news", accepted(t, neighbor.deliveries(t))); len(got) != 0 {
		t.Errorf("the second app's receiver got events of the first: %v", got)
	}
}

func TestWebhooksForgiveThoseWhoComeBack(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	s := start(t, withHooks(t, nil, r.hook("/hook", nil)))
	k := open(t, s)
	k.join(t, "presence-room", memberOf("ann"))
	for range 3 {
		k.close(t)
		s.api().eventually(t, "/connections", "", `{"connections":0}`)
		k = open(t, s)
		k.join(t, "presence-room", memberOf("ann"))
	}
	left := time.Now()
	k.close(t)
	all := r.expectEvent(t, hookOf("channel_vacated", "presence-room"))
	if took := time.Since(left); took < holdBack {
		t.Errorf("told %v after the last one left, want %v", took, holdBack)
	}
	expectEvents(t, accepted(t, all),
		hookOf("channel_occupied", "presence-room"),
		hookOfMember("member_added", "presence-room", "ann"),
		hookOfMember("member_removed", "presence-room", "ann"),
		hookOf("channel_vacated", "presence-room"))
}

func TestWebhooksOutliveARestart(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	o := withHooks(t, nil, r.hook("/hook", nil))
	o.env = map[string]string{
		"RESOUND_WEBHOOKS_STORE": filepath.Join(t.TempDir(), "webhooks.jsonl"),
		"RESOUND_DRAIN_TIMEOUT":  "0",
	}
	s := start(t, o)
	r.react(t, reaction{Status: http.StatusServiceUnavailable})
	k := open(t, s)
	k.join(t, "first", "")
	r.expectDeliveries(t, 1)
	k.join(t, "second", "")
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	r.react(t, reaction{Status: http.StatusOK})
	s = start(t, o)
	k = open(t, s)
	k.join(t, "third", "")
	r.expectEvent(t, hookOf("channel_occupied", "third"))
	// The stop ended the connection, and nobody came back to these channels.
	for _, channel := range []string{"first", "second"} {
		all := r.expectEvent(t, hookOf("channel_vacated", channel))
		expectEvents(t, ofChannel(t, channel, accepted(t, all)), hookOf("channel_occupied", channel), hookOf("channel_vacated", channel))
	}
}

func TestWebhooksKeepOutOfPrivateNetworks(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	deny := map[string]string{"RESOUND_WEBHOOKS_DENY_PRIVATE_ADDRESSES": "true"}
	t.Run("a name, when it is dialled", func(t *testing.T) {
		_, port, err := net.SplitHostPort(r.address)
		if err != nil {
			t.Fatal(err)
		}
		o := withHooks(t, nil, map[string]any{"url": "http://localhost:" + port + "/hook"})
		o.env = deny
		s := start(t, o)
		k := open(t, s)
		k.join(t, "news", "")
		s.expectOutput(t, `(?i)webhook.*localhost:`+port+`.*private`)
	})
	t.Run("an address, at the start", func(t *testing.T) {
		o := withHooks(t, nil, r.hook("/hook", nil))
		p := launch(t, command(t, "", deny, append([]string{"start"}, o.args...)...))
		if code := p.wait(t); code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		if text := p.out.String(); !strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "webhooks.deny_private_addresses") {
			t.Errorf("printed %q, want it to name the address and the setting", text)
		}
	})
	if n := len(r.deliveries(t)); n != 0 {
		t.Errorf("%d requests to the receiver, want 0", n)
	}
}
