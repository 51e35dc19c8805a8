package pusher

import (
	"fmt"
	"testing"
)

func TestStatsCountWhatHappens(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	a, b := f.Open("k", ""), f.Open("k", "")
	f.Open("unknown", "")
	for _, c := range []*fakeConn{a, b} {
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`) // again: no new subscription
	}
	f.Trigger("news", "e", "1", "")
	a.Send(`{"event":"client-x","channel":"news","data":{}}`)
	a.Send(`nonsense`)
	f.app.CountRequest(10, 2)
	f.reactor.pump()
	b.Drop()

	got := f.app.Stats()
	want := AppStats{
		Connections: 1, Subscriptions: 1, Opened: 2, Closed: 1,
		Received: 6, ReceivedBytes: got.ReceivedBytes,
		Sent: 2 + 4 + 2 + 1 + 1, SentBytes: got.SentBytes, // established, subscribed, e, client-x, error
		ClientEvents: 1, Triggered: 1,
		Errors:   map[int]uint64{4200: 1},
		Requests: 1, RequestBytes: 10, ResponseBytes: 2,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	sent := 0
	for _, c := range f.reactor.conns[:2] {
		for _, m := range c.got {
			sent += len(m)
		}
	}
	if frames := got.SentBytes; frames <= uint64(sent) || frames > uint64(sent)+4*got.Sent {
		t.Errorf("counted %d bytes of frames for %d bytes of messages", frames, sent)
	}
	if got := f.node.Refusals(); fmt.Sprint(got) != "map[4001:1]" {
		t.Errorf("refusals are %v", got)
	}
}

func TestInspect(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{})
	a := f.Open("k", "")
	f.reactor.now += 7
	b := f.Open("k", "")
	id := f.reactor.shard.socketID(b.handle).String()
	for _, user := range []string{"u2", "u1"} {
		data := fmt.Sprintf(`{"user_id":%q}`, user)
		sig := f.app.Secret().AppendChannel(nil, id, "presence-"+user, data)
		b.Send(fmt.Sprintf(`{"event":"pusher:subscribe","data":{"channel":"presence-%s","auth":"k:%s","channel_data":%q}}`, user, sig, data))
	}
	s := f.reactor.shard
	got, ok := s.Inspect(b.handle)
	if !ok || got.ID.String() != id || got.App != f.app || got.UserID != "u1" || got.OpenedAt != 1007 || got.Subscriptions != 2 {
		t.Errorf("got %+v, %v", got, ok)
	}
	if !s.Subscribed(b.handle, "presence-u1") || s.Subscribed(a.handle, "presence-u1") {
		t.Error("Subscribed is wrong")
	}
	data := `{"id":"signed-in"}`
	b.Send(fmt.Sprintf(`{"event":"pusher:signin","data":{"auth":"k:%s","user_data":%q}}`, f.app.Secret().AppendUser(nil, id, data), data))
	if got, _ := s.Inspect(b.handle); got.UserID != "signed-in" {
		t.Errorf("user is %q after the sign-in", got.UserID)
	}
	a.Drop()
	for _, conn := range []int32{a.handle, 2, 1 << 20} {
		if got, ok := s.Inspect(conn); ok {
			t.Errorf("connection %d is not open, got %+v", conn, got)
		}
	}
}
