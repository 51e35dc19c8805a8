package pusher

import "resound/channels"

// Webhooks is told what the application may want to hear of. Publish may run on
// a reactor and with a Directory stripe locked: it must only enqueue, and keep
// nothing of the Hook without a copy.
type Webhooks interface {
	Publish(a *App, h Hook)
}

// Hook is one webhook event. Its strings may be views.
//
// Pusher: webhooks.
type Hook struct {
	ID            string // of an event that may be told twice, empty for others
	Teller        string // of such an event: cluster.Edge.Teller
	Name          string
	Channel       string
	UserID        string // member_added, member_removed, and client_event in presence channels
	Event         string // client_event: its name
	Data          string // client_event: JSON token as it was sent
	SocketID      string // client_event: the sender
	Subscriptions int    // subscription_count
	Number        uint64 // subscription_count in a cluster: of two of a channel the higher is the later
}

// Names of webhook events.
const (
	HookOccupied          = "channel_occupied"
	HookVacated           = "channel_vacated"
	HookMemberAdded       = "member_added"
	HookMemberRemoved     = "member_removed"
	HookClientEvent       = "client_event"
	HookCacheMiss         = "cache_miss"
	HookSubscriptionCount = "subscription_count"
)

// hook passes an event on.
func (n *Node) hook(a *App, h Hook) {
	if w := n.webhooks.Load(); w != nil {
		(*w).Publish(a, h)
	}
}

// SetWebhooks gives the node somebody to tell who was not there when it was made.
// Safe for concurrent use.
func (n *Node) SetWebhooks(w Webhooks) { n.webhooks.Store(&w) }

// clientEventHook reports a client event that was relayed. name is its plain name.
func (s *Shard) clientEventHook(ss *session, e *Event, name string) {
	if s.node.webhooks.Load() == nil {
		return
	}
	h := Hook{Name: HookClientEvent, Channel: e.Channel, Event: name, Data: e.Data, SocketID: e.Except.String()}
	if m := ss.member(e.Channel); m != nil {
		h.UserID = m.ID
	}
	s.node.hook(ss.app.app, h)
}

// edges passes on what happens in an app's Directory. Its methods run with a
// stripe locked. In a cluster the webhooks come from Node.Decided and
// Node.Counted instead, as these edges come to every node.
type edges struct {
	app     *App
	decides bool // the node is alone
}

func (e edges) hook(h Hook) {
	if e.decides {
		e.app.node.hook(e.app, h)
	}
}

func (e edges) Occupied(channel string) {
	e.hook(Hook{Name: HookOccupied, Channel: channel})
}

func (e edges) Vacated(channel string) {
	e.hook(Hook{Name: HookVacated, Channel: channel})
}

func (e edges) MemberAdded(channel string, m *channels.Member, to channels.Interest, seq uint64) {
	e.app.postMember(channel, m, to, seq, appendMemberAdded)
	e.hook(Hook{Name: HookMemberAdded, Channel: channel, UserID: m.ID})
}

func (e edges) MemberRemoved(channel string, m *channels.Member, to channels.Interest, seq uint64) {
	e.app.postMember(channel, m, to, seq, appendMemberRemoved)
	e.hook(Hook{Name: HookMemberRemoved, Channel: channel, UserID: m.ID})
}

func (e edges) Counted(channel string, subscriptions int, to channels.Interest) {
	if p := e.app.count(channel, subscriptions); p != nil {
		e.app.node.post(to, p)
		e.hook(Hook{Name: HookSubscriptionCount, Channel: channel, Subscriptions: subscriptions})
	}
}

// postMember sends a member's coming or going.
func (a *App) postMember(channel string, m *channels.Member, to channels.Interest, seq uint64, encode func([]byte, string, *channels.Member) []byte) {
	if to == 0 {
		return
	}
	p := newPublication(a, Event{Channel: channel}, func(dst []byte, _ *Event) []byte {
		return encode(dst, channel, m)
	})
	p.seq = seq
	a.node.post(to, p)
}

// count makes the publication of a channel's subscription count, or nil when the
// app wants none or it is not due.
func (a *App) count(channel string, subscriptions int) *Publication {
	if !a.Options().SubscriptionCount || !a.counts.due(channel, subscriptions, a.node.Now) {
		return nil
	}
	return newPublication(a, Event{Channel: channel}, func(dst []byte, _ *Event) []byte {
		return appendCount(dst, channel, subscriptions)
	})
}
