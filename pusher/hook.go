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
	Name          string
	Channel       string
	UserID        string // member_added, member_removed, and client_event in presence channels
	Event         string // client_event: its name
	Data          string // client_event: JSON token as it was sent
	SocketID      string // client_event: the sender
	Subscriptions int    // subscription_count
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
// stripe locked.
type edges struct{ app *App }

func (e edges) Occupied(channel string) {
	e.app.node.hook(e.app, Hook{Name: HookOccupied, Channel: channel})
}

func (e edges) Vacated(channel string) {
	e.app.counts.forget(channel)
	e.app.node.hook(e.app, Hook{Name: HookVacated, Channel: channel})
}

func (e edges) MemberAdded(channel string, m *channels.Member) {
	e.app.node.hook(e.app, Hook{Name: HookMemberAdded, Channel: channel, UserID: m.ID})
}

func (e edges) MemberRemoved(channel string, m *channels.Member) {
	e.app.node.hook(e.app, Hook{Name: HookMemberRemoved, Channel: channel, UserID: m.ID})
}

func (e edges) Counted(channel string, subscriptions int, to channels.Interest) {
	a := e.app
	if !a.Options().SubscriptionCount || !a.counts.due(channel, subscriptions, a.node.Now) {
		return
	}
	a.node.post(to, newPublication(a, Event{Channel: channel}, func(dst []byte, _ *Event) []byte {
		return appendCount(dst, channel, subscriptions)
	}))
	a.node.hook(a, Hook{Name: HookSubscriptionCount, Channel: channel, Subscriptions: subscriptions})
}
