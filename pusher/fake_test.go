package pusher

import (
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/frame"
)

// fakeReactor plays the event loop of a shard: what is sent is kept for each
// connection, posted items wait until pump.
type fakeReactor struct {
	t        *testing.T
	shard    *Shard
	now      uint32
	conns    []*fakeConn
	deflates bool         // all connections
	cluster  *FakeCluster // nil for a node alone

	mu   sync.Mutex // the cluster posts too
	mail []any
}

type fakeConn struct {
	reactor  *fakeReactor
	handle   int32
	got      []string
	deadline uint32
	limit    uint32
	open     bool
}

const never = ^uint32(0)

func (r *fakeReactor) Post(item any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mail = append(r.mail, item)
}

func (r *fakeReactor) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mail)
}

func (r *fakeReactor) PendingBytes() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, item := range r.mail {
		if p, ok := item.(*Publication); ok {
			n += int64(p.PostedBytes())
		}
	}
	return n
}

func (r *fakeReactor) Now() uint32 { return r.now }

func (r *fakeReactor) Deflates(int32) bool { return r.deflates }

func (r *fakeReactor) SetReadLimit(conn int32, bytes uint32) { r.conns[conn].limit = bytes }
func (r *fakeReactor) SetDeadline(conn int32, at uint32)     { r.conns[conn].deadline = at }

func (r *fakeReactor) SendCopy(conn int32, frames []byte) {
	r.Send(conn, append([]byte(nil), frames...))
}

func (r *fakeReactor) Send(conn int32, frames []byte) {
	c := r.conns[conn]
	if !c.open {
		return
	}
	for len(frames) > 0 {
		n := int(frames[1])
		h := 2
		switch n {
		case 126:
			n, h = int(frames[2])<<8|int(frames[3]), 4
		case 127:
			n, h = int(frames[6])<<24|int(frames[7])<<16|int(frames[8])<<8|int(frames[9]), 10
		}
		payload := string(frames[h : h+n])
		if frames[0]&0x40 != 0 {
			payload = inflated(payload)
		}
		if frames[0] == 0x89 {
			payload = "ping"
		}
		c.got = append(c.got, payload)
		frames = frames[h+n:]
	}
}

// inflated is a compressed message as its client reads it (RFC 7692 section 7.2.2).
func inflated(payload string) string {
	const end = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"
	text, err := io.ReadAll(flate.NewReader(strings.NewReader(payload + end)))
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (r *fakeReactor) Close(conn int32, code int, reason string) {
	c := r.conns[conn]
	if !c.open {
		return
	}
	c.got = append(c.got, fmt.Sprintf("closed %d %s", code, reason))
	c.end()
}

func (c *fakeConn) end() {
	c.open, c.deadline = false, never
	c.reactor.shard.OnClosed(c.handle)
}

// pump delivers the mail until there is none, here and in the whole cluster.
func (r *fakeReactor) pump() {
	if r.cluster != nil {
		r.cluster.pump()
		return
	}
	for r.pumpSome() {
	}
}

// pumpSome delivers the mail that is there, and reports whether there was any.
func (r *fakeReactor) pumpSome() bool {
	r.mu.Lock()
	mail := r.mail
	r.mail = nil
	r.mu.Unlock()
	for rest := mail; len(rest) > 0; {
		rest = rest[r.shard.OnMail(rest):]
	}
	return len(mail) > 0
}

// openConn connects with a path and an origin.
func (r *fakeReactor) openConn(path, origin string) *fakeConn {
	c := &fakeConn{reactor: r, handle: int32(len(r.conns)), deadline: never, open: true}
	r.conns = append(r.conns, c)
	path, query, _ := strings.Cut(path, "?")
	r.shard.OnOpen(c.handle, &frame.Request{Path: []byte(path), Query: []byte(query), Origin: []byte(origin)})
	return c
}

// Send is the client's message. What was on its way to the client is there before.
func (c *fakeConn) Send(payload string) {
	c.reactor.pump()
	switch {
	case !c.open:
		return
	case len(payload) > int(c.limit):
		c.reactor.Close(c.handle, frame.CloseTooBig, "Maximum message size exceeded")
	default:
		b := []byte(payload)
		c.reactor.shard.OnMessage(c.handle, true, b)
		for i := range b {
			b[i] = 'X' // a view dies with its turn: whatever kept it shows
		}
	}
}

// Drop ends the connection.
func (c *fakeConn) Drop() { c.end() }

// Next returns what arrived next.
func (c *fakeConn) Next() string {
	c.reactor.pump()
	if len(c.got) == 0 {
		return "nothing arrived"
	}
	s := c.got[0]
	c.got = c.got[1:]
	return s
}

// advance lets time pass a second at a time.
func (r *fakeReactor) advance(d time.Duration) {
	for range int(d / time.Second) {
		r.now++
		for _, c := range r.conns {
			if c.deadline <= r.now {
				c.deadline = never
				r.shard.OnDeadline(c.handle)
			}
		}
	}
}
