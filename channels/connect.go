package channels

import (
	"maps"
	"slices"
	"time"
)

// Inherited is what a node that was alone decided of a name before it became one
// of a cluster.
type Inherited struct {
	Connections int
	Members     []*Member    // in the order of joining; presence channels only
	Kept        *CachedEvent // cache channels only; nil when there is none
	Expires     time.Time    // of Kept
}

// Connect makes the directory that of one node of a cluster. edges is told what
// happens from then on. It may be in use: what is there is inherited, and who
// subscribes meanwhile waits a moment. It must not be connected already.
// O(channels and members).
func (d *Directory) Connect(link RosterLink, edges Edges) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		s.link, s.edges = link, edges
		for name, hit := range s.cached {
			if _, ok := s.occupied[name]; !ok {
				link.Inherit(name, Inherited{Kept: hit.event, Expires: hit.expires})
			}
		}
		for _, c := range s.occupied {
			s.connect(c)
		}
		s.mu.Unlock()
	}
}

func (s *stripe) connect(c *occupied) {
	r := &replica{known: true}
	c.replica = r
	hit := s.cached[c.name]
	in := Inherited{Connections: int(c.subscriptions), Kept: hit.event, Expires: hit.expires}
	if c.roster != nil {
		r.seats = make(map[string]*present, len(c.roster.byID))
		for _, at := range c.roster.order {
			if at != nil {
				in.Members = append(in.Members, at.member)
				r.seats[at.member.ID] = &present{member: at.member, connections: at.connections, asked: true, welcomed: true}
				at.connections = 1 // from now on they are counted in the seat
			}
		}
	}
	s.link.Inherit(c.name, in)
	s.link.Watch(c.name)
}

// Disconnect makes the directory that of a node alone: who waits waits no longer,
// and the members of other nodes are gone, which the edges of before are told, as the
// cluster decided it. edges is told what happens from then on. It may be in use.
// O(channels and members).
func (d *Directory) Disconnect(edges Edges) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		for name, c := range s.occupied {
			if c.subscriptions == 0 {
				delete(s.occupied, name) // it only awaited an answer
				continue
			}
			s.disconnect(c)
		}
		for _, c := range s.occupied {
			if c.roster == nil { // the others' subscriptions are gone
				edges.Counted(c.name, int(c.subscriptions), c.interest)
			}
		}
		for name := range s.cached {
			d.adopt(s, name)
		}
		d.left.Add(-int64(len(s.left)))
		s.link, s.edges, s.cut, s.left = nil, edges, false, nil
		s.mu.Unlock()
	}
}

func (s *stripe) disconnect(c *occupied) {
	r := c.replica
	if r == nil {
		return
	}
	c.replica = nil
	if c.roster != nil {
		for _, m := range c.roster.appendMembers(nil) {
			if p := r.seats[m.ID]; p == nil || p.connections == 0 {
				s.edges.MemberRemoved(c.name, c.roster.leave(m.ID), c.interest, s.nextSeq())
			}
		}
		for id, p := range r.seats {
			if p.connections == 0 {
				continue
			}
			// Who was refused and does not know it yet is let in.
			if !c.roster.has(id) {
				c.roster.join(p.member)
				s.edges.MemberAdded(c.name, p.member, c.interest, s.nextSeq())
			}
			c.roster.byID[id].connections = p.connections
			if p.waits {
				s.link.Settled(c.name, id, c.interest)
			}
		}
	}
	if r.waits {
		s.link.Settled(c.name, "", c.interest)
	}
}

// Recall makes what last returns the channel's last event; nil for none. last runs
// with the stripe locked, so that no publication of this node comes between: it must not
// call the Directory.
func (d *Directory) Recall(name string, last func() (event *CachedEvent, expires time.Time)) {
	s := d.stripe(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	event, expires := last()
	d.keep(s, name, event, expires, true)
}

// CacheNames returns the names of channels with a last event, in no order. Each stripe is a
// moment of its own.
func (d *Directory) CacheNames() (names []string) {
	for i := range d.stripes {
		s := &d.stripes[i]
		s.mu.Lock()
		names = slices.AppendSeq(names, maps.Keys(s.cached))
		s.mu.Unlock()
	}
	return names
}

// Connect makes the index that of one node of a cluster, as Directory.Connect does.
// O(users).
func (u *Users) Connect(link Link) {
	for i := range u.stripes {
		s := &u.stripes[i]
		s.mu.Lock()
		s.link = link
		for _, x := range s.users {
			x.settled = false
			if x.connections > 0 {
				link.Inherit(x.id, Inherited{Connections: int(x.connections)})
			}
			link.Watch(x.id)
		}
		s.mu.Unlock()
	}
}

// Disconnect makes the index that of a node alone, as Directory.Disconnect does.
// O(users).
func (u *Users) Disconnect() {
	for i := range u.stripes {
		s := &u.stripes[i]
		s.mu.Lock()
		for id, x := range s.users {
			if x.connections == 0 && x.watchers == 0 {
				delete(s.users, id)
				continue
			}
			x.settled = true
			u.set(s, x, x.connections > 0)
			s.settle(x)
		}
		s.link, s.cut, s.left = nil, false, nil
		s.mu.Unlock()
	}
}
