package pusher

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"resound/channels"
)

// FuzzMessage: no message makes a shard panic, every answer is JSON, and the
// connection is open or was told why not.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"event":"pusher:subscribe","data":{"channel":"news"}}`,
		`{"event":"pusher:subscribe","data":"{\"channel\":\"presence-x\",\"auth\":\"k:0\",\"channel_data\":\"{}\"}"}`,
		`{"event":"client-x","channel":"news","data":[{"a":"\ud800"}]}`,
		`{"event":"pusher:unsubscribe","data":{"channel":"news"}}`,
		`{"event":"pusher:ping"}`, `[]`, `{`, "\xff", `{"event":"\u0000","channel":"","data":null}`,
		`{"event":"pusher:subscribe","data":{"channel":"cache-\"\\"}}`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, message string, text bool) {
		if text {
			message = strings.ToValidUTF8(message, "?") // the reader refuses others
		}
		fake := NewFake(t, "1", "k", "s", AppOptions{MaxMessageBytes: 1 << 20})
		a, b := fake.Open("k", ""), fake.Open("k", "")
		for _, c := range []*fakeConn{a, b} {
			c.Next()
			c.Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
			c.Next()
		}
		fake.reactor.shard.OnMessage(a.handle, text, []byte(message))
		for _, c := range []*fakeConn{a, b} {
			for {
				got := c.Next()
				if got == "nothing arrived" {
					break
				}
				if !json.Valid([]byte(got)) {
					t.Fatalf("%q was answered with %q", message, got)
				}
			}
		}
	})
}

// FuzzSession plays bytes as operations of a few connections and users on a few
// channels and compares who is told what with a model.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte("join and leave, join and leave again, close and open"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 400 {
			return
		}
		playSession(t, ops)
	})
}

type modelConn struct {
	conn     *fakeConn
	id       string
	public   map[string]bool
	presence map[string]string // channel -> user
}

// playSession holds every frame against the model: events reach exactly the
// subscribers, members come and go exactly once per user.
func playSession(t *testing.T, ops []byte) {
	fake := NewFake(t, "1", "k", "s", AppOptions{})
	conns := make([]*modelConn, 4)
	event := 0
	read := func(c *modelConn, want string) {
		t.Helper()
		if got := c.conn.Next(); !strings.Contains(got, want) {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
	users := func(channel string) map[string]int {
		n := map[string]int{}
		for _, c := range conns {
			if c != nil && c.presence[channel] != "" {
				n[c.presence[channel]]++
			}
		}
		return n
	}
	announce := func(channel, what, user string, except *modelConn) {
		t.Helper()
		for _, c := range conns {
			if c != nil && c != except && c.presence[channel] != "" {
				read(c, fmt.Sprintf(`%s","data":"{\"user_id\":\"%s\"`, what, user))
			}
		}
	}
	leave := func(c *modelConn, channel string) {
		t.Helper()
		user := c.presence[channel]
		delete(c.presence, channel)
		if user != "" && users(channel)[user] == 0 {
			announce(channel, "member_removed", user, c)
		}
	}
	for _, op := range ops {
		i := int(op) % len(conns)
		name := fmt.Sprint(int(op) / 4 % 3)
		c := conns[i]
		if c == nil {
			c = &modelConn{conn: fake.Open("k", ""), public: map[string]bool{}, presence: map[string]string{}}
			c.id = fake.reactor.shard.socketID(c.conn.handle).String()
			conns[i] = c
			read(c, "connection_established")
			continue
		}
		switch int(op) / 12 % 7 {
		case 0:
			c.conn.Send(`{"event":"pusher:subscribe","data":{"channel":"c` + name + `"}}`)
			read(c, "subscription_succeeded")
			c.public[name] = true
		case 1:
			c.conn.Send(`{"event":"pusher:unsubscribe","data":{"channel":"c` + name + `"}}`)
			delete(c.public, name)
		case 2, 3:
			channel, user := "presence-"+name, fmt.Sprint("u", op/84)
			data := `{"user_id":"` + user + `"}`
			sig := fake.app.Secret().AppendChannel(nil, c.id, channel, data)
			m, _ := json.Marshal(map[string]any{"event": "pusher:subscribe", "data": map[string]string{"channel": channel, "auth": "k:" + string(sig), "channel_data": data}})
			was := c.presence[channel]
			before := users(channel)[user]
			c.conn.Send(string(m))
			if was != "" && was != user {
				leave(c, channel)
			}
			c.presence[channel] = user
			read(c, fmt.Sprintf(`\"count\":%d,`, len(users(channel))))
			if before == 0 {
				announce(channel, "member_added", user, c)
			}
		case 4:
			c.conn.Send(`{"event":"pusher:unsubscribe","data":{"channel":"presence-` + name + `"}}`)
			leave(c, "presence-"+name)
		case 5:
			event++
			token := fmt.Sprintf(`"n%d"`, event)
			if err := fake.node.Trigger(fake.app, Event{Channel: "c" + name, Name: `"e"`, Data: token}); err != nil {
				t.Fatal(err)
			}
			for _, c := range conns {
				if c != nil && c.public[name] {
					read(c, token)
				}
			}
		case 6:
			conns[i] = nil
			c.conn.Drop()
			// The channels of a closed connection are left in no set order.
			for _, other := range conns {
				if other == nil {
					continue
				}
				want := map[string]bool{}
				for channel, user := range c.presence {
					if other.presence[channel] != "" && users(channel)[user] == 0 {
						want[string(appendMemberRemoved(nil, channel, &channels.Member{ID: user, IDJSON: `"` + user + `"`}))] = true
					}
				}
				for range len(want) {
					got := other.conn.Next()
					if !want[got] {
						t.Fatalf("got %s, want one of %v", got, want)
					}
					delete(want, got)
				}
			}
		}
		for _, c := range conns {
			if c != nil {
				read(c, "nothing arrived")
			}
		}
	}
	for i, c := range conns {
		if c != nil {
			conns[i] = nil
			c.conn.Drop()
		}
	}
	if left := fake.app.Directory().Channels(""); len(left) != 0 {
		t.Fatalf("occupied after everybody left: %v", left)
	}
	if as := fake.reactor.shard.apps[fake.app]; as != nil && len(as.members) != 0 {
		t.Fatalf("users after everybody left: %v", as.members)
	}
}
