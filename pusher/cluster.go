package pusher

import (
	"time"

	"resound/channels"
	"resound/channels/cluster"
	"resound/frame"
)

// channelLink passes on what an app's Directory states. Its methods run with a
// stripe locked.
type channelLink struct{ app *App }

func (l channelLink) channel(name string) cluster.Channel {
	return cluster.Channel{App: l.app.ID, Name: name}
}

func (l channelLink) Watch(name string) {
	kind := channels.KindOf(name)
	l.app.node.cluster.Watch(l.channel(name), kind.Is(channels.Presence) || kind.Is(channels.Cache))
}

func (l channelLink) Unwatch(name string) { l.app.node.cluster.Unwatch(l.channel(name)) }

func (l channelLink) Hold(name string, subscriptions int) {
	l.app.node.cluster.Hold(l.channel(name), subscriptions, l.counted(name))
}

func (l channelLink) Recount(name string, subscriptions int) {
	if l.counted(name) {
		l.Hold(name, subscriptions)
	}
}

// counted reports whether subscribers are told how many they are.
func (l channelLink) counted(name string) bool {
	_, user := userOf(l.channel(name))
	return !user && l.app.Options().SubscriptionCount && !channels.KindOf(name).Is(channels.Presence)
}

func (l channelLink) Seat(name string, m *channels.Member) {
	l.app.node.cluster.Seat(l.channel(name), cluster.Member{ID: m.ID, IDJSON: m.IDJSON, Info: m.Info})
}

func (l channelLink) Unseat(name, userID string) {
	l.app.node.cluster.Unseat(l.channel(name), userID)
}

func (l channelLink) Settled(name, userID string, to channels.Interest) {
	l.app.node.post(to, &settled{app: l.app, name: name, userID: userID})
}

// userLink passes on what an app's Users state: each is the channel that carries
// what is sent to the user.
type userLink struct{ app *App }

func (l userLink) channel(id string) cluster.Channel {
	return cluster.Channel{App: l.app.ID, Name: cluster.UserPrefix + id}
}

func (l userLink) Watch(id string) {
	l.app.node.cluster.Watch(l.channel(id), l.app.Options().Watchlist)
}

func (l userLink) Unwatch(id string) { l.app.node.cluster.Unwatch(l.channel(id)) }

func (l userLink) Hold(id string, connections int) {
	l.app.node.cluster.Hold(l.channel(id), connections, false)
}

func (l userLink) Settled(id, _ string, to channels.Interest) {
	l.app.node.post(to, &settled{app: l.app, users: true, name: id})
}

// publishElsewhere hands a publication that was delivered here to the other
// nodes. ttl and kept are those of one that is kept.
func (n *Node) publishElsewhere(channel string, p *Publication, ttl time.Duration, kept *channels.CachedEvent) {
	if n.cluster == nil {
		return
	}
	out := cluster.Publication{Channel: cluster.Channel{App: p.app.ID, Name: channel}, Payload: frame.Payload(p.frame)}
	if !p.except.IsZero() {
		out.Except = p.except.String()
	}
	if kept != nil {
		out.Keep, out.Name, out.Data = ttl, kept.Name, kept.Data
	}
	n.cluster.Publish(out)
}

// elsewhere is the number of the app's connections on other nodes.
func (a *App) elsewhere() int64 {
	if a.node.cluster == nil {
		return 0
	}
	return a.node.cluster.OtherConnections(a.ID)
}

// StateConnections tells the cluster how many connections each app has here, if
// that changed. Call it about once a second.
func (n *Node) StateConnections() {
	if n.cluster == nil {
		return
	}
	for a := range n.statedApps {
		if now := a.Connections(); a.stated.Swap(now) != now {
			n.cluster.SetConnections(a.ID, now)
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
	if n.cluster == nil {
		return cluster.Stats{}
	}
	return n.cluster.Stats()
}
