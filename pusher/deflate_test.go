package pusher

import (
	"strings"
	"testing"
)

// TestPublicationsAreCompressedOnce delivers to several connections and looks
// whether they share one compressed frame.
func TestPublicationsAreCompressedOnce(t *testing.T) {
	for _, row := range []struct {
		name                string
		compression, client bool
		data                string
		want                bool
	}{
		{"the node and the clients compress", true, true, strings.Repeat("long ", 100), true},
		{"an event that is too short", true, true, "short", false},
		{"clients that negotiated nothing", true, false, strings.Repeat("long ", 100), false},
		{"a node without compression", false, true, strings.Repeat("long ", 100), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			n, err := NewNode(Options{Apps: []AppConfig{{ID: "1", Key: "k", Secret: "s"}}, Compression: row.compression})
			if err != nil {
				t.Fatal(err)
			}
			r := &recordingReactor{}
			r.deflates = row.client
			r.shard = n.NewShard(0, r)
			n.Attach([]Mailbox{r})
			for i := range int32(3) {
				r.conns = append(r.conns, &fakeConn{reactor: &r.fakeReactor, handle: i, open: true})
				r.shard.OnOpen(i, request("/app/k", ""))
				r.shard.OnMessage(i, true, []byte(`{"event":"pusher:subscribe","data":{"channel":"news"}}`))
			}
			if err := n.Trigger(n.AppByID("1"), Event{Channel: "news", Name: `"e"`, Data: `"` + row.data + `"`}); err != nil {
				t.Fatal(err)
			}
			r.sent = nil
			r.shard.OnMail(r.mail)
			if len(r.sent) != 3 {
				t.Fatalf("got %d deliveries, want 3", len(r.sent))
			}
			for _, f := range r.sent {
				if &f[0] != &r.sent[0][0] {
					t.Error("connections do not share one frame")
				}
				if got := f[0]&0x40 != 0; got != row.want {
					t.Errorf("compressed: %t, want %t", got, row.want)
				}
			}
		})
	}
}

func TestEventsOfOtherNodesAreCompressed(t *testing.T) {
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 2, 0, func(o *Options) { o.Compression = true })
	here, there := f.nodes[0], f.nodes[1]
	here.reactor.deflates = true
	c := here.Open("k", "")
	for _, channel := range []string{"news", "cache-news"} {
		c.Send(`{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`)
		f.pump()
		c.got = nil
		data := strings.Repeat("long ", 100)
		there.Trigger(channel, "e", data, "")
		f.pump()
		if want := `{"event":"e","data":"` + data + `","channel":"` + channel + `"}`; len(c.got) != 1 || c.got[0] != want {
			t.Errorf("%s: got %q, want %q", channel, c.got, want)
		}
	}
}

// recordingReactor keeps the frames that are sent.
type recordingReactor struct {
	fakeReactor
	sent [][]byte
}

func (r *recordingReactor) Send(_ int32, frames []byte) { r.sent = append(r.sent, frames) }
func (r *recordingReactor) SendCopy(int32, []byte)      {}
