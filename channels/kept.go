package channels

import (
	"sync/atomic"
	"time"
)

// keptBytes is the memory of the cached events of a Directory, and its bound. Safe
// for concurrent use.
type keptBytes struct {
	now     atomic.Int64
	limit   atomic.Int64 // 0: none
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
// is delivered and not kept.
func (d *Directory) LimitCache(bytes int64) { d.kept.limit.Store(bytes) }

// CachedBytes is the memory of cached events.
func (d *Directory) CachedBytes() int64 { return d.kept.now.Load() }

// CacheDropped is the number of events that were not kept for want of room.
func (d *Directory) CacheDropped() uint64 { return d.kept.dropped.Load() }

// keep sets the last event of a channel, or forgets it. What finds no room takes the
// place of the one before it all the same: an old event must not pass for the last.
func (d *Directory) keep(s *stripe, name string, event *CachedEvent, expires time.Time) {
	if was, ok := s.cached[name]; ok {
		d.kept.now.Add(-sizeOf(name, was.event))
		delete(s.cached, name)
	}
	if event == nil {
		return
	}
	size := sizeOf(name, event)
	if limit := d.kept.limit.Load(); limit > 0 && d.kept.now.Load()+size > limit {
		d.kept.dropped.Add(1)
		return
	}
	if s.cached == nil {
		s.cached = make(map[string]cached)
	}
	s.cached[name] = cached{event: event, expires: expires}
	d.kept.now.Add(size)
}
