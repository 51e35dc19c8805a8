package redis

import (
	"slices"
	"sync"

	"resound/channels/cluster"
)

// maxHeldEvents is how many messages a channel holds back while its snapshot is
// read, and maxHeldBytes how much all channels do. Beyond it publications are told at
// once, and edges are left to the snapshot, which is read again then.
const (
	maxHeldEvents = 1 << 14
	maxHeldBytes  = 32 << 20
)

// stripe holds the watches of a part of the topics. Everything about a channel is
// told under mu.
type stripe struct {
	mu      sync.Mutex
	watches map[cluster.Channel]*watch
}

// watch is a channel that this node asked for. Guarded by its stripe's lock.
type watch struct {
	snapshot bool   // the Deliverer follows the channel's state
	waiting  bool   // messages are held back until Watched
	first    bool   // nobody here was ever told anything
	fresh    bool   // messages may have been missed: Watched comes before any edge
	overflow bool   // too much was held: publications are told as they come, and the next snapshot is too old
	told     uint64 // highest number told, by Watched or since
	held     []envelope
	parked   []parked // answers that wait until their number was told
}

type parked struct {
	seq  uint64
	sure bool // it is told even when everything else is forgotten
	tell func()
}

// clear forgets the watches of a stripe. Publications that were held back are told,
// as they come once, and who subscribes here goes on to; so are the answers that are sure.
func (a *Adapter) clear(s *stripe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		a.tellEarly(w, a.takeHeld(w))
		for _, p := range w.parked {
			if p.sure {
				p.tell()
			}
		}
	}
	s.watches = make(map[cluster.Channel]*watch)
}

// newWatch is a watch before its first Watched. One that is made while this node does
// not listen may have subscribers already.
func (a *Adapter) newWatch() *watch { return &watch{first: a.bus.listens(), fresh: true} }

// hold holds a message back, or returns false when it is too much.
func (a *Adapter) hold(w *watch, e *envelope) bool {
	if len(w.held) == maxHeldEvents {
		return false
	}
	if a.held.Add(int64(e.bytes)) > maxHeldBytes {
		a.held.Add(-int64(e.bytes))
		return false
	}
	w.held = append(w.held, *e)
	return true
}

// takeHeld returns what was held back.
func (a *Adapter) takeHeld(w *watch) []envelope {
	held := w.held
	w.held = nil
	for i := range held {
		a.held.Add(-int64(held[i].bytes))
	}
	return held
}

// tellEarly tells publications ahead of Watched: that has the members, and no more
// than the last of the kept ones. Where nobody has subscribed yet it is enough.
func (a *Adapter) tellEarly(w *watch, list []envelope) {
	for i := range list {
		if e := &list[i]; e.kind != kindEdge && (e.seq == 0 || !w.first) {
			a.deliver(e)
		}
	}
}

// deliver tells a publication.
func (a *Adapter) deliver(e *envelope) {
	mine := e.node == a.node
	if !mine {
		a.counters.received.Add(1)
	}
	a.deliverer.Deliver(e.publication(), mine)
}

// tell runs an answer about a channel, after what is numbered up to seq when the
// Deliverer follows the channel, and when it watches it otherwise, with watched,
// after the Watched that is due. Answers of a forgotten epoch are dropped; epoch 0 is
// never forgotten.
func (a *Adapter) tell(c cluster.Channel, topic uint32, epoch, seq uint64, watched bool, answer func()) {
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != 0 && epoch != a.epoch.Load() {
		return
	}
	w := s.watches[c]
	if w == nil {
		if coming := a.bus.coming(c); coming.snapshots > 0 || watched && coming.watches > 0 {
			// Watch was said before; its turn has not come yet.
			w = a.newWatch()
			w.snapshot, w.waiting = coming.snapshots > 0, true
			s.watches[c] = w
		}
	}
	if w != nil && (w.snapshot && seq > w.told || (w.snapshot || watched) && (w.waiting || len(w.parked) > 0)) {
		w.parked = append(w.parked, parked{seq, epoch == 0, answer})
		return
	}
	answer()
}

// begin makes a watch hold back messages until finish. fresh is true when it may
// have missed some.
func (a *Adapter) begin(r request, topic uint32, epoch uint64, fresh bool) {
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if epoch != a.epoch.Load() {
		return
	}
	w := s.watches[r.channel]
	if w == nil {
		w = a.newWatch()
		s.watches[r.channel] = w
	}
	w.fresh = w.fresh || fresh
	w.snapshot = w.snapshot || r.snapshot
	w.waiting = w.waiting || r.snapshot || w.fresh
}

// missing tells that messages of a watched channel may be missed.
func (a *Adapter) missing(c cluster.Channel, topic uint32, epoch uint64) {
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[c] != nil && epoch == a.epoch.Load() {
		a.deliverer.Missing(c)
	}
}

// finish answers Watch with sn, which is nil when no snapshot was asked for, and
// goes on with what was held back. False means that the snapshot must be read again.
func (a *Adapter) finish(c cluster.Channel, topic uint32, epoch uint64, sn *cluster.Snapshot) bool {
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[c]
	if w == nil || epoch != a.epoch.Load() {
		return true
	}
	if sn == nil {
		a.deliverer.Watched(c, nil)
		if !w.snapshot {
			w.waiting, w.first, w.fresh, w.overflow = false, false, false, false
			a.unpark(w)
			a.tellAll(w, a.takeHeld(w))
		}
		return true
	}
	if w.overflow {
		w.overflow, w.fresh = false, true
		return false
	}
	held := a.takeHeld(w)
	if w.fresh {
		n := 0
		for i := range held {
			if e := &held[i]; e.kind != kindEdge && e.seq != 0 && e.seq <= sn.Seq {
				n = i + 1
			}
		}
		a.tellEarly(w, held[:n])
		held = held[n:]
	} else {
		// Nothing was missed before: what the snapshot knows is told ahead of it.
		n := 0
		for n < len(held) && held[n].seq <= sn.Seq {
			n++
		}
		a.tellAll(w, held[:n])
		held = held[n:]
	}
	w.waiting, w.first, w.fresh, w.told = false, false, false, sn.Seq
	a.deliverer.Watched(c, sn)
	a.unpark(w)
	a.tellAll(w, held)
	return true
}

func (a *Adapter) tellAll(w *watch, list []envelope) {
	for i := range list {
		a.tellOne(w, &list[i])
	}
}

// tellOne tells a message of a watched channel unless a snapshot knew it.
func (a *Adapter) tellOne(w *watch, e *envelope) {
	if e.seq != 0 {
		if w.snapshot && e.seq <= w.told {
			return
		}
		w.told = e.seq
	}
	if e.kind == kindEdge {
		a.deliverer.Edge(cluster.Edge{Channel: e.channel, Kind: e.edge, Member: e.member, Seq: e.seq})
	} else {
		a.deliver(e)
	}
	a.unpark(w)
}

// unpark tells the answers whose number was told.
func (a *Adapter) unpark(w *watch) {
	if w.waiting {
		return
	}
	n := 0
	for n < len(w.parked) && (w.parked[n].seq <= w.told || !w.snapshot) {
		w.parked[n].tell()
		n++
	}
	if w.parked = w.parked[n:]; len(w.parked) == 0 {
		w.parked = nil
	}
}

// unwatch ends a watch and tells the answers that waited for its messages.
func (a *Adapter) unwatch(c cluster.Channel, topic uint32, epoch uint64) {
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[c]
	if w == nil || epoch != a.epoch.Load() {
		return
	}
	delete(s.watches, c)
	a.takeHeld(w)
	for _, p := range w.parked {
		p.tell()
	}
}

// onMessage takes a message off the bus. It runs on the connection's goroutine.
func (a *Adapter) onMessage(message string) {
	e, topic, err := decode(message)
	if err != nil {
		a.counters.junk.Add(1)
		return
	}
	switch e.kind {
	case kindTerminate:
		if e.node != a.node {
			a.deliverer.Terminate(e.channel.App, e.user)
		}
		return
	case kindPlain, kindCount:
		if e.node == a.node {
			return // delivered where it was published
		}
	}
	if e.kind != kindEdge && e.node != a.node && !a.seen.first(e.node, bucketOf(topic), e.number) {
		return
	}
	s := a.stripe(topic)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.watches[e.channel]
	switch {
	case w == nil && e.kind != kindEdge && !a.bus.listens():
		// The lease had ended, and everything is about to be watched again: who
		// subscribes here does not miss what comes meanwhile.
		a.deliver(&e)
	case w == nil:
		a.counters.unwanted.Add(1)
	case !w.waiting:
		a.tellOne(w, &e)
	case !w.overflow && a.hold(w, &e):
	default:
		list := append(a.takeHeld(w), e)
		w.overflow = w.overflow || slices.ContainsFunc(list, func(e envelope) bool { return e.seq != 0 })
		a.tellEarly(w, list)
	}
}
