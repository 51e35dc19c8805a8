package local

import (
	"math/rand/v2"
	"slices"

	"resound/channels/cluster"
)

// task is a step towards a Deliverer. apply runs under Hub.mu, tell without it.
type task struct {
	apply func()
	tell  func()
	sure  bool // told even when the rest is forgotten
}

// laneKey names a queue whose order is kept.
type laneKey struct {
	adapter *Adapter
	inbound bool // statements on their way to the state
	channel cluster.Channel
}

// lanes are queues from which one task at a time is taken: in turn, or at random
// with rng. Guarded by Hub.mu.
type lanes struct {
	rng   *rand.Rand
	ready []laneKey // the keys of tasks
	tasks map[laneKey][]task
}

func (l *lanes) put(k laneKey, t task) {
	if l.rng == nil {
		k.channel = cluster.Channel{}
	}
	waiting, ok := l.tasks[k]
	if !ok {
		l.ready = append(l.ready, k)
	}
	if l.tasks == nil {
		l.tasks = make(map[laneKey][]task)
	}
	l.tasks[k] = append(waiting, t)
}

// take returns the next task of a lane that runs; ok is false when there is none.
func (l *lanes) take() (t task, of *Adapter, ok bool) {
	from := 0
	if l.rng != nil && len(l.ready) > 0 {
		from = l.rng.IntN(len(l.ready))
	}
	for i := range l.ready {
		at := (from + i) % len(l.ready)
		k := l.ready[at]
		if k.adapter.paused {
			continue
		}
		waiting := l.tasks[k]
		if t = waiting[0]; len(waiting) > 1 {
			l.tasks[k] = waiting[1:]
		} else {
			delete(l.tasks, k)
			l.ready = append(l.ready[:at], l.ready[at+1:]...)
		}
		return t, k.adapter, true
	}
	return task{}, nil, false
}

// forget drops the tasks of an adapter in one direction, but not those that are sure
// unless all is true.
func (l *lanes) forget(a *Adapter, inbound, all bool) {
	kept := l.ready[:0]
	for _, k := range l.ready {
		if k.adapter == a && k.inbound == inbound {
			l.tasks[k] = slices.DeleteFunc(l.tasks[k], func(t task) bool { return all || !t.sure })
			if len(l.tasks[k]) == 0 {
				delete(l.tasks, k)
				continue
			}
		}
		kept = append(kept, k)
	}
	l.ready = kept
}

// waiting reports whether a has tasks in either direction.
func (l *lanes) waiting(a *Adapter) bool {
	for _, k := range l.ready {
		if k.adapter == a {
			return true
		}
	}
	return false
}

// idle reports whether nothing can be taken.
func (l *lanes) idle() bool {
	for _, k := range l.ready {
		if !k.adapter.paused {
			return false
		}
	}
	return true
}
