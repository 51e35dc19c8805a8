package pusher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestAMemberIsHeardOfBeforeItIsHeard: a client that sends right behind its
// subscription is answered as by a node alone, and so are the others.
func TestAMemberIsHeardOfBeforeItIsHeard(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	here := f.nodes[0]
	near, far, bob := here.Open("k", ""), f.nodes[1].Open("k", ""), here.Open("k", "")
	here.join(near, "presence-a", "near")
	f.nodes[1].join(far, "presence-a", "far")
	f.pump()
	near.got, far.got, bob.got = nil, nil, nil
	here.join(bob, "presence-a", "bob")
	here.say(bob, `{"event":"client-x","channel":"presence-a","data":{"n":1}}`)
	here.say(bob, `{"event":"client-y","channel":"presence-a"}`)
	f.pump()
	want := []string{
		`{"event":"pusher_internal:member_added","data":"{\"user_id\":\"bob\",\"user_info\":null}","channel":"presence-a"}`,
		`{"event":"client-x","channel":"presence-a","data":{"n":1},"user_id":"bob"}`,
		`{"event":"client-y","channel":"presence-a","data":null,"user_id":"bob"}`,
	}
	for _, c := range []*fakeConn{near, far} {
		if !slices.Equal(c.got, want) {
			t.Errorf("got %q, want %q", c.got, want)
		}
	}
	if len(bob.got) != 1 || !strings.Contains(bob.got[0], "subscription_succeeded") {
		t.Errorf("bob got %q, want the answer", bob.got)
	}
	if n := here.reactor.shard.heldBytes; n != 0 {
		t.Errorf("%d bytes are held after all was relayed", n)
	}
}

// TestWhatIsHeldIsBounded: a connection may have some events held, a reactor some
// bytes; what is above is refused.
func TestWhatIsHeldIsBounded(t *testing.T) {
	f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0)
	here := f.nodes[0]
	other := f.nodes[1].Open("k", "")
	for _, channel := range []string{"a", "b"} {
		f.nodes[1].say(other, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
	}
	f.pump()
	f.hub.Pause(f.adapters[0])
	open := func(channel string) *fakeConn {
		c := here.Open("k", "")
		here.say(c, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel)
		c.got = nil
		return c
	}
	expect := func(c *fakeConn, refused int, code string) {
		t.Helper()
		if len(c.got) != refused || strings.Count(strings.Join(c.got, ""), code) != refused {
			t.Errorf("got %.200q, want %d times %s", c.got, refused, code)
		}
		c.got = nil
	}
	many, large := open("a"), open("b")
	for i := range maxHeldEvents + 2 {
		here.say(many, `{"event":"client-%d","channel":"a","data":{}}`, i)
	}
	expect(many, 2, "4301")
	here.say(large, `{"event":"client-l","channel":"b","data":%q}`, strings.Repeat("x", maxHeldBytes))
	expect(large, 0, "4301")
	late := open("b")
	here.say(late, `{"event":"client-x","channel":"b","data":{}}`)
	expect(late, 1, "4301")
	large.Drop()
	here.say(late, `{"event":"client-y","channel":"b","data":{}}`)
	expect(late, 0, "4301")

	other.got = nil
	f.hub.Resume(f.adapters[0])
	f.pump()
	var want []string
	for i := range maxHeldEvents {
		want = append(want, fmt.Sprintf(`{"event":"client-%d","channel":"a","data":{}}`, i))
	}
	want = append(want, `{"event":"client-y","channel":"b","data":{}}`)
	if !slices.Equal(other.got, want) {
		t.Errorf("got %q, want %q", other.got, want)
	}
	if n := here.reactor.shard.heldBytes; n != 0 {
		t.Errorf("%d bytes are held after all was relayed or dropped", n)
	}
}

// TestWhatIsSaidInASubscriptionThatEndsUnanswered is refused, but not where every
// connection may talk.
func TestWhatIsSaidInASubscriptionThatEndsUnanswered(t *testing.T) {
	unsubscribe := func(f *Fake, c *fakeConn) {
		f.say(c, `{"event":"pusher:unsubscribe","data":{"channel":"presence-a"}}`)
	}
	for _, row := range []struct {
		name    string
		options AppOptions
		then    func(f *Fake, c *fakeConn)
		want    []string // parts of what the sender gets
		heard   int      // events that ann gets
	}{
		{"unsubscribed", AppOptions{}, unsubscribe, []string{"not a member"}, 0},
		{"unsubscribed, and all may talk", AppOptions{ClientEventsFrom: ClientEventsFromAll}, unsubscribe, nil, 1},
		{"joined again as somebody else", AppOptions{}, func(f *Fake, c *fakeConn) { f.join(c, "presence-a", "carl") }, []string{"not a member", "subscription_succeeded"}, 0},
		{"refused", AppOptions{MaxPresenceMembers: 1}, func(*Fake, *fakeConn) {}, []string{"over its member limit", "subscription_error", "not a member"}, 0},
		{"closed", AppOptions{}, func(_ *Fake, c *fakeConn) { c.Drop() }, nil, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := NewFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s", Options: row.options}, 2, 0)
			here := f.nodes[0]
			ann, bob := f.nodes[1].Open("k", ""), here.Open("k", "")
			f.nodes[1].join(ann, "presence-a", "ann")
			f.pump()
			ann.got, bob.got = nil, nil
			f.hub.Pause(f.adapters[0])
			here.join(bob, "presence-a", "bob")
			here.say(bob, `{"event":"client-x","channel":"presence-a","data":{}}`)
			row.then(here, bob)
			f.hub.Resume(f.adapters[0])
			f.pump()
			if len(bob.got) != len(row.want) {
				t.Fatalf("the sender got %q, want %q", bob.got, row.want)
			}
			for i, part := range row.want {
				if !strings.Contains(bob.got[i], part) {
					t.Errorf("the sender got %s, want %s", bob.got[i], part)
				}
			}
			if got := strings.Count(strings.Join(ann.got, ""), "client-x"); got != row.heard {
				t.Errorf("the event was heard %d times, want %d", got, row.heard)
			}
			if n := here.reactor.shard.heldBytes; n != 0 {
				t.Errorf("%d bytes are still held", n)
			}
		})
	}
}
