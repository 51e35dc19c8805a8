package pusher

import (
	"strings"
	"testing"
	"time"
)

// TestClosedByItsAnswer has a connection closed for not reading by the first
// answer of a turn that has more to say.
func TestClosedByItsAnswer(t *testing.T) {
	for _, row := range []struct{ name, message string }{
		{"subscribing to a cache channel", `{"event":"pusher:subscribe","data":{"channel":"cache-x"}}`},
		{"signing in with a watchlist", `{"event":"pusher:signin","data":{"auth":"AUTH","user_data":"{\"id\":\"u\",\"watchlist\":[\"v\"]}"}}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			n, err := NewNode(Options{Apps: []AppConfig{{ID: "1", Key: "k", Secret: "s", Options: AppOptions{Watchlist: true}}}})
			if err != nil {
				t.Fatal(err)
			}
			r := &fullReactor{}
			r.shard = n.NewShard(0, r)
			n.Attach([]Mailbox{r})
			r.conns = []*fakeConn{{reactor: &r.fakeReactor, open: true}}
			r.shard.OnOpen(0, request("/app/k", ""))
			sig := n.AppByID("1").Secret().AppendUser(nil, r.shard.socketID(0).String(), `{"id":"u","watchlist":["v"]}`)
			r.full = true
			r.shard.OnMessage(0, true, []byte(strings.Replace(row.message, "AUTH", "k:"+string(sig), 1)))
			if r.conns[0].open || n.Connections() != 0 {
				t.Error("the connection is open, want it closed by the first answer")
			}
		})
	}
}

// fullReactor closes a connection that is sent something once it is full.
type fullReactor struct {
	fakeReactor
	full bool
}

func (r *fullReactor) Send(conn int32, _ []byte) {
	if r.full {
		r.Close(conn, ErrSlow.Code, ErrSlow.Message)
	}
}
func (r *fullReactor) SendCopy(conn int32, frame []byte) { r.Send(conn, frame) }

func TestSubscribingAgainKeepsWhatIsOnItsWay(t *testing.T) {
	f := NewFake(t, "1", "k", "s", AppOptions{CacheTTL: time.Minute})
	c := f.Open("k", "")
	const subscribe = `{"event":"pusher:subscribe","data":{"channel":"cache-x"}}`
	c.Send(subscribe)
	for c.Next() != "nothing arrived" {
	}
	if err := f.node.Trigger(f.app, Event{Channel: "cache-x", Name: `"e"`, Data: `"late"`}); err != nil {
		t.Fatal(err)
	}
	f.clock = f.clock.Add(2 * time.Minute)                       // the event expires while it waits
	f.reactor.shard.OnMessage(c.handle, true, []byte(subscribe)) // c.Send would deliver it first
	var got []string
	for s := c.Next(); s != "nothing arrived"; s = c.Next() {
		got = append(got, s)
	}
	if len(got) != 3 || !strings.Contains(got[1], "cache_miss") || !strings.Contains(got[2], "late") {
		t.Errorf("got %q, want success, cache_miss and the event", got)
	}
}
