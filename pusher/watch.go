package pusher

import "slices"

// maxWatchers is how many may watch events at a time.
const maxWatchers = 16

// Watcher is told of an event as it passes, published on this node by the
// application or by a client. It runs on reactors and on the goroutines of the
// HTTP API: it must not block, and keep nothing of the event without a copy.
type Watcher func(a *App, e Event, fromClient bool)

// watchers is an immutable list.
type watchers []*Watcher

// Watch has w called for every event from now on, until stop is called. While
// nobody watches, an event costs one atomic load. ok is false when too many watch
// already. Safe for concurrent use, stop included.
func (n *Node) Watch(w Watcher) (stop func(), ok bool) {
	entry := &w
	added := n.changeWatchers(func(all watchers) watchers {
		if len(all) >= maxWatchers {
			return all
		}
		return append(slices.Clone(all), entry)
	})
	if !slices.Contains(added, entry) {
		return func() {}, false
	}
	return func() {
		n.changeWatchers(func(all watchers) watchers {
			return slices.DeleteFunc(slices.Clone(all), func(x *Watcher) bool { return x == entry })
		})
	}, true
}

// changeWatchers replaces the list, as often as it takes.
func (n *Node) changeWatchers(change func(watchers) watchers) watchers {
	for {
		old := n.watchers.Load()
		var all watchers
		if old != nil {
			all = *old
		}
		next := change(all)
		replacement := &next
		if len(next) == 0 {
			replacement = nil
		}
		if n.watchers.CompareAndSwap(old, replacement) {
			return next
		}
	}
}

// watched tells who watches of an event.
func (n *Node) watched(a *App, e Event, fromClient bool) {
	if all := n.watchers.Load(); all != nil {
		for _, w := range *all {
			(*w)(a, e, fromClient)
		}
	}
}

// Glob reports whether all of s matches a pattern in which * stands for any
// characters, none included. O(len(pattern) * len(s)).
func Glob(pattern, s string) bool { return glob(pattern, s) }
