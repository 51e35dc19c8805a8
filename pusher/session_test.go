package pusher

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"resound/frame"
)

func request(path, origin string) *frame.Request {
	return &frame.Request{Path: []byte(path), Origin: []byte(origin)}
}

func TestOriginAllowed(t *testing.T) {
	for _, row := range []struct {
		patterns string
		origin   string
		want     bool
	}{
		{"*", "", true},
		{"", "", true},
		{"laravel.com,*", "http://other", true},
		{"laravel.com", "http://laravel.com", true},
		{"laravel.com", "https://laravel.com:8443", true},
		{"laravel.com", "http://LARAVEL.com", false},
		{"laravel.com", "http://sub.laravel.com", false},
		{"laravel.com", "http://laravel.com.evil.test", false},
		{"laravel.com", "http://evil.test/laravel.com", false},
		{"laravel.com", "http://laravel.com@evil.test", false},
		{"laravel.com", "laravel.com", false},
		{"laravel.com", "", false},
		{"laravel.com", "null", false},
		{"*.laravel.com", "http://laravel.com", false},
		{"*.laravel.com", "http://a.b.laravel.com", true},
		{"localhost,*.localhost", "http://sub.localhost", true},
		{"[::1]", "http://[::1]:3000", true},
		{"*a*b*c", "http://xxaxxbxxc", true},
		{"*a*b*c", "http://xxaxxbxx", false},
	} {
		var patterns []string
		if row.patterns != "" {
			patterns = strings.Split(row.patterns, ",")
		}
		if got := originAllowed(patterns, row.origin); got != row.want {
			t.Errorf("origin %q against %q: got %v, want %v", row.origin, row.patterns, got, row.want)
		}
	}
}

func TestSocketIDText(t *testing.T) {
	for _, id := range []SocketID{{1, 0}, {maxNonce, 1<<32 - 1}, {newNonce(), slotOf(63, slotConnMask)}} {
		got, ok := ParseSocketID(id.String())
		if !ok || got != id {
			t.Errorf("%v came back as %v, %v", id, got, ok)
		}
	}
	for _, text := range []string{"", ".", "1", "1.", ".1", "0.1", "-1.1", "1.-1", "1.1.1", "a.b", "9007199254740992.1", "1.4294967296", "1 .1", "٣.1"} {
		if id, ok := ParseSocketID(text); ok {
			t.Errorf("%q was read as %v", text, id)
		}
	}
	id := SocketID{5, slotOf(63, slotConnMask)}
	if id.reactor() != 63 || id.conn() != slotConnMask {
		t.Errorf("got reactor %d connection %d", id.reactor(), id.conn())
	}
}

func TestAppendStringIsJSON(t *testing.T) {
	for _, s := range []string{"", "plain", "quote\" back\\ slash/", "\x00\x1f\n\r\t", "café €😀", "bad\xff\xfe", "\xed\xa0\x80", "</script>", "\u2028"} {
		var got string
		b := appendString(nil, s)
		if err := json.Unmarshal(b, &got); err != nil {
			t.Errorf("%q became %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); strings.ToValidUTF8(got, "?") != got || len(got) == 0 && len(s) > 0 || want == s && got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{MaxMessageBytes: 1 << 20})
	c := f.Open("k", "")
	c.Next()
	nested := strings.Repeat("[", MaxJSONDepth) + strings.Repeat("]", MaxJSONDepth)
	c.Send(`{"event":"client-x","channel":"news","data":` + nested + `}`)
	if got := c.Next(); !strings.Contains(got, "4200") {
		t.Errorf("nesting of %d: got %s", MaxJSONDepth+1, got)
	}
	c.Send(`{"event":"client-x","channel":"news","data":"` + strings.Repeat("[", 2*MaxJSONDepth) + `"}`)
	if got := c.Next(); !strings.Contains(got, "4009") {
		t.Errorf("brackets in a string are no nesting: got %s", got)
	}
}

// TestDuplicateKeys: of two keys the last counts, also for what is signed.
func TestDuplicateKeys(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:ping","event":"pusher:subscribe","data":1,"data":{"channel":"private-a","channel":"b"}}`)
	if got := c.Next(); !strings.Contains(got, `"channel":"b"`) {
		t.Errorf("got %s", got)
	}
}

func TestBinaryMessagesAreRead(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Next()
	f.reactor.shard.OnMessage(c.handle, false, []byte(`{"event":"pusher:ping"}`))
	if got := c.Next(); got != `{"event":"pusher:pong"}` {
		t.Errorf("got %s", got)
	}
	f.reactor.shard.OnMessage(c.handle, false, []byte("{\"event\":\"client-\xff\"}"))
	if got := c.Next(); !strings.Contains(got, "4200") {
		t.Errorf("invalid UTF-8 in a binary message: got %s", got)
	}
}

// TestProbeFollowsTheClient: who ever sent a control frame is probed with one.
func TestProbeFollowsTheClient(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{PingInterval: 10 * time.Second})
	c := f.Open("k", "")
	c.Next()
	f.reactor.shard.OnControl(c.handle)
	f.Advance(11 * time.Second)
	if got := c.Next(); got != "ping" {
		t.Errorf("got %s, want a WebSocket ping", got)
	}
	f.Advance(20 * time.Second)
	f.reactor.shard.OnControl(c.handle) // the pong
	f.Advance(9 * time.Second)
	if got := c.Next(); got != "nothing arrived" {
		t.Errorf("after a pong: got %s", got)
	}
}

func TestOverCapacityAndDraining(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	f.node.setLimits(Limits{MaxConnections: 1})
	a := f.Open("k", "")
	a.Next()
	b := f.Open("k", "")
	if got := b.Next() + b.Next(); !strings.Contains(got, "closed 4100") {
		t.Errorf("over capacity: got %s", got)
	}
	a.Drop()
	if c := f.Open("k", ""); !strings.Contains(c.Next(), "established") {
		t.Error("a place became free")
	} else {
		c.Drop()
	}
	f.node.Drain()
	d := f.Open("k", "")
	if got := d.Next() + d.Next(); !strings.Contains(got, "closed 4200") {
		t.Errorf("draining: got %s", got)
	}
	if n := f.node.Connections(); n != 0 {
		t.Errorf("%d connections are counted after all left", n)
	}
}

func TestOverloadRefusesAndCounts(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	f.node.setLimits(Limits{MaxPendingPublications: 3})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"cache-news"}}`)
	c.Next()
	c.Next()
	e := Event{Channel: "cache-news", Name: `"e"`, Data: `"1"`}
	for i := range 5 {
		err := f.node.Trigger(f.app, e)
		if (err != nil) != (i >= 3) {
			t.Errorf("publication %d: got %v", i, err)
		}
	}
	if got := f.node.Refused(); got != 2 {
		t.Errorf("counted %d refused, want 2", got)
	}
	if err := f.node.Trigger(f.app, Event{Channel: "nobody-there", Name: `"e"`, Data: `"1"`}); err != nil {
		t.Errorf("a channel without subscribers is never overloaded: %v", err)
	}
	f.reactor.pump()
	for range 3 {
		if got := c.Next(); !strings.Contains(got, `"e"`) {
			t.Errorf("got %s", got)
		}
	}
}

// TestMergesOnlyWhatEverybodyGets sends a burst in which some are excluded.
func TestMergesOnlyWhatEverybodyGets(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	a, b := f.Open("k", ""), f.Open("k", "")
	for _, c := range []*fakeConn{a, b} {
		c.Next()
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		c.Next()
	}
	want := map[*fakeConn][]string{}
	for i := range 40 {
		e := Event{Channel: "news", Name: `"e"`, Data: fmt.Sprintf(`"%d"`, i)}
		if i%7 == 3 {
			e.Except = f.reactor.shard.socketID(a.handle)
		} else {
			want[a] = append(want[a], fmt.Sprint(i))
		}
		want[b] = append(want[b], fmt.Sprint(i))
		if err := f.node.Trigger(f.app, e); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*fakeConn{a, b} {
		for _, w := range want[c] {
			if got := c.Next(); !strings.Contains(got, `"data":"`+w+`"`) {
				t.Fatalf("got %s, want %s", got, w)
			}
		}
		if got := c.Next(); got != "nothing arrived" {
			t.Errorf("got %s", got)
		}
	}
}

// panickyReactor panics on the nth send.
type panickyReactor struct {
	fakeReactor
	countdown int
}

func (r *panickyReactor) Send(conn int32, frames []byte) {
	if r.countdown--; r.countdown == 0 {
		panic("injected")
	}
	r.fakeReactor.Send(conn, frames)
}

// TestPanicInARunRepeatsNothing: three publications leave as one piece, the
// delivery of which panics half-way; a fourth arrives whole.
func TestPanicInARunRepeatsNothing(t *testing.T) {
	n, err := NewNode(Options{Apps: []AppConfig{{ID: "1", Key: "k", Secret: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &panickyReactor{}
	r.shard = n.NewShard(0, r)
	n.Attach([]Mailbox{r})
	for range 4 {
		c := r.openConn("/app/k", "")
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		c.got = nil
	}
	trigger := func(data string) {
		if err := n.Trigger(n.AppByID("1"), Event{Channel: "news", Name: `"e"`, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	trigger(`"1"`)
	trigger(`"2"`)
	trigger(`"3"`)
	r.countdown = 3
	for len(r.mail) > 0 {
		func() {
			finished := 1
			defer func() {
				_ = recover()
				r.mail = r.mail[finished:]
			}()
			finished = r.shard.OnMail(r.mail)
		}()
	}
	trigger(`"4"`)
	r.pump()
	for i, c := range r.conns {
		got := strings.Join(c.got, "")
		for _, data := range []string{`"1"`, `"2"`, `"3"`, `"4"`} {
			if n := strings.Count(got, data); n > 1 || data == `"4"` && n != 1 {
				t.Errorf("connection %d got %s %d times", i, data, n)
			}
		}
	}
}

// TestDeepJSONInsideStrings: the depth is known before anything recurses, also in
// JSON that comes as a string. A stack that overflows would end the process.
func TestDeepJSONInsideStrings(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{MaxMessageBytes: 16 << 20})
	c := f.Open("k", "")
	c.Next()
	deep := strings.Repeat("[", 5_000_000)
	for _, message := range []string{
		`{"event":"pusher:subscribe","data":"` + deep + `"}`,
		`{"event":"pusher:subscribe","data":{"channel":"presence-x","auth":"k:0","channel_data":"` + deep + `"}}`,
		`{"event":"pusher:signin","data":"` + deep + `"}`,
		`{"event":"pusher:unsubscribe","data":"` + deep + `"}`,
		`{"event":"foo","channel":"x","data":"` + deep + `"}`,
	} {
		c.Send(message)
		if got := c.Next(); !strings.Contains(got, "4200") {
			t.Errorf("%.60s: got %s", message, got)
		}
	}
}

// TestUnsubscribeReadsTheLastKey, as subscribe does.
func TestUnsubscribeReadsTheLastKey(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"a","channel":"b"}}`)
	c.Next()
	c.Send(`{"event":"pusher:unsubscribe","data":{"channel":"b","channel":"zz"}}`)
	f.Trigger("b", "e", "1", "")
	if got := c.Next(); !strings.Contains(got, `"channel":"b"`) {
		t.Errorf("got %s, want the event of a channel that was not left", got)
	}
}

// TestSubscribingAgainRepeatsNothing: what waits in the mailbox is older than the
// cached event that a second subscription is answered with.
func TestSubscribingAgainRepeatsNothing(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"cache-x"}}`)
	c.Next()
	c.Next()
	for _, data := range []string{`"1"`, `"2"`} {
		if err := f.node.Trigger(f.app, Event{Channel: "cache-x", Name: `"e"`, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	f.reactor.shard.OnMessage(c.handle, true, []byte(`{"event":"pusher:subscribe","data":{"channel":"cache-x"}}`))
	var got []string
	for s := c.Next(); s != "nothing arrived"; s = c.Next() {
		got = append(got, s)
	}
	if len(got) != 2 || !strings.Contains(got[0], "succeeded") || !strings.Contains(got[1], `"2"`) {
		t.Errorf("got %q, want the answer and the last event", got)
	}
}

// TestOverloadCountsBytes: large events fill a mailbox long before many do, and
// what was admitted as a whole is not refused half-way.
func TestOverloadCountsBytes(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	f.node.setLimits(Limits{MaxPendingBytes: 100_000})
	c := f.Open("k", "")
	c.Next()
	c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	c.Next()
	large := Event{Channel: "news", Name: `"e"`, Data: `"` + strings.Repeat("x", 30_000) + `"`}
	for i := range 6 {
		err := f.node.Trigger(f.app, large)
		if refused := err == ErrOverloaded; refused != (i >= 4) || err != nil && !refused {
			t.Errorf("event %d of 30 KB: got %v", i, err)
		}
	}
	if !f.node.Overloaded(f.app, []string{"other", "news"}) || f.node.Overloaded(f.app, []string{"other"}) {
		t.Error("only a channel that somebody waits for is overloaded")
	}
	f.reactor.shard.OnMessage(c.handle, true, []byte(`{"event":"client-x","channel":"news","data":{}}`))
	if got := c.Next(); !strings.Contains(got, "4301") {
		t.Errorf("a client event under overload: got %.100s", got)
	}
	if n := f.node.Refused(); n != 4 {
		t.Errorf("%d publications are counted as refused, want 4", n)
	}
	large.Admitted = true
	if err := f.node.Trigger(f.app, large); err != nil {
		t.Errorf("an event that was admitted: got %v", err)
	}
	for range 5 {
		if got := c.Next(); !strings.Contains(got, "xxx") {
			t.Errorf("got %.100s, want the five events", got)
		}
	}
	if err := f.node.Trigger(f.app, large); err != nil {
		t.Errorf("once all is delivered: got %v", err)
	}
}

// TestPresenceIsRefusedUnderOverload: members who come and go cannot fill a
// mailbox without bound.
func TestPresenceIsRefusedUnderOverload(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	f.node.setLimits(Limits{MaxPendingPublications: 10})
	watcher, flapper := f.Open("k", ""), f.Open("k", "")
	join := func(c *fakeConn, user string) {
		data := `{"user_id":"` + user + `"}`
		sig := f.app.Secret().AppendChannel(nil, f.reactor.shard.socketID(c.handle).String(), "presence-x", data)
		m, _ := json.Marshal(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": "presence-x", "auth": "k:" + string(sig), "channel_data": data}})
		f.reactor.shard.OnMessage(c.handle, true, m)
	}
	join(watcher, "w")
	for range 100 {
		join(flapper, "f")
		f.reactor.shard.OnMessage(flapper.handle, true, []byte(`{"event":"pusher:unsubscribe","data":{"channel":"presence-x"}}`))
	}
	if n := f.reactor.Pending(); n > 12 {
		t.Errorf("%d items wait, want about 10", n)
	}
	if got := strings.Join(flapper.got, ""); !strings.Contains(got, "4100") {
		t.Error("the flapper was not told")
	}
}

// TestSubscriptionCountIsPaced: above 100 subscriptions the count is told at most
// every 5 s, and the last change is never left untold.
func TestSubscriptionCountIsPaced(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{SubscriptionCount: true})
	a := f.Open("k", "")
	a.Next()
	a.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	count := func() (told []string) {
		for s := a.Next(); s != "nothing arrived"; s = a.Next() {
			if _, n, ok := strings.Cut(s, `subscription_count\":`); ok {
				told = append(told, strings.TrimRight(strings.SplitN(n, "}", 2)[0], " "))
			}
		}
		return told
	}
	join := func(n int) {
		for range n {
			c := f.Open("k", "")
			c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		}
	}
	join(99)
	if got := count(); len(got) != 100 || got[99] != "100" {
		t.Fatalf("up to 100 every change is told: got %d, the last %v", len(got), got[len(got)-1:])
	}
	join(50)
	if got := count(); len(got) != 1 || got[0] != "101" {
		t.Errorf("above 100: got %v, want the first change only", got)
	}
	f.Advance(4 * time.Second)
	if got := count(); len(got) != 0 {
		t.Errorf("after 4 s: got %v", got)
	}
	f.Advance(time.Second)
	if got := count(); len(got) != 1 || got[0] != "150" {
		t.Errorf("after 5 s: got %v, want what it is now", got)
	}
	f.Advance(time.Minute)
	if got := count(); len(got) != 0 {
		t.Errorf("without a change: got %v", got)
	}
}

func TestClientEventUnderOverload(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	f.node.setLimits(Limits{MaxPendingPublications: 2})
	a, b := f.Open("k", ""), f.Open("k", "")
	for _, c := range []*fakeConn{a, b} {
		c.Next()
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		c.Next()
	}
	for range 3 {
		f.reactor.shard.OnMessage(a.handle, true, []byte(`{"event":"client-x","channel":"news","data":{}}`))
	}
	if got := a.Next(); !strings.Contains(got, "4301") || !strings.Contains(got, "overloaded") {
		t.Errorf("got %s", got)
	}
	if got := b.Next() + b.Next() + b.Next(); strings.Count(got, "client-x") != 2 {
		t.Errorf("got %s, want two events", got)
	}
}
