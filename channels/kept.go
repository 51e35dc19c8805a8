package channels

import (
	"sync/atomic"
	"time"
)

// keptBytes is the memory of the cached events of a Directory, and its bound. Safe
// for concurrent use.
type keptBytes struct {
	now     atomic.Int64
	own     atomic.Int64 // of it, of events that this node published
	limit   atomic.Int64 // of own; 0: none
	dropped atomic.Uint64
}

// cachedBytes is what a cached event takes beside its own bytes and its channel's
// name: the map's entry and the event.
const cachedBytes = 192

func sizeOf(name string, e *CachedEvent) int64 {
	return int64(cachedBytes + len(name) + cap(e.Frame) + len(e.Name) + len(e.Data))
}

// LimitCache bounds the memory of cached events, about: whoever may trigger may name
// as many cache channels as there are names. 0 means no limit. An event without room
// is delivered and not kept, by the cluster neither: each node bounds what it published.
// Those of other nodes are kept for channels that are occupied here, and for others as
// long as there is room.
func (d *Directory) LimitCache(bytes int64) { d.kept.limit.Store(bytes) }

// CachedBytes is the memory of cached events.
func (d *Directory) CachedBytes() int64 { return d.kept.now.Load() }

// CacheDropped is the number of events that were not kept for want of room.
func (d *Directory) CacheDropped() uint64 { return d.kept.dropped.Load() }

// keep sets the last event of a channel, nil for none, which is own when this node
// published it. What finds no room, false, takes the place of the one before it all the
// same: an old event must not pass for the last.
func (d *Directory) keep(s *stripe, name string, event *CachedEvent, expires time.Time, own bool) bool {
	d.forget(s, name)
	if event == nil {
		return false
	}
	size := sizeOf(name, event)
	if limit := d.kept.limit.Load(); own && limit > 0 && d.kept.own.Load()+size > limit {
		d.kept.dropped.Add(1)
		return false
	}
	if s.cached == nil {
		s.cached = make(map[string]cached)
	}
	s.cached[name] = cached{event: event, expires: expires, own: own}
	d.kept.now.Add(size)
	if own {
		d.kept.own.Add(size)
	}
	return true
}

// forget ends what is kept of a channel.
func (d *Directory) forget(s *stripe, name string) {
	was, ok := s.cached[name]
	if !ok {
		return
	}
	size := sizeOf(name, was.event)
	d.kept.now.Add(-size)
	if was.own {
		d.kept.own.Add(-size)
	}
	delete(s.cached, name)
}

// adopt makes another node's event one that this node, alone from now on, bounds.
func (d *Directory) adopt(s *stripe, name string) {
	if hit := s.cached[name]; !hit.own {
		hit.own = true
		s.cached[name] = hit
		d.kept.own.Add(sizeOf(name, hit.event))
	}
}

// makeRoom forgets another node's event of a channel that is vacant here now, when there
// is too much.
func (d *Directory) makeRoom(s *stripe, name string) {
	limit := d.kept.limit.Load()
	if hit, ok := s.cached[name]; ok && !hit.own && limit > 0 && d.kept.now.Load() > limit {
		d.forget(s, name)
	}
}
