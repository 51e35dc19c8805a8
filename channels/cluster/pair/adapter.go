package pair

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"resound/channels/cluster"
)

// MaxKeptBytes is how much of kept events is inherited.
const MaxKeptBytes = 64 << 20

// Adapter is the predecessor's end: its node is part of the successor's cluster.
type Adapter struct {
	stream *stream
	lost   func() // the successor is gone

	deliverer cluster.Deliverer
	complete  atomic.Bool // everything was inherited: the host can be asked
	leaving   atomic.Bool
	keptBytes atomic.Int64
	keptLimit int64
	unkept    atomic.Uint64
	published atomic.Uint64
	received  atomic.Uint64

	mu        sync.Mutex
	questions map[uint64]chan *reply // nil when the connection is gone; guarded by mu
	lastID    uint64
}

var _ cluster.Partner = (*Adapter)(nil)

// Dial greets the host at the other end of conn, which is the Adapter's from then
// on. lost is called, on a goroutine of the Adapter, when the connection ends before
// Leave: nothing that the Adapter is told has an effect from then on.
func Dial(ctx context.Context, conn net.Conn, lost func()) (*Adapter, error) {
	a := &Adapter{stream: newStream(conn), lost: lost, keptLimit: MaxKeptBytes, questions: make(map[uint64]chan *reply)}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := a.stream.greet(); err != nil {
		_ = conn.Close()
		a.stream.finish()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	return a, nil
}

// Start implements cluster.Adapter.
func (a *Adapter) Start(_ context.Context, d cluster.Deliverer) error {
	a.deliverer = d
	go a.read()
	return nil
}

func (a *Adapter) read() {
	for {
		var m message
		if err := a.stream.in.Decode(&m); err != nil {
			break
		}
		a.hear(&m)
	}
	a.mu.Lock()
	for _, to := range a.questions {
		close(to)
	}
	a.questions = nil
	a.mu.Unlock()
	a.stream.finish()
	if !a.leaving.Load() {
		a.lost()
	}
}

func (a *Adapter) hear(m *message) {
	d := a.deliverer
	switch m.Verb {
	case deliver:
		a.received.Add(1)
		d.Deliver(*m.Publication, m.Flag)
	case watched:
		d.Watched(m.Channel, m.Snapshot)
	case edge:
		d.Edge(*m.Edge)
	case seated:
		d.Seated(m.Channel, m.UserID, m.Seq)
	case unseated:
		d.Unseated(m.Channel, m.UserID)
	case terminate:
		d.Terminate(m.Channel.App, m.UserID)
	case answer:
		a.mu.Lock()
		to := a.questions[m.ID]
		delete(a.questions, m.ID)
		a.mu.Unlock()
		if to != nil {
			to <- m.Answer
		}
	}
}

// Complete says that everything was inherited and waits until the host has heard it.
func (a *Adapter) Complete(ctx context.Context) error {
	_, err := a.ask(ctx, message{Question: nothing})
	a.complete.Store(err == nil)
	return err
}

// ask returns the host's answer to a question.
func (a *Adapter) ask(ctx context.Context, m message) (*reply, error) {
	to := make(chan *reply, 1)
	a.mu.Lock()
	if a.questions == nil {
		a.mu.Unlock()
		return nil, cluster.ErrDegraded
	}
	a.lastID++
	m.Verb, m.ID = ask, a.lastID
	a.questions[m.ID] = to
	a.mu.Unlock()
	a.stream.send(m)
	select {
	case r, ok := <-to:
		if !ok || r == nil {
			return nil, cluster.ErrDegraded
		}
		return r, nil
	case <-ctx.Done():
		a.mu.Lock()
		delete(a.questions, m.ID)
		a.mu.Unlock()
		return nil, context.Cause(ctx)
	}
}

// Leave implements cluster.Adapter: the host has heard everything when it returns.
func (a *Adapter) Leave(ctx context.Context) error {
	if a.leaving.Swap(true) {
		return nil
	}
	a.stream.send(message{Verb: bye})
	_, err := a.ask(ctx, message{Question: nothing})
	return err
}

// Close implements cluster.Adapter.
func (a *Adapter) Close(ctx context.Context) error {
	err := a.Leave(ctx)
	a.stream.finish()
	return err
}

// Publish implements cluster.Adapter.
func (a *Adapter) Publish(p cluster.Publication) {
	a.published.Add(1)
	a.stream.send(message{Verb: publish, Publication: &p})
}

// Watch implements cluster.Adapter.
func (a *Adapter) Watch(c cluster.Channel, snapshot bool) {
	a.stream.send(message{Verb: watch, Channel: c, Flag: snapshot})
}

// Unwatch implements cluster.Adapter.
func (a *Adapter) Unwatch(c cluster.Channel) { a.stream.send(message{Verb: unwatch, Channel: c}) }

// Hold implements cluster.Adapter. The host's Deliverer is told the count.
func (a *Adapter) Hold(c cluster.Channel, subscriptions int, counted bool) {
	a.stream.send(message{Verb: hold, Channel: c, Number: subscriptions, Flag: counted})
}

// Seat implements cluster.Adapter.
func (a *Adapter) Seat(c cluster.Channel, m cluster.Member) {
	a.stream.send(message{Verb: seat, Channel: c, Member: &m})
}

// Unseat implements cluster.Adapter.
func (a *Adapter) Unseat(c cluster.Channel, userID string) {
	a.stream.send(message{Verb: unseat, Channel: c, UserID: userID})
}

// Inherit implements cluster.Partner. A kept event that is beyond MaxKeptBytes stays
// behind.
func (a *Adapter) Inherit(c cluster.Channel, in cluster.Inherited) {
	if n := int64(keptBytes(in.Kept)); a.keptBytes.Add(n) > a.keptLimit {
		a.keptBytes.Add(-n)
		a.unkept.Add(1)
		in.Kept = nil
	}
	a.stream.send(message{Verb: inherit, Channel: c, Inherited: &in})
}

// LeftBehind is the number of kept events that were not inherited.
func (a *Adapter) LeftBehind() uint64 { return a.unkept.Load() }

// Terminate implements cluster.Adapter.
func (a *Adapter) Terminate(app, userID string) {
	a.stream.send(message{Verb: terminate, Channel: cluster.Channel{App: app}, UserID: userID})
}

// SetConnections implements cluster.Adapter: each process has its own limit.
func (a *Adapter) SetConnections(string, int64) {}

// OtherConnections implements cluster.Adapter.
func (a *Adapter) OtherConnections(string) int64 { return 0 }

// Describe implements cluster.Adapter: nobody is shown the process that ends.
func (a *Adapter) Describe(text string) error { return cluster.CheckDescription(text) }

// Nodes implements cluster.Adapter, see Describe.
func (a *Adapter) Nodes(context.Context) ([]cluster.Node, error) { return nil, cluster.ErrDegraded }

// Channel implements cluster.Adapter.
func (a *Adapter) Channel(ctx context.Context, c cluster.Channel) (cluster.Occupancy, error) {
	r, err := a.query(ctx, message{Question: aboutChannel, Channel: c})
	if err != nil {
		return cluster.Occupancy{}, err
	}
	return r.Occupancy, nil
}

// Channels implements cluster.Adapter.
func (a *Adapter) Channels(ctx context.Context, app, prefix string, limit int) ([]cluster.NamedOccupancy, error) {
	r, err := a.query(ctx, message{Question: aboutChannels, Channel: cluster.Channel{App: app, Name: prefix}, Number: limit})
	if err != nil {
		return nil, err
	}
	if r.TooMany {
		return nil, cluster.ErrTooMany
	}
	return r.Rows, nil
}

// Members implements cluster.Adapter.
func (a *Adapter) Members(ctx context.Context, c cluster.Channel) ([]cluster.Member, error) {
	r, err := a.query(ctx, message{Question: aboutMembers, Channel: c})
	if err != nil {
		return nil, err
	}
	return r.Members, nil
}

func (a *Adapter) query(ctx context.Context, m message) (*reply, error) {
	if !a.complete.Load() {
		return nil, cluster.ErrDegraded // this node knows better yet
	}
	return a.ask(ctx, m)
}

// Stats implements cluster.Adapter.
func (a *Adapter) Stats() cluster.Stats {
	s := a.stream
	s.mu.Lock()
	defer s.mu.Unlock()
	return cluster.Stats{
		Nodes: 2, Spooled: len(s.queue), Published: a.published.Load(), Received: a.received.Load(), Dropped: s.dropped,
	}
}
