//go:build !race

package pusher

import (
	"fmt"
	"testing"
)

// countingReactor counts instead of keeping what is sent.
type countingReactor struct {
	fakeReactor
	sent int
}

func (r *countingReactor) Send(int32, []byte)     { r.sent++ }
func (r *countingReactor) SendCopy(int32, []byte) { r.sent++ }

func subscribed(t testing.TB, conns int, channel string) (*Node, *Shard, *countingReactor) {
	n, err := NewNode(Options{Apps: []AppConfig{{ID: "1", Key: "k", Secret: "s"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &countingReactor{}
	s := n.NewShard(0, r)
	r.shard = s
	n.Attach([]Mailbox{r})
	for i := range conns {
		r.conns = append(r.conns, &fakeConn{reactor: &r.fakeReactor, handle: int32(i), open: true})
		s.OnOpen(int32(i), request("/app/k", ""))
		s.OnMessage(int32(i), true, fmt.Appendf(nil, `{"event":"pusher:subscribe","data":{"channel":%q}}`, channel))
	}
	return n, s, r
}

// TestBroadcastAllocatesNothingPerDelivery delivers one publication to few and to
// many: the number of allocations is that of the publication alone.
func TestBroadcastAllocatesNothingPerDelivery(t *testing.T) {
	perEvent := func(conns int) float64 {
		n, s, r := subscribed(t, conns, "news")
		app := n.AppByID("1")
		e := Event{Channel: "news", Name: `"e"`, Data: `"{}"`}
		return testing.AllocsPerRun(50, func() {
			r.sent = 0
			if err := n.Trigger(app, e); err != nil {
				t.Fatal(err)
			}
			for len(r.mail) > 0 {
				r.mail = r.mail[s.OnMail(r.mail):]
			}
			r.mail = r.mail[:0]
			if r.sent != conns {
				t.Fatalf("%d of %d deliveries", r.sent, conns)
			}
		})
	}
	few, many := perEvent(10), perEvent(20_000)
	if few != many || many > 5 {
		t.Errorf("got %v allocations per event to 10 subscribers, %v to 20,000; want the same and at most 5", few, many)
	}
}

// TestMessagesAllocateLittle states what a client's message costs.
func TestMessagesAllocateLittle(t *testing.T) {
	for _, row := range []struct {
		name, message string
		want          float64
	}{
		{"ping", `{"event":"pusher:ping","data":{}}`, 0},
		{"subscribing again", `{"event":"pusher:subscribe","data":{"auth":"","channel":"news"}}`, 0},
		{"client event", `{"event":"client-x","channel":"news","data":{"a":1}}`, 4},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, s, r := subscribed(t, 2, "news")
			payload := []byte(row.message)
			got := testing.AllocsPerRun(200, func() {
				s.OnMessage(0, true, payload)
				r.mail = r.mail[:0]
			})
			if got > row.want {
				t.Errorf("got %v allocations, want at most %v", got, row.want)
			}
		})
	}
}

func BenchmarkDeliver(b *testing.B) {
	for _, conns := range []int{1, 1000, 10_000} {
		b.Run(fmt.Sprint(conns), func(b *testing.B) {
			n, s, r := subscribed(b, conns, "news")
			app := n.AppByID("1")
			e := Event{Channel: "news", Name: `"e"`, Data: `"{}"`}
			for b.Loop() {
				_ = n.Trigger(app, e)
				for len(r.mail) > 0 {
					r.mail = r.mail[s.OnMail(r.mail):]
				}
				r.mail = r.mail[:0]
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(conns), "ns/delivery")
		})
	}
}

func BenchmarkSubscribe(b *testing.B) {
	_, s, _ := subscribed(b, 1, "news")
	sub := []byte(`{"event":"pusher:subscribe","data":{"auth":"","channel":"other"}}`)
	un := []byte(`{"event":"pusher:unsubscribe","data":{"channel":"other"}}`)
	for b.Loop() {
		s.OnMessage(0, true, sub)
		s.OnMessage(0, true, un)
	}
}
