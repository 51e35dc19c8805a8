package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"resound/channels/cluster"
)

const (
	flusherCount = 4
	laneCount    = 4
	stripeCount  = 64
)

// Adapter is a node's part of a cluster over Redis.
type Adapter struct {
	options   Options
	names     *names
	node      string // names this process
	deliverer cluster.Deliverer

	flushers [flusherCount]flusher
	lanes    [laneCount]lane
	stripes  [stripeCount]stripe
	held     atomic.Int64 // bytes that all watches hold back
	bus      bus
	seen     seen
	lease    lease
	journal  journal
	comeback comeback
	queues   queues

	description description

	// cleaning has a value while purgeScript is called, by the cleaner or by Close.
	cleaning chan struct{}

	// stating has a value while the Deliverer states everything again.
	stating chan struct{}

	session     atomic.Pointer[session] // nil while Redis is lost
	accepting   atomic.Bool             // statements are taken
	degraded    atomic.Bool
	restated    atomic.Bool // the Deliverer has stated everything since the registration
	closing     atomic.Bool
	incarnation atomic.Uint64 // number of the registration
	epoch       atomic.Uint64 // rises when statements and answers are forgotten
	calls       atomic.Uint64 // numbers the calls of stateScript and purgeScript
	counters    counters

	life     sync.Mutex // Start and Close
	started  bool
	stop     context.CancelFunc
	finished chan struct{} // run has returned
}

type counters struct {
	published, received, unwanted, junk, dropped, unkept, unheard, fenced, reconnect atomic.Uint64
}

var _ cluster.Adapter = (*Adapter)(nil)

// New returns an adapter that Start connects. The error names every wrong option.
func New(o Options) (*Adapter, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	var id [nodeDigits / 2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("no random numbers: %w", err)
	}
	a := &Adapter{
		options: o, names: newNames(o.Prefix, o.Database, o.Topics), node: hex.EncodeToString(id[:]),
		cleaning: make(chan struct{}, 1), stating: make(chan struct{}, 1),
	}
	for i := range a.flushers {
		a.flushers[i].init(a)
	}
	for i := range a.lanes {
		a.lanes[i].init(a)
	}
	for i := range a.stripes {
		a.stripes[i].watches = make(map[cluster.Channel]*watch)
	}
	a.bus.init(a)
	a.lease.init()
	a.journal.init(a)
	return a, nil
}

// Start implements cluster.Adapter. It waits for Redis up to four
// times Options.Timeout.
func (a *Adapter) Start(ctx context.Context, d cluster.Deliverer) error {
	a.life.Lock()
	defer a.life.Unlock()
	if a.started {
		return errors.New("the adapter was started already")
	}
	a.started = true
	a.deliverer = d
	a.finished = make(chan struct{})
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stop = stop
	s, err := a.join(alive)
	if err != nil {
		a.options.Logger.Error("redis is away: this node begins alone", "error", err)
		a.degraded.Store(true)
		a.bus.clear() // who subscribes from now on is there before the first registration
		d.Degraded(true)
	} else {
		a.restated.Store(true) // there is nothing yet
		a.accept(s)
	}
	go a.run(alive, s)
	return nil
}

// Leave implements cluster.Adapter. Queries and outboxes go on until Close.
func (a *Adapter) Leave(ctx context.Context) error {
	a.life.Lock()
	defer a.life.Unlock()
	return a.leaveOnce(ctx)
}

// leaveOnce is Leave. a.life is held.
func (a *Adapter) leaveOnce(ctx context.Context) error {
	if a.stop == nil || a.closing.Swap(true) {
		return nil
	}
	a.accepting.Store(false)
	a.release(a.comeback.close())
	if s := a.session.Load(); s != nil {
		return a.takeBack(ctx, s)
	}
	return nil
}

// Close implements cluster.Adapter.
func (a *Adapter) Close(ctx context.Context) error {
	a.life.Lock()
	defer a.life.Unlock()
	if a.stop == nil {
		return nil
	}
	err := a.leaveOnce(ctx)
	for i := range a.lanes {
		a.lanes[i].close()
	}
	a.stop()
	a.stop = nil
	<-a.finished
	return err
}

// takeBack ends all statements of this node and its lease.
func (a *Adapter) takeBack(ctx context.Context, s *session) error {
	for i := range a.flushers {
		if err := a.flushers[i].wait(ctx, s); err != nil {
			return err
		}
	}
	if err := a.purge(ctx, s, a.node, a.incarnation.Load()); err != nil {
		return fmt.Errorf("statements were not taken back: %w", err)
	}
	for i := range a.lanes { // counts, of what was taken back
		if err := a.lanes[i].wait(ctx, s); err != nil {
			return err
		}
	}
	if a.options.Owed == nil {
		_, err := a.askLease(ctx, s, "leave", "")
		return err
	}
	a.journal.settle(ctx, s)
	// Another node looks for what is left of the journal.
	_, err := a.askLease(context.WithoutCancel(ctx), s, "bequeath", "")
	return err
}

// Hold implements cluster.Adapter. Holds that wait for Redis become one, which is
// answered once.
func (a *Adapter) Hold(c cluster.Channel, subscriptions int, counted bool) {
	a.state(c, statement{op: opHold, subscriptions: subscriptions, counted: counted})
}

// Seat implements cluster.Adapter.
func (a *Adapter) Seat(c cluster.Channel, m cluster.Member) {
	a.state(c, statement{op: opSeat, user: m.ID, member: m})
}

// Unseat implements cluster.Adapter.
func (a *Adapter) Unseat(c cluster.Channel, userID string) {
	a.state(c, statement{op: opUnseat, user: userID})
}

// fail ends the session, if there is one.
func (a *Adapter) fail(err error) {
	if s := a.session.Load(); s != nil {
		s.fail(err)
	}
}

func (a *Adapter) state(c cluster.Channel, st statement) {
	topic := a.names.topic(c)
	a.flusher(topic).put(c, topic, st)
}

// flusherOf returns the index of the flusher of a topic's channels.
func flusherOf(topic uint32) int { return bucketOf(topic) % flusherCount }

func (a *Adapter) flusher(topic uint32) *flusher { return &a.flushers[flusherOf(topic)] }

// Watch implements cluster.Adapter. It is answered again when messages may have
// been missed.
func (a *Adapter) Watch(c cluster.Channel, snapshot bool) {
	a.bus.ask(request{channel: c, watch: true, snapshot: snapshot})
}

// Unwatch implements cluster.Adapter.
func (a *Adapter) Unwatch(c cluster.Channel) { a.bus.ask(request{channel: c}) }

// Publish implements cluster.Adapter.
func (a *Adapter) Publish(p cluster.Publication) {
	topic := a.names.topic(p.Channel)
	a.lanes[bucketOf(topic)%laneCount].put(&item{publication: p, topic: topic})
}

// Terminate implements cluster.Adapter. While degraded it waits in the spool.
func (a *Adapter) Terminate(app, userID string) {
	a.lanes[0].put(&item{publication: cluster.Publication{Channel: cluster.Channel{App: app}}, terminate: userID, isTerminate: true})
}

// SetConnections implements cluster.Adapter. The numbers leave with the next
// heartbeat.
func (a *Adapter) SetConnections(app string, connections int64) {
	if a.accepting.Load() {
		a.lease.setConnections(app, connections)
	}
}

// OtherConnections implements cluster.Adapter, as of the last heartbeat.
func (a *Adapter) OtherConnections(app string) int64 { return a.lease.otherConnections(app) }

// Stats implements cluster.Adapter.
func (a *Adapter) Stats() cluster.Stats {
	s := cluster.Stats{
		Degraded:  a.degraded.Load(),
		Topics:    a.bus.subscribed(),
		Published: a.counters.published.Load(),
		Received:  a.counters.received.Load(),
		Unwanted:  a.counters.unwanted.Load(),
		Junk:      a.counters.junk.Load(),
		Dropped:   a.counters.dropped.Load(),
		Unkept:    a.counters.unkept.Load(),
		Unheard:   a.counters.unheard.Load(),
		Fenced:    a.counters.fenced.Load(),
		Reconnect: a.counters.reconnect.Load(),
	}
	if !s.Degraded {
		s.Nodes = len(a.lease.nodeNames())
	}
	for i := range a.lanes {
		s.Spooled += a.lanes[i].waiting()
	}
	return s
}

// stripe returns the stripe of a channel.
func (a *Adapter) stripe(topic uint32) *stripe { return &a.stripes[topic*0x9E3779B1>>26] }

// staleAfter is how long after the last renewal a lease must be taken as lost.
func (a *Adapter) staleAfter() time.Duration { return a.options.Lease * 2 / 3 }
