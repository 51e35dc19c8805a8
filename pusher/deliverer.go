package pusher

import (
	"strings"
	"time"

	"resound/channels"
	"resound/channels/cluster"
	"resound/frame"
)

// Deliverer returns the node as its cluster's adapter sees it.
func (n *Node) Deliverer() cluster.Deliverer { return deliverer{n} }

// deliverer takes what the cluster tells. What belongs to an app that this node
// does not have is ignored.
type deliverer struct{ node *Node }

func (d deliverer) app(c cluster.Channel) *App {
	t := d.node.apps.Load()
	if a := t.byID[c.App]; a != nil {
		return a
	}
	return t.leaving[c.App]
}

// userOf returns the user that a channel stands for.
func userOf(c cluster.Channel) (id string, ok bool) {
	return strings.CutPrefix(c.Name, cluster.UserPrefix)
}

// Deliver implements cluster.Deliverer.
func (d deliverer) Deliver(p cluster.Publication, mine bool) {
	n, a := d.node, d.app(p.Channel)
	if a == nil {
		return
	}
	n.trace("Received From The Cluster", p.Channel.Name, view(p.Payload))
	if id, ok := userOf(p.Channel); ok {
		if to := a.users.Interest(id); to != 0 && !n.sheds(to) {
			q := received(a, id, p)
			q.audience = toUser
			n.post(to, q)
		}
		return
	}
	if p.Counted != 0 {
		a.directory.Counted(p.Channel.Name, p.Counted, func(to channels.Interest) {
			if count, ok := countOf(p.Payload); ok {
				a.counts.heard(p.Channel.Name, count, to != 0, n.Now)
			}
			if to != 0 { // however much waits, as with edges: nobody would tell it again
				n.post(to, received(a, p.Channel.Name, p))
			}
		})
		return
	}
	if p.Seq == 0 {
		if to := a.directory.Interest(p.Channel.Name); to != 0 && !n.sheds(to) {
			n.post(to, received(a, p.Channel.Name, p))
		}
		return
	}
	q := received(a, p.Channel.Name, p)
	kept := &channels.CachedEvent{Frame: q.frame, Name: p.Name, Data: p.Data, Seq: p.Seq}
	var expires time.Time
	if !p.Forget {
		expires = n.Now().Add(p.Keep)
	}
	a.directory.Keep(p.Channel.Name, p.Seq, kept, expires, mine, func(to channels.Interest, since, seq uint64) {
		if !n.sheds(to) {
			q.since, q.seq = since, seq
			n.post(to, q)
		}
	})
}

// received makes a publication of this node of one of another.
func received(a *App, name string, p cluster.Publication) *Publication {
	except, _ := ParseSocketID(p.Except)
	return a.publication(name, sealed(p.Payload), except)
}

// sealed makes a frame of a payload.
func sealed(payload []byte) []byte {
	buf := append(make([]byte, frame.HeaderRoom, frame.HeaderRoom+len(payload)), payload...)
	return frame.Seal(buf)
}

// Watched implements cluster.Deliverer.
func (d deliverer) Watched(c cluster.Channel, s *cluster.Snapshot) {
	a := d.app(c)
	if a == nil {
		return
	}
	if id, ok := userOf(c); ok {
		online := s != nil && s.Occupied
		a.users.Answered(id, online, online || s != nil && !s.Partial)
		return
	}
	a.directory.Watched(c.Name, d.state(a, c.Name, s))
}

// Missing implements cluster.Deliverer.
func (d deliverer) Missing(c cluster.Channel) {
	a := d.app(c)
	if a == nil {
		return
	}
	if id, ok := userOf(c); ok {
		a.users.Missing(id)
		return
	}
	a.directory.Missing(c.Name)
}

func (d deliverer) state(a *App, name string, s *cluster.Snapshot) *channels.State {
	if s == nil {
		return nil
	}
	n := d.node
	out := &channels.State{Seq: s.Seq, Members: members(s.Members), Partial: s.Partial}
	out.Kept, out.Expires = n.cachedEvent(s.Kept)
	if k := s.Kept; k != nil {
		out.Own, out.Kept.Seq = k.Mine, k.Seq
		out.Missed = func(to channels.Interest, seq uint64) {
			if !n.sheds(to) {
				q := received(a, name, cluster.Publication{Payload: k.Payload, Except: k.Except})
				q.seq = seq
				n.post(to, q)
			}
		}
	}
	return out
}

func members(list []cluster.Member) []*channels.Member {
	out := make([]*channels.Member, len(list))
	for i := range list {
		out[i] = member(&list[i])
	}
	return out
}

func member(m *cluster.Member) *channels.Member {
	return &channels.Member{ID: m.ID, IDJSON: m.IDJSON, Info: m.Info}
}

// Edge implements cluster.Deliverer.
func (d deliverer) Edge(e cluster.Edge) {
	a := d.app(e.Channel)
	if a == nil {
		return
	}
	if id, ok := userOf(e.Channel); ok {
		a.users.Edge(id, e.Kind == cluster.Occupied)
		return
	}
	switch e.Kind {
	case cluster.MemberAdded:
		a.directory.MemberAdded(e.Channel.Name, member(&e.Member), e.Seq)
	case cluster.MemberRemoved:
		a.directory.MemberRemoved(e.Channel.Name, e.Member.ID, e.Seq)
	}
}

// hooksOfEdges are the webhooks of what the cluster decides.
var hooksOfEdges = map[cluster.EdgeKind]string{
	cluster.Occupied:      HookOccupied,
	cluster.Vacated:       HookVacated,
	cluster.MemberAdded:   HookMemberAdded,
	cluster.MemberRemoved: HookMemberRemoved,
}

// Decided implements cluster.Deliverer.
func (d deliverer) Decided(e cluster.Edge) {
	a := d.app(e.Channel)
	if a == nil {
		return
	}
	if _, ok := userOf(e.Channel); !ok {
		d.node.hook(a, Hook{ID: e.ID, Teller: e.Teller, Name: hooksOfEdges[e.Kind], Channel: e.Channel.Name, UserID: e.Member.ID})
	}
}

// Seated implements cluster.Deliverer. The edge up to which the user is a member
// was told before, or is part of the state.
func (d deliverer) Seated(c cluster.Channel, userID string, _ uint64) {
	if a := d.app(c); a != nil {
		a.directory.Seated(c.Name, userID)
	}
}

// Unseated implements cluster.Deliverer.
func (d deliverer) Unseated(c cluster.Channel, userID string) {
	if a := d.app(c); a != nil {
		a.directory.Unseated(c.Name, userID)
	}
}

// Counted implements cluster.Deliverer. The node whose subscriptions changed
// tells the count to the subscribers of all nodes. One that is overtaken by a later
// one is told to nobody.
func (d deliverer) Counted(c cluster.Channel, subscriptions int, number uint64) {
	a := d.app(c)
	if a == nil || subscriptions == 0 || !a.counted(c.Name) {
		return
	}
	var p *Publication
	a.directory.Counted(c.Name, number, func(to channels.Interest) {
		if p = a.count(c.Name, subscriptions); p != nil {
			d.node.post(to, p)
		}
	})
	bus := d.node.bus()
	if p != nil && bus != nil {
		bus.Publish(cluster.Publication{Channel: c, Payload: frame.Payload(p.frame), Counted: number})
		d.node.hook(a, Hook{Name: HookSubscriptionCount, Channel: c.Name, Subscriptions: subscriptions, Number: number})
	}
}

// Terminate implements cluster.Deliverer.
func (d deliverer) Terminate(app, userID string) {
	if a := d.node.AppByID(app); a != nil {
		d.node.post(d.node.everywhere(), &terminateUser{app: a, userID: userID})
	}
}

// Degraded implements cluster.Deliverer. That the cluster is back counts from
// Restate on: what is stated before is lost. It waits for a Reload, which takes no
// longer than to exchange tables, so that an app that is being added knows of it.
func (d deliverer) Degraded(degraded bool) {
	d.node.reloading.Lock()
	defer d.node.reloading.Unlock()
	d.node.degraded.Store(degraded)
	if !degraded {
		return
	}
	for a := range d.node.statedApps {
		a.cut()
	}
}

// Restate implements cluster.Deliverer.
func (d deliverer) Restate() {
	for a := range d.node.statedApps {
		a.directory.Restate()
		a.users.Restate()
		a.stated.Store(0) // StateConnections states it again
	}
}
