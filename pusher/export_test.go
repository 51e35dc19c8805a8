package pusher

import (
	"testing"
	"time"
)

// Fake is a node of one reactor without an event loop.
type Fake struct {
	t       *testing.T
	node    *Node
	app     *App
	reactor *fakeReactor
	clock   time.Time
}

// NewFake returns a fake with one app.
func NewFake(t *testing.T, id, key, secret string, o AppOptions) *Fake {
	nonce := uint64(0)
	return newFake(t, AppConfig{ID: id, Key: key, Secret: secret, Options: o}, Options{
		NewNonce: func() uint64 { nonce++; return nonce },
	})
}

func newFake(t *testing.T, c AppConfig, o Options) *Fake {
	f := &Fake{t: t, clock: time.Unix(1_700_000_000, 0)}
	o.Apps = []AppConfig{c}
	o.Now = func() time.Time { return f.clock }
	n, err := NewNode(o)
	if err != nil {
		t.Fatal(err)
	}
	f.reactor = &fakeReactor{t: t, now: 1000}
	f.node, f.app = n, n.AppByID(c.ID)
	f.reactor.shard = n.NewShard(0, f.reactor)
	n.Attach([]Mailbox{f.reactor})
	return f
}

// Open connects; key may carry a query.
func (f *Fake) Open(key, origin string) *fakeConn { return f.reactor.openConn("/app/"+key, origin) }

func (f *Fake) Advance(d time.Duration) {
	f.clock = f.clock.Add(d)
	f.reactor.advance(d)
	f.node.Recount()
	f.reactor.pump()
}

func (f *Fake) Trigger(channel, event, data, except string) {
	id, _ := ParseSocketID(except)
	err := f.node.Trigger(f.app, Event{Channel: channel, Name: string(appendString(nil, event)), Data: string(appendString(nil, data)), Except: id})
	if err != nil {
		f.t.Fatal(err)
	}
	f.reactor.pump()
}

func (f *Fake) Terminate(user string) {
	if err := f.node.TerminateUser(f.app, user); err != nil {
		f.t.Fatal(err)
	}
	f.reactor.pump()
}
