package webhook

import (
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// releaseBatch is how many held events are looked at under one hold of the lock.
const releaseBatch = 256

// intake accepts the events of one app. Safe for concurrent use.
type intake struct {
	d     *Dispatcher
	appID string

	routes atomic.Pointer[[]*sender] // immutable slice, replaced as a whole
	types  atomic.Uint32             // typeSet that any of them wants

	releasing sync.Mutex // one release at a time; taken before mu

	mu     sync.Mutex
	held   holdback
	misses recent
	timer  *time.Timer // runs release
	closed bool
}

func (in *intake) setRoutes(routes []*sender) {
	var types typeSet
	for _, s := range routes {
		types |= s.target.Load().types()
	}
	in.routes.Store(&routes)
	in.types.Store(uint32(types))
}

// wants reports whether an event of type t can matter to any hook.
func (in *intake) wants(t EventType) bool {
	return typeSet(in.types.Load())&t.interest() != 0
}

// matches reports whether e matters to any hook.
func (in *intake) matches(t EventType, channel string) bool {
	for _, s := range *in.routes.Load() {
		if s.target.Load().wants(t.interest(), channel) {
			return true
		}
	}
	return false
}

func (in *intake) publish(e *Event) {
	if !in.wants(e.Type) || !in.matches(e.Type, e.Channel) {
		return
	}
	body := e.encode() // before the lock
	now := time.Now()
	o := &in.d.options
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.closed:
		in.d.drops.add(dropClosed, 1)
		return
	case e.Type == ChannelOccupied || e.Type == MemberAdded:
		if in.held.cancel(e.edge()) {
			in.d.cancelled.Add(2)
			return
		}
	case (e.Type == ChannelVacated || e.Type == MemberRemoved) && o.HoldBack > 0:
		in.hold(e, body, now)
		return
	case e.Type == CacheMiss && o.CacheMissInterval > 0:
		if !in.misses.first(e.Channel, now, o.missPause) {
			in.d.deduplicated.Add(1)
			return
		}
	}
	in.route(e.Type, e.Channel, Record{ID: strings.Clone(e.ID), Event: body, At: now, Condition: e.condition(o)})
}

// hold keeps the event until its opposite comes or HoldBack is over. in.mu is
// held.
func (in *intake) hold(e *Event, body json.RawMessage, now time.Time) {
	o := &in.d.options
	key := e.edge()
	if in.held.holds(key) {
		in.d.deduplicated.Add(1) // the older one stands
		return
	}
	if in.held.len() >= o.MaxHeldEvents {
		// The oldest first: events of a channel keep their order.
		in.routeHeld(in.held.first, now)
		in.d.releasedEarly.Add(1)
	}
	key.channel, key.userID = strings.Clone(key.channel), strings.Clone(key.userID)
	in.held.add(key, body, now.Add(o.HoldBack))
	if in.held.len() == 1 {
		in.arm(o.HoldBack)
	}
}

// arm lets release run after delay. in.mu is held.
func (in *intake) arm(delay time.Duration) {
	if in.timer == nil {
		in.timer = time.AfterFunc(delay, in.release)
		return
	}
	in.timer.Reset(delay)
}

// release sends what was held long enough.
func (in *intake) release() {
	in.releasing.Lock()
	defer in.releasing.Unlock()
	for in.releaseSome() {
	}
}

// releaseSome reports whether there is more.
func (in *intake) releaseSome() bool {
	in.mu.Lock()
	due := in.held.due(time.Now(), releaseBatch)
	in.mu.Unlock()

	present := make([]bool, len(due))
	if ask := in.d.options.Present; ask != nil {
		for i, h := range due {
			present[i] = ask(in.appID, h.edge.channel, h.edge.userID)
		}
	}

	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return false
	}
	now := time.Now()
	for i, h := range due {
		switch {
		case !present[i]:
			in.routeHeld(h, now)
		case in.held.remove(h):
			in.d.cancelled.Add(1)
		}
	}
	if len(due) == releaseBatch {
		return true
	}
	if in.held.first != nil {
		in.arm(in.held.first.due.Sub(now))
	}
	return false
}

// routeHeld sends h on unless it was cancelled meanwhile. in.mu is held.
func (in *intake) routeHeld(h *held, now time.Time) {
	if in.held.remove(h) {
		in.route(h.edge.leaves(), h.edge.channel, Record{Event: h.event, At: now})
	}
}

// route puts r into the queues of all URLs that want it. in.mu is held, so that
// queues get events in one order.
func (in *intake) route(t EventType, channel string, r Record) {
	for _, s := range *in.routes.Load() {
		if s.target.Load().wants(setOf(t), channel) {
			s.accept(r)
		}
	}
}

// restore holds back again what an earlier process held back: clients need time
// to come to this one.
func (in *intake) restore(k *Kept) {
	now := time.Now()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.d.options.HoldBack <= 0 {
		in.route(k.Type, k.Channel, Record{Event: k.Event, At: now})
		return
	}
	in.hold(&Event{Type: k.Type, Channel: k.Channel, UserID: k.UserID}, k.Event, now)
}

// close ends the intake. With keep, it returns what is held back, otherwise it
// sends it on.
func (in *intake) close(keep bool) (kept []Kept) {
	in.mu.Lock()
	in.closed = true
	if in.timer != nil {
		in.timer.Stop()
	}
	now := time.Now()
	for h := in.held.first; h != nil; h = in.held.first {
		if keep {
			in.held.remove(h)
			kept = append(kept, Kept{AppID: in.appID, At: now, Event: h.event, Type: h.edge.leaves(), Channel: h.edge.channel, UserID: h.edge.userID})
			continue
		}
		in.routeHeld(h, now)
	}
	in.mu.Unlock()
	// A release that is under way still asks Options.Present.
	in.releasing.Lock()
	defer in.releasing.Unlock()
	return kept
}

func (in *intake) heldEvents() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.held.len()
}
