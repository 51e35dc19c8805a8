package redis

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// maxComeback is how many leases nodes that are registered again may take until
// they have stated everything and listen.
const maxComeback = 5

// comeback is what a node awaits after an outage, or after its lease had ended: what
// happened to it may have happened to all. Until the nodes it knew have stated
// everything and listen again, publications stay in the spool, where they would be
// missed otherwise, and snapshots are partial. Safe for concurrent use.
//
//	lost ----> awaiting ----> registered ----> all listen, or the time is over
//
// Who is not registered again within a lease is taken for gone.
type comeback struct {
	holding atomic.Bool // publications are held back: awaiting or deaf

	mu       sync.Mutex
	awaiting bool
	deaf     bool            // connections for subscriptions are being mended
	closed   bool            // the node leaves: nothing is held any more
	known    map[string]bool // nodes before, this one included; empty when it never had a lease
	began    time.Time       // the registration
	since    int64           // the same by Redis' clock, in ms; 0 before
}

// holds reports whether publications are held back.
func (c *comeback) holds() bool { return c.holding.Load() }

// awaits reports whether other nodes may not have stated everything again.
func (c *comeback) awaits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.awaiting
}

// await begins to await nodes, and goes on with those that were awaited before.
func (c *comeback) await(nodes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = make(map[string]bool)
	}
	for _, name := range nodes {
		c.known[name] = true
	}
	c.awaiting, c.since = !c.closed, 0
	c.update()
}

// registered notes the time by Redis' clock.
func (c *comeback) registered(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began, c.since = time.Now(), now
}

// asks is since when the other nodes must have said that they listen, in the words of
// leaseScript; empty when nobody is awaited.
func (c *comeback) asks() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.awaiting || c.since == 0 {
		return ""
	}
	return strconv.FormatInt(c.since, 10)
}

// hear takes what is told of the others: the nodes, and those that listen. over is
// true when nobody is awaited any more; late that somebody is missing all the same.
func (c *comeback) hear(self string, nodes, listening []string, listens bool, lease time.Duration) (over, late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.awaiting || c.since == 0 {
		return false, false
	}
	behind := !listens // nodes that are registered
	for _, name := range nodes {
		behind = behind || name != self && !slices.Contains(listening, name)
	}
	absent := len(c.known) == 0
	for name := range c.known {
		absent = absent || name != self && !slices.Contains(nodes, name)
	}
	took := time.Since(c.began)
	if behind && took < maxComeback*lease || absent && took < lease {
		return false, false
	}
	late = behind || absent && len(c.known) > 0
	c.awaiting, c.known = false, nil
	c.update()
	return true, late
}

// setDeaf notes whether connections for subscriptions are being mended.
func (c *comeback) setDeaf(deaf bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = deaf && !c.closed
	c.update()
}

// close ends all waiting, for ever. late is what hear says.
func (c *comeback) close() (late bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	late = c.awaiting
	c.closed, c.awaiting, c.deaf = true, false, false
	c.update()
	return late
}

func (c *comeback) update() { c.holding.Store(c.awaiting || c.deaf) }

// awaitOthers holds publications back until the other nodes are back.
func (a *Adapter) awaitOthers() { a.comeback.await(a.lease.nodeNames()) }

// hearOthers takes a heartbeat's answer.
func (a *Adapter) hearOthers(nodes, listening []string, listens bool) {
	if over, late := a.comeback.hear(a.node, nodes, listening, listens, a.options.Lease); over {
		a.release(late)
	}
}

// release lets publications go on, unless they are held for another reason. late says
// that a node may miss what was held.
func (a *Adapter) release(late bool) {
	held := 0
	for i := range a.lanes {
		held += a.lanes[i].release()
	}
	if late && held > 0 {
		a.counters.unheard.Add(uint64(held))
		a.options.Logger.Warn("not every node came back in time: publications may be missed there", "publications", held)
	}
}

// listens reports whether this node has stated everything, and misses nothing that
// is published.
func (a *Adapter) listens() bool { return a.hasStated() && a.bus.listens() }

// othersComeBack reports whether other nodes may not have stated everything again, or
// this node has events of cache channels of which the others do not know yet.
func (a *Adapter) othersComeBack() bool {
	owing := a.comeback.awaits()
	for i := range a.lanes {
		owing = owing || a.lanes[i].owing()
	}
	return owing
}

// beatInterval is the time between heartbeats, shorter while others are awaited.
func (a *Adapter) beatInterval() time.Duration {
	if a.comeback.awaits() {
		return a.options.Lease / heartbeats / 5
	}
	return a.options.Lease / heartbeats
}
