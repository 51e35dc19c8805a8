package local

import (
	"context"
	"errors"
	"strings"

	"resound/channels/cluster"
)

// MaxSpooled is how many publications an adapter keeps during an outage.
const MaxSpooled = 10_000

// Adapter is a node's part of a Hub. Guarded by Hub.mu.
type Adapter struct {
	hub         *Hub
	deliverer   cluster.Deliverer // nil before Start and after the end
	incarnation int               // rises when the statements made so far are gone
	up          bool              // statements are taken
	paused      bool
	fenced      bool                     // paused and cleaned up: to register again when it resumes
	degraded    bool                     // as the Deliverer was told
	watched     map[cluster.Channel]bool // true with a snapshot
	connections map[string]int64
	number      int    // its name
	description string // Describe
	spool       []cluster.Publication
	stats       cluster.Stats
}

var _ cluster.Partner = (*Adapter)(nil)

// New returns the adapter of a node that is alone.
func New() *Adapter { return NewHub().NewAdapter() }

// Start implements cluster.Adapter.
func (a *Adapter) Start(_ context.Context, d cluster.Deliverer) error {
	a.hub.mu.Lock()
	if a.deliverer != nil {
		a.hub.mu.Unlock()
		return errors.New("the adapter was started already")
	}
	a.deliverer = d
	a.hub.adapters = append(a.hub.adapters, a)
	a.up = !a.hub.down
	if a.hub.down {
		a.degrade()
		a.hub.wake()
	}
	a.hub.mu.Unlock()
	return nil
}

// Leave implements cluster.Adapter.
func (a *Adapter) Leave(ctx context.Context) error {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	return a.leave(ctx)
}

// Close implements cluster.Adapter.
func (a *Adapter) Close(ctx context.Context) error {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	if a.deliverer == nil {
		return nil
	}
	err := a.leave(ctx)
	a.end()
	return err
}

// leave is Leave. hub.mu is held.
func (a *Adapter) leave(ctx context.Context) error {
	h := a.hub
	if a.deliverer == nil {
		return nil
	}
	defer context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.changed.Broadcast()
	})()
	a.paused = false
	h.wake()
	if a.waitIdle(ctx) && a.up {
		h.flush(a)
		a.up = false
		h.purge(a, a, func(int) bool { return true })
		h.wake()
		a.waitIdle(ctx)
	}
	return ctx.Err()
}

// waitIdle waits until nothing is under way from or to a. False means that ctx
// ended first.
func (a *Adapter) waitIdle(ctx context.Context) bool {
	for a.hub.telling == a || a.hub.lanes.waiting(a) {
		if ctx.Err() != nil {
			return false
		}
		a.hub.changed.Wait()
	}
	return true
}

// end takes a out of the hub.
func (a *Adapter) end() {
	h := a.hub
	a.deliverer, a.up, a.paused = nil, false, false
	clear(a.watched)
	clear(a.connections)
	h.lanes.forget(a, true, true)
	h.lanes.forget(a, false, true)
	for i, other := range h.adapters {
		if other == a {
			h.adapters = append(h.adapters[:i:i], h.adapters[i+1:]...)
			break
		}
	}
	h.changed.Broadcast()
}

// state makes a statement about c: at once, or when its turn comes.
func (a *Adapter) state(c cluster.Channel, apply func()) {
	h := a.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if !a.up {
		return
	}
	a.enqueue(c, apply)
}

func (a *Adapter) enqueue(c cluster.Channel, apply func()) {
	h := a.hub
	k := laneKey{adapter: a, inbound: true}
	if h.lanes.rng == nil && !a.paused && len(h.lanes.tasks[k]) == 0 {
		apply()
	} else {
		k.channel = c
		h.lanes.put(k, task{apply: apply})
	}
	h.wake()
}

// out tells something about c.
func (a *Adapter) out(c cluster.Channel, tell func(cluster.Deliverer)) {
	if d := a.deliverer; d != nil {
		a.hub.lanes.put(laneKey{a, false, c}, task{tell: func() { tell(d) }})
	}
}

// decided tells an edge that was decided, for which nobody else does.
func (a *Adapter) decided(e cluster.Edge) {
	if d := a.deliverer; d != nil {
		a.hub.lanes.put(laneKey{a, false, e.Channel}, task{tell: func() { d.Decided(e) }, sure: true})
	}
}

// Publish implements cluster.Adapter.
func (a *Adapter) Publish(p cluster.Publication) {
	h := a.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case a.deliverer == nil:
	case a.up && len(a.spool) == 0 && !h.back:
		a.enqueue(p.Channel, func() { h.publish(a, p) })
	case len(a.spool) < MaxSpooled:
		a.spool = append(a.spool, p)
	default:
		a.stats.Dropped++
	}
}

// Watch implements cluster.Adapter.
func (a *Adapter) Watch(c cluster.Channel, snapshot bool) {
	a.state(c, func() { a.watch(c, snapshot) })
}

// watch is Watch. hub.mu is held.
func (a *Adapter) watch(c cluster.Channel, snapshot bool) {
	a.watched[c] = a.watched[c] || snapshot
	var s *cluster.Snapshot
	if snapshot {
		s = a.hub.snapshot(a, c)
	}
	a.out(c, func(d cluster.Deliverer) { d.Watched(c, s) })
}

// Unwatch implements cluster.Adapter.
func (a *Adapter) Unwatch(c cluster.Channel) {
	a.state(c, func() { delete(a.watched, c) })
}

// Hold implements cluster.Adapter.
func (a *Adapter) Hold(c cluster.Channel, subscriptions int, counted bool) {
	a.state(c, func() {
		total := a.hub.hold(a, c, subscriptions, a)
		if counted {
			a.counted(c, total)
		}
	})
}

// counted tells a count. hub.mu is held.
func (a *Adapter) counted(c cluster.Channel, total int) {
	a.hub.seq++
	number := a.hub.seq
	a.out(c, func(d cluster.Deliverer) { d.Counted(c, total, number) })
}

// Seat implements cluster.Adapter.
func (a *Adapter) Seat(c cluster.Channel, m cluster.Member) {
	a.state(c, func() {
		seq := a.hub.seat(a, c, m, a)
		a.out(c, func(d cluster.Deliverer) { d.Seated(c, m.ID, seq) })
	})
}

// Unseat implements cluster.Adapter.
func (a *Adapter) Unseat(c cluster.Channel, userID string) {
	a.state(c, func() {
		a.hub.unseat(a, c, userID, a)
		a.out(c, func(d cluster.Deliverer) { d.Unseated(c, userID) })
	})
}

// Inherit implements cluster.Partner.
func (a *Adapter) Inherit(c cluster.Channel, in cluster.Inherited) {
	a.state(c, func() { a.hub.inherit(a, c, in) })
}

// Terminate implements cluster.Adapter.
func (a *Adapter) Terminate(app, userID string) {
	c := cluster.Channel{App: app, Name: cluster.UserPrefix + userID}
	a.state(c, func() {
		for _, other := range a.hub.adapters {
			if other != a {
				other.out(c, func(d cluster.Deliverer) { d.Terminate(app, userID) })
			}
		}
	})
}

// SetConnections implements cluster.Adapter.
func (a *Adapter) SetConnections(app string, connections int64) {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	if a.up {
		a.connections[app] = connections
	}
}

// OtherConnections implements cluster.Adapter.
func (a *Adapter) OtherConnections(app string) (connections int64) {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	for _, other := range a.hub.adapters {
		if other != a && !other.fenced {
			connections += other.connections[app]
		}
	}
	return connections
}

// Channel implements cluster.Adapter.
func (a *Adapter) Channel(_ context.Context, c cluster.Channel) (o cluster.Occupancy, err error) {
	err = a.query(func() {
		if s, ok := a.hub.channels[c]; ok {
			o = cluster.Occupancy{Subscriptions: s.total, Users: len(s.seats), Kept: s.keptEvent()}
		}
	})
	return o, err
}

// Channels implements cluster.Adapter.
func (a *Adapter) Channels(_ context.Context, app, prefix string, limit int) (rows []cluster.NamedOccupancy, err error) {
	err = a.query(func() {
		for c, s := range a.hub.channels {
			if c.App == app && s.total > 0 && strings.HasPrefix(c.Name, prefix) && !strings.HasPrefix(c.Name, cluster.UserPrefix) {
				rows = append(rows, cluster.NamedOccupancy{Name: c.Name, Occupancy: cluster.Occupancy{Subscriptions: s.total, Users: len(s.seats)}})
			}
		}
	})
	if len(rows) > limit {
		return nil, cluster.ErrTooMany
	}
	return rows, err
}

// Members implements cluster.Adapter.
func (a *Adapter) Members(_ context.Context, c cluster.Channel) (members []cluster.Member, err error) {
	err = a.query(func() {
		if s, ok := a.hub.channels[c]; ok {
			members = s.members()
		}
	})
	return members, err
}

func (a *Adapter) query(read func()) error {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	if !a.up {
		return cluster.ErrDegraded
	}
	read()
	if a.hub.back {
		return cluster.ErrPartial
	}
	return nil
}

// Stats implements cluster.Adapter.
func (a *Adapter) Stats() cluster.Stats {
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	s := a.stats
	s.Degraded = a.deliverer != nil && !a.up
	s.Topics, s.Spooled = len(a.watched), len(a.spool)
	if a.up {
		s.Nodes = len(a.hub.adapters)
	}
	return s
}
