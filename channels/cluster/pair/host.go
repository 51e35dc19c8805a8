package pair

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
)

// Grace is how long a Host waits before it believes that the predecessor's last seat
// or hold of something is gone.
const Grace = 5 * time.Second

// helloTimeout is how long Serve waits for a predecessor to say anything.
const helloTimeout = 30 * time.Second

// Host is the successor's end. It makes the predecessor a node of the successor's
// hub.
type Host struct {
	stream    *stream
	remote    *local.Adapter    // the predecessor's part of the hub
	successor cluster.Deliverer // of the process that stays
	grace     time.Duration

	mu      sync.Mutex
	pending map[claim]uint64 // what is about to end, and the number of its turn; guarded by mu
	turns   []turn           // oldest first; guarded by mu
	last    uint64
	left    bool // the predecessor ended as it should; guarded by mu
}

// claim is a seat or, without a user, a hold.
type claim struct {
	channel cluster.Channel
	userID  string
}

// turn is when a claim ends, unless it was made again.
type turn struct {
	claim   claim
	number  uint64
	at      time.Time
	counted bool
}

// NewHost returns the end for a predecessor that is to be a node of hub, beside that
// of successor. conn is the Host's from then on.
func NewHost(conn net.Conn, hub *local.Hub, successor cluster.Deliverer) *Host {
	return &Host{
		stream: newStream(conn), remote: hub.NewAdapter(), successor: successor, grace: Grace,
		pending: make(map[claim]uint64),
	}
}

// Serve takes what the predecessor says until it is gone and nothing of it is left in
// the hub. The end of ctx ends it at once.
func (h *Host) Serve(ctx context.Context) error {
	defer h.stream.finish()
	stop := context.AfterFunc(ctx, func() { _ = h.stream.conn.Close() })
	defer stop()
	_ = h.stream.conn.SetReadDeadline(time.Now().Add(helloTimeout))
	if err := h.stream.greet(); err != nil {
		return err
	}
	_ = h.stream.conn.SetReadDeadline(time.Time{})
	if err := h.remote.Start(ctx, told{h}); err != nil {
		return err
	}
	ending, ended := context.WithCancel(ctx)
	var expiring sync.WaitGroup
	expiring.Go(func() { h.expire(ending) })
	for {
		var m message
		if err := h.stream.in.Decode(&m); err != nil {
			break // the process ended, one way or another
		}
		h.hear(ctx, &m)
	}
	h.settle(ctx)
	ended()
	expiring.Wait()
	return h.remote.Close(ctx)
}

func (h *Host) hear(ctx context.Context, m *message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch a := h.remote; m.Verb {
	case publish:
		a.Publish(*m.Publication)
	case watch:
		a.Watch(m.Channel, m.Flag)
	case unwatch:
		a.Unwatch(m.Channel)
	case hold:
		if m.Number == 0 {
			h.end(claim{channel: m.Channel}, m.Flag)
			return
		}
		delete(h.pending, claim{channel: m.Channel})
		a.Hold(m.Channel, m.Number, m.Flag)
	case seat:
		delete(h.pending, claim{m.Channel, m.Member.ID})
		a.Seat(m.Channel, *m.Member)
	case unseat:
		h.end(claim{m.Channel, m.UserID}, false)
	case inherit:
		a.Inherit(m.Channel, *m.Inherited)
	case terminate:
		a.Terminate(m.Channel.App, m.UserID)
	case ask:
		h.stream.send(message{Verb: answer, ID: m.ID, Answer: h.query(ctx, m)})
	case bye:
		h.left = true
	}
}

// end makes a claim end when Grace is over. h.mu is held.
func (h *Host) end(c claim, counted bool) {
	h.last++
	h.pending[c] = h.last
	h.turns = append(h.turns, turn{c, h.last, time.Now().Add(h.grace), counted})
}

// expire ends the claims whose time has come.
func (h *Host) expire(ctx context.Context) {
	tick := time.NewTicker(max(h.grace/50, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.expireUntil(now)
		}
	}
}

func (h *Host) expireUntil(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.turns) > 0 && !now.Before(h.turns[0].at) {
		t := h.turns[0]
		h.turns = h.turns[1:]
		if h.pending[t.claim] != t.number {
			continue // it was made again
		}
		delete(h.pending, t.claim)
		if t.claim.userID != "" {
			h.remote.Unseat(t.claim.channel, t.claim.userID)
		} else {
			h.remote.Hold(t.claim.channel, 0, t.counted)
		}
	}
}

// settle waits until all claims have ended. Those of a predecessor that broke off end
// when Grace is over.
func (h *Host) settle(ctx context.Context) {
	h.mu.Lock()
	until := time.Now()
	if !h.left {
		until = until.Add(h.grace)
	}
	if n := len(h.turns); n > 0 && h.turns[n-1].at.After(until) {
		until = h.turns[n-1].at
	}
	h.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(until)):
		h.expireUntil(time.Now())
	}
}

func (h *Host) query(ctx context.Context, m *message) *reply {
	r := &reply{}
	var err error
	switch m.Question {
	case nothing:
	case aboutChannel:
		r.Occupancy, err = h.remote.Channel(ctx, m.Channel)
	case aboutChannels:
		r.Rows, err = h.remote.Channels(ctx, m.Channel.App, m.Channel.Name, m.Number)
		if errors.Is(err, cluster.ErrTooMany) {
			r.TooMany, err = true, nil
		}
	case aboutMembers:
		r.Members, err = h.remote.Members(ctx, m.Channel)
	}
	if err != nil {
		return nil
	}
	return r
}

// told is the predecessor as the hub sees it.
type told struct{ *Host }

// Deliver implements cluster.Deliverer.
func (h told) Deliver(p cluster.Publication, mine bool) {
	h.stream.send(message{Verb: deliver, Publication: &p, Flag: mine})
}

// Watched implements cluster.Deliverer.
func (h told) Watched(c cluster.Channel, s *cluster.Snapshot) {
	h.stream.send(message{Verb: watched, Channel: c, Snapshot: s})
}

// Edge implements cluster.Deliverer.
func (h told) Edge(e cluster.Edge) { h.stream.send(message{Verb: edge, Edge: &e}) }

// Seated implements cluster.Deliverer.
func (h told) Seated(c cluster.Channel, userID string, seq uint64) {
	h.stream.send(message{Verb: seated, Channel: c, UserID: userID, Seq: seq})
}

// Unseated implements cluster.Deliverer.
func (h told) Unseated(c cluster.Channel, userID string) {
	h.stream.send(message{Verb: unseated, Channel: c, UserID: userID})
}

// Terminate implements cluster.Deliverer.
func (h told) Terminate(app, userID string) {
	h.stream.send(message{Verb: terminate, Channel: cluster.Channel{App: app}, UserID: userID})
}

// Decided and Counted implement cluster.Deliverer: webhooks come from the process
// that stays.
func (h told) Decided(e cluster.Edge) { h.successor.Decided(e) }

// Counted is described at Decided.
func (h told) Counted(c cluster.Channel, subscriptions int, number uint64) {
	h.successor.Counted(c, subscriptions, number)
}

// Missing, Degraded and Restate implement cluster.Deliverer: a hub of one process
// loses nothing.
func (told) Missing(cluster.Channel) {}

// Degraded is described at Missing.
func (told) Degraded(bool) {}

// Restate is described at Missing.
func (told) Restate() {}
