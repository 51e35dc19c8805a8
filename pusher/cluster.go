package pusher

import (
	"strings"
	"time"

	"resound/channels"
	"resound/channels/cluster"
	"resound/frame"
)

// channelLink passes on what an app's Directory states. Its methods run with a
// stripe locked.
type channelLink struct {
	app     *App
	cluster cluster.Adapter
}

func (l channelLink) channel(name string) cluster.Channel {
	return cluster.Channel{App: l.app.ID, Name: name}
}

func (l channelLink) Watch(name string) {
	kind := channels.KindOf(name)
	l.cluster.Watch(l.channel(name), kind.Is(channels.Presence) || kind.Is(channels.Cache))
}

func (l channelLink) Unwatch(name string) { l.cluster.Unwatch(l.channel(name)) }

func (l channelLink) Hold(name string, subscriptions int) {
	l.cluster.Hold(l.channel(name), subscriptions, l.counted(name))
}

func (l channelLink) Recount(name string, subscriptions int) {
	if l.counted(name) {
		l.Hold(name, subscriptions)
	}
}

// counted reports whether subscribers are told how many they are.
func (l channelLink) counted(name string) bool { return l.app.counted(name) }

// counted reports whether the subscribers of a channel are told how many they are.
func (a *App) counted(name string) bool {
	return a.Options().SubscriptionCount && !channels.KindOf(name).Is(channels.Presence) && !strings.HasPrefix(name, cluster.UserPrefix)
}

func (l channelLink) Seat(name string, m *channels.Member) {
	l.cluster.Seat(l.channel(name), cluster.Member{ID: m.ID, IDJSON: m.IDJSON, Info: m.Info})
}

func (l channelLink) Unseat(name, userID string) {
	l.cluster.Unseat(l.channel(name), userID)
}

func (l channelLink) Settled(name, userID string, to channels.Interest) {
	l.app.node.post(to, &settled{app: l.app, name: name, userID: userID})
}

func (l channelLink) Inherit(name string, in channels.Inherited) {
	out := cluster.Inherited{Subscriptions: in.Connections}
	for _, m := range in.Members {
		out.Members = append(out.Members, cluster.Member{ID: m.ID, IDJSON: m.IDJSON, Info: m.Info})
	}
	if e := in.Kept; e != nil {
		if left := in.Expires.Sub(l.app.node.Now()); left > 0 {
			out.Kept = &cluster.Kept{Payload: frame.Payload(e.Frame), Name: e.Name, Data: e.Data, For: left}
		}
	}
	l.cluster.(cluster.Partner).Inherit(l.channel(name), out)
}

// userLink passes on what an app's Users state: each is the channel that carries
// what is sent to the user.
type userLink struct {
	app     *App
	cluster cluster.Adapter
}

func (l userLink) channel(id string) cluster.Channel {
	return cluster.Channel{App: l.app.ID, Name: cluster.UserPrefix + id}
}

func (l userLink) Watch(id string) {
	l.cluster.Watch(l.channel(id), l.app.Options().Watchlist)
}

func (l userLink) Unwatch(id string) { l.cluster.Unwatch(l.channel(id)) }

func (l userLink) Hold(id string, connections int) {
	l.cluster.Hold(l.channel(id), connections, false)
}

func (l userLink) Inherit(id string, in channels.Inherited) {
	l.cluster.(cluster.Partner).Inherit(l.channel(id), cluster.Inherited{Subscriptions: in.Connections})
}

func (l userLink) Settled(id, _ string, to channels.Interest) {
	l.app.node.post(to, &settled{app: l.app, users: true, name: id})
}

// bus is what connects the node with others, nil while it is alone.
func (n *Node) bus() cluster.Adapter {
	if c := n.cluster.Load(); c != nil {
		return *c
	}
	return nil
}

// connect makes the app's state that of one node of a cluster.
func (a *App) connect(c cluster.Adapter) {
	a.users.Connect(userLink{a, c})
	a.directory.Connect(channelLink{a, c}, edges{a, false})
}

// cut makes the app decide as on a node alone, until everything is stated again.
func (a *App) cut() {
	a.directory.Cut()
	a.users.Cut()
}

// Connect makes a node that is alone one of a cluster while it serves. p was
// started with the node's Deliverer. It returns when everything was stated: see
// Partner.Inherit. O(channels, members and users).
func (n *Node) Connect(p cluster.Partner) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	var c cluster.Adapter = p
	n.cluster.Store(&c)
	for a := range n.Apps {
		a.connect(c)
	}
}

// Disconnect makes the node one that is alone again while it serves. kept tells of
// the events of cache channels that the cluster has; it may be nil.
// O(channels, members and users).
func (n *Node) Disconnect(kept cluster.KeptEvents) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if kept != nil {
		recall := func(a *App, c cluster.Channel) {
			a.directory.Recall(c.Name, func() (*channels.CachedEvent, time.Time) { return n.cachedEvent(kept.Last(c)) })
		}
		for _, c := range kept.Names() {
			if a := n.AppByID(c.App); a != nil {
				recall(a, c)
			}
		}
		for a := range n.statedApps {
			for _, name := range a.directory.CacheNames() { // of which some may be kept no more
				recall(a, cluster.Channel{App: a.ID, Name: name})
			}
		}
	}
	for a := range n.statedApps {
		a.users.Disconnect()
		a.directory.Disconnect(edges{a, true})
		a.stated.Store(0)
	}
	n.cluster.Store(nil)
	t := n.apps.Load()
	n.apps.Store(&appTable{t.byID, t.byKey, make(map[string]*App)})
}

// cachedEvent makes a kept event one of this node.
func (n *Node) cachedEvent(k *cluster.Kept) (*channels.CachedEvent, time.Time) {
	if k == nil {
		return nil, time.Time{}
	}
	return &channels.CachedEvent{Frame: sealed(k.Payload), Name: k.Name, Data: k.Data}, n.Now().Add(k.For)
}

// publishElsewhere hands a publication that was delivered here to the other nodes. out
// has what they are to keep of it.
func (n *Node) publishElsewhere(channel string, p *Publication, out cluster.Publication) {
	c := n.bus()
	if c == nil {
		return
	}
	out.Channel, out.Payload = cluster.Channel{App: p.app.ID, Name: channel}, frame.Payload(p.frame)
	if !p.except.IsZero() {
		out.Except = p.except.String()
	}
	c.Publish(out)
}

// elsewhere is the number of the app's connections on other nodes.
func (a *App) elsewhere() int64 {
	c := a.node.bus()
	if c == nil {
		return 0
	}
	return c.OtherConnections(a.ID)
}

// StateConnections tells the cluster how many connections each app has here, if
// that changed. Call it about once a second.
func (n *Node) StateConnections() {
	c := n.bus()
	if c == nil {
		return
	}
	for a := range n.statedApps {
		if now := a.Connections(); a.stated.Swap(now) != now {
			c.SetConnections(a.ID, now)
		}
	}
	if len(n.apps.Load().leaving) > 0 {
		n.forgetApps()
	}
}

// statedApps calls yield with every app of which the cluster may have been told
// something, until it returns false: those that were removed stay among them until
// their connections are closed and all answers are there, so that what was stated
// is taken back.
func (n *Node) statedApps(yield func(*App) bool) {
	t := n.apps.Load()
	for _, all := range []map[string]*App{t.byID, t.leaving} {
		for _, a := range all {
			if !yield(a) {
				return
			}
		}
	}
}

// Degraded reports whether the node is one of a cluster that is out of reach.
func (n *Node) Degraded() bool { return n.degraded.Load() }

// ClusterStats are the counters and gauges of the cluster's adapter; all zero for
// a node alone.
func (n *Node) ClusterStats() cluster.Stats {
	c := n.bus()
	if c == nil {
		return cluster.Stats{}
	}
	return c.Stats()
}
