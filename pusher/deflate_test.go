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

// recordingReactor keeps the frames that are sent.
type recordingReactor struct {
	fakeReactor
	sent [][]byte
}

func (r *recordingReactor) Send(_ int32, frames []byte) { r.sent = append(r.sent, frames) }
func (r *recordingReactor) SendCopy(int32, []byte)      {}
