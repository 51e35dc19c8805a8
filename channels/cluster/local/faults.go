package local

import "resound/channels/cluster"

// Outage takes the shared state out of everybody's reach: answers under way are
// lost, statements are not heard, publications go to the spools.
func (h *Hub) Outage() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		return
	}
	h.down = true
	for _, a := range h.adapters {
		a.degrade()
	}
	h.wake()
}

// Restore ends an outage: each node hears Degraded(false) and Restate. What was
// stated before it counts until it is stated again or Expire is called.
func (h *Hub) Restore() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.down {
		return
	}
	h.down, h.back = false, true
	for _, a := range h.adapters {
		a.fenced = false
		a.stats.Reconnect++
		a.incarnation++
		a.register(true)
	}
	h.wake()
}

// Expire ends what was stated before the last outage and not again since, as
// the end of the old leases does.
func (h *Hub) Expire() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.dead {
		h.purge(a, h.survivor(a), func(int) bool { return true })
	}
	h.dead = nil
	for _, a := range h.adapters {
		h.purge(a, a, func(incarnation int) bool { return incarnation != a.incarnation })
	}
	h.wake()
}

// Wipe empties the state, as a Redis without persistence does when it restarts.
// To be called during an outage.
func (h *Hub) Wipe() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.channels)
}

// Kill ends a node without Close. Another one cleans up after it at once or, during
// an outage, when Expire is called after it.
func (h *Hub) Kill(a *Adapter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.end()
	if h.down {
		h.dead = append(h.dead, a)
		return
	}
	h.purge(a, h.survivor(a), func(int) bool { return true })
	h.wake()
}

// Pause stops a node: nothing it says is heard, and it hears nothing.
func (h *Hub) Pause(a *Adapter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.paused = true
}

// Fence ends the lease of a paused node: another one cleans up after it.
func (h *Hub) Fence(a *Adapter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !a.paused || a.fenced {
		return
	}
	a.fenced = true
	h.purge(a, h.survivor(a), func(int) bool { return true })
	h.wake()
}

// Resume lets a paused node go on. If it was fenced, what it said meanwhile is
// refused and it hears Restate.
func (h *Hub) Resume(a *Adapter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	a.paused = false
	if a.fenced && !h.down {
		a.fenced = false
		a.stats.Fenced++
		a.incarnation++
		a.up = false
		a.forget()
		a.register(false)
	}
	h.wake()
}

// forget drops what a asked for and what it was to be told.
func (a *Adapter) forget() {
	clear(a.watched)
	clear(a.connections)
	a.hub.lanes.forget(a, true, false)
	a.hub.lanes.forget(a, false, false)
}

// degrade stops taking statements and says so, once.
func (a *Adapter) degrade() {
	a.up = false
	a.forget()
	if a.degraded {
		return
	}
	a.out(cluster.Channel{}, func(d cluster.Deliverer) {
		a.hub.mu.Lock()
		a.degraded = true
		a.hub.mu.Unlock()
		d.Degraded(true)
	})
}

// register takes statements again and asks for all of them.
func (a *Adapter) register(degraded bool) {
	a.out(cluster.Channel{}, func(d cluster.Deliverer) {
		h := a.hub
		h.mu.Lock()
		a.up = !h.down
		if degraded {
			a.degraded = false
		}
		h.mu.Unlock()
		if degraded {
			d.Degraded(false)
		}
		d.Restate()
	})
}

// comeBack ends the time after an outage when nothing is on its way any more: every
// node has stated everything again, so that it hears what is in the spools, and is
// told the whole state. False means that there was nothing to do.
func (h *Hub) comeBack() bool {
	if !h.back || h.down {
		return false
	}
	h.back = false
	for _, a := range h.adapters {
		h.flush(a)
	}
	for _, a := range h.adapters {
		for c, snapshot := range a.watched {
			if snapshot {
				a.watch(c, true)
			}
		}
	}
	return !h.lanes.idle()
}

// flush publishes a spool.
func (h *Hub) flush(a *Adapter) {
	for _, p := range a.spool {
		h.publish(a, p)
	}
	a.spool = nil
}

// survivor returns a node that cleans up after gone, nil when there is none.
func (h *Hub) survivor(gone *Adapter) *Adapter {
	for _, a := range h.adapters {
		if a != gone && !a.paused && a.up {
			return a
		}
	}
	return nil
}
