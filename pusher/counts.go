package pusher

import (
	"sync"
	"time"
)

const (
	// pacedAbove is the number of subscriptions above which a channel's count
	// is told at most once in countInterval.
	//
	// Pusher: subscription count events.
	pacedAbove    = 100
	countInterval = 5 * time.Second
)

// counts paces the subscription_count events of one app. Only channels that are
// large, or were, have an entry. Safe for concurrent use; its lock is taken with
// a Directory stripe locked and nothing is called under it.
type counts struct {
	mu    sync.Mutex
	paces map[string]*pace
}

type pace struct {
	next    time.Time // not before
	waiting bool      // the count changed since it was told
}

// due reports whether a channel's count is to be told now. If not, Node.Recount
// comes back to it.
//
// In a cluster each node paces what it tells; hearing another's starts the
// interval anew, and what waited here is part of that.
func (c *counts) due(channel string, subscriptions int, now func() time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if subscriptions <= pacedAbove {
		delete(c.paces, channel)
		return true
	}
	t, p := now(), c.pace(channel)
	if p.waiting = t.Before(p.next); p.waiting {
		return false
	}
	p.next = t.Add(countInterval)
	return true
}

// heard notes that another node told a channel's count. later says that it is known
// to be later than every count that this node was told.
func (c *counts) heard(channel string, subscriptions int, later bool, now func() time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if subscriptions <= pacedAbove {
		if later {
			delete(c.paces, channel) // what waited here is told
		}
		return
	}
	p := c.pace(channel)
	p.next = now().Add(countInterval)
	if later {
		p.waiting = false // or each node would tell the same number once more
	}
}

// pace returns the entry of a channel.
func (c *counts) pace(channel string) *pace {
	p, ok := c.paces[channel]
	if !ok {
		if c.paces == nil {
			c.paces = make(map[string]*pace)
		}
		p = &pace{}
		c.paces[cloned(channel)] = p
	}
	return p
}

// late returns the channels whose count changed and may be told again, and
// forgets those that are quiet.
func (c *counts) late(now time.Time) (channels []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.paces {
		switch {
		case now.Before(p.next):
		case p.waiting:
			p.waiting = false
			channels = append(channels, name)
		default:
			delete(c.paces, name)
		}
	}
	return channels
}

// Recount tells the subscription counts that were held back and are due. Call it
// about once a second.
func (n *Node) Recount() {
	now := n.Now()
	for a := range n.Apps {
		for _, channel := range a.counts.late(now) {
			a.directory.Recount(channel)
		}
	}
}
