package pusher

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"resound/channels"
	"resound/channels/cluster"
)

// ErrOverloaded is returned by Trigger when a reactor that would have to
// deliver already has Options.MaxPendingPublications or MaxPendingBytes waiting.
// Try again later.
var ErrOverloaded = errors.New("too many publications are waiting to be delivered")

// Mailbox is the door into one reactor. Post may be called from any goroutine,
// returns at once, and keeps the order of the calls of one goroutine.
type Mailbox interface {
	Post(item any)
	// Pending is the number of posted items not yet finished.
	Pending() int
	// PendingBytes is the memory of publications that were posted and have not
	// left, sent or dropped.
	PendingBytes() int64
}

// Options of a Node.
type Options struct {
	Apps []AppConfig

	// MaxConnections is the number of connections over all apps above which new
	// ones are told 4100. Zero means no limit.
	MaxConnections int64

	// MaxPendingPublications bounds each mailbox. Zero means 65,536.
	MaxPendingPublications int

	// MaxPendingBytes bounds the memory of the publications that wait for a
	// reactor; the last one may pass it. Zero means 32 MiB.
	MaxPendingBytes int64

	// Compression makes compressed frames of publications for the connections
	// that take them. Off, nobody is asked.
	Compression bool

	// Now reads the wall clock. Nil means time.Now.
	Now func() time.Time

	// NewNonce makes the random half of socket ids. Nil means a secure random
	// one; tests give fixed ones.
	NewNonce func() uint64

	// Webhooks is told what the application may want to hear of. Nil tells
	// nobody.
	Webhooks Webhooks

	// Cluster connects the node with others; start it with the node as its
	// Deliverer. Nil means a node alone.
	Cluster cluster.Adapter

	// Trace is told of every connection, message and publication: what
	// happened, to which connection or channel, and the payload, which is a
	// view. It runs on the reactors and slows them. Nil costs nothing.
	Trace func(what, who, payload string)
}

// Node is the protocol side of one server process. Safe for concurrent use.
type Node struct {
	options   Options
	apps      atomic.Pointer[appTable]
	mailboxes []Mailbox
	cluster   atomic.Pointer[cluster.Adapter] // nil: the node is alone

	limits      atomic.Pointer[Limits]
	reloading   sync.Mutex               // for the apps and degraded to change; comes before every other lock
	webhooks    atomic.Pointer[Webhooks] // nil while there are none
	listings    chan struct{}            // of Channels under way
	watchers    atomic.Pointer[watchers] // nil while nobody watches
	connections atomic.Int64
	draining    atomic.Bool
	degraded    atomic.Bool
	refused     atomic.Uint64 // publications refused with ErrOverloaded
	shed        atomic.Uint64 // publications of other nodes that were not delivered
	refusals    errorCounts   // connections refused before they had an app
}

// appTable is an immutable table of the apps.
type appTable struct {
	byID, byKey map[string]*App
	leaving     map[string]*App // by id, removed; see Node.statedApps
}

// NewNode returns a node without reactors; give it theirs with Attach.
func NewNode(o Options) (*Node, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.NewNonce == nil {
		o.NewNonce = newNonce
	}
	n := &Node{options: o, listings: make(chan struct{}, maxListings)}
	if c := o.Cluster; c != nil {
		n.cluster.Store(&c)
		n.options.Cluster = nil // it may end before the node does
	}
	if o.Webhooks != nil {
		n.SetWebhooks(o.Webhooks)
	}
	n.apps.Store(newAppTable(0))
	if _, err := n.Reload(Limits{o.MaxConnections, o.MaxPendingPublications, o.MaxPendingBytes}, o.Apps); err != nil {
		return nil, err
	}
	return n, nil
}

// Attach gives the node the mailboxes of its reactors, in the order of their
// indexes. Call it once, before the first connection.
func (n *Node) Attach(mailboxes []Mailbox) {
	if len(mailboxes) > channels.MaxReactors {
		panic(fmt.Sprintf("%d reactors exceed the limit of %d", len(mailboxes), channels.MaxReactors))
	}
	n.mailboxes = mailboxes
}

// AppByID returns the app with an id, or nil.
func (n *Node) AppByID(id string) *App { return n.apps.Load().byID[id] }

// AppByKey returns the app with a public key, or nil.
func (n *Node) AppByKey(key string) *App { return n.apps.Load().byKey[key] }

// Apps calls yield with every app until it returns false.
func (n *Node) Apps(yield func(*App) bool) {
	for _, a := range n.apps.Load().byID {
		if !yield(a) {
			return
		}
	}
}

// Connections is the number of open connections of all apps.
func (n *Node) Connections() int64 { return n.connections.Load() }

// Drain makes the node refuse new connections with 4200 from now on.
func (n *Node) Drain() { n.draining.Store(true) }

// Draining reports whether Drain was called.
func (n *Node) Draining() bool { return n.draining.Load() }

// admit counts a connection unless the node is at its limit.
func (n *Node) admit() bool {
	limit := n.limits.Load().MaxConnections
	if now := n.connections.Add(1); limit > 0 && now > limit {
		n.connections.Add(-1)
		return false
	}
	return true
}

// MaxConnections is the number of connections above which new ones are refused,
// 0 for no limit.
func (n *Node) MaxConnections() int64 { return n.limits.Load().MaxConnections }

// OverCapacity reports whether a new connection would be refused with 4100.
func (n *Node) OverCapacity() bool {
	limit := n.limits.Load().MaxConnections
	return limit > 0 && n.connections.Load() >= limit
}

// Now reads the node's wall clock.
func (n *Node) Now() time.Time { return n.options.Now() }

// Refused is the number of publications refused with ErrOverloaded.
func (n *Node) Refused() uint64 { return n.refused.Load() }

// Shed is the number of publications of other nodes that were not delivered here
// because as much waits as Trigger refuses more at. Whoever triggered them was told
// that all is well: nobody waits for all nodes.
func (n *Node) Shed() uint64 { return n.shed.Load() }

// Event is one named payload for one channel. The JSON tokens are copied into
// the frame as they are, so they must be valid JSON in valid UTF-8; nothing is
// retained.
type Event struct {
	Channel string   // plain name
	Name    string   // JSON string token, quotes included
	Data    string   // JSON token: a string for server events, anything for client events
	UserID  string   // JSON token, or empty for none
	Except  SocketID // connection that must not receive it

	// Admitted says that Overloaded was asked: the event is not refused, so that
	// what goes to several channels goes to all or none.
	Admitted bool
}

// Trigger sends an event of the application to every subscriber of its channel
// and keeps it when it is a cache channel. It returns once the event waits in
// the mailboxes of the reactors concerned and, in a cluster, on its way to the
// other nodes. Events triggered one after the other arrive in that order on each
// connection. The only error is ErrOverloaded, and not for Event.Admitted.
func (n *Node) Trigger(a *App, e Event) error {
	n.trace("Broadcasting To", e.Channel, e.Data)
	if err := n.trigger(a, e); err != nil {
		return err
	}
	a.stats.triggered.Add(1)
	n.watched(a, e, false)
	return nil
}

func (n *Node) trigger(a *App, e Event) error {
	if user, ok := strings.CutPrefix(e.Channel, channels.ServerToUserPrefix); ok {
		return n.triggerUser(a, user, e)
	}
	if !channels.KindOf(e.Channel).Is(channels.Cache) {
		return n.publish(a, e, appendServerEvent)
	}
	to := a.directory.Interest(e.Channel)
	if !e.Admitted && n.overloaded(to) {
		return ErrOverloaded
	}
	p := newPublication(a, e, appendServerEvent)
	event := &channels.CachedEvent{Frame: p.frame, Name: cloned(e.Name), Data: cloned(e.Data)}
	ttl := a.Options().CacheTTL
	a.directory.Publish(e.Channel, event, n.Now().Add(ttl), func(to channels.Interest, seq uint64, kept bool) {
		p.seq = seq
		n.post(to, p)
		if kept {
			n.publishElsewhere(p.name, p, cluster.Publication{Keep: ttl, Name: event.Name, Data: event.Data})
		} else {
			n.publishElsewhere(p.name, p, cluster.Publication{Forget: true})
		}
	})
	return nil
}

// triggerUser sends an event to the connections signed in as a user.
//
// Pusher: server-to-user messages.
func (n *Node) triggerUser(a *App, user string, e Event) error {
	to := a.users.Interest(user)
	if !e.Admitted && n.overloaded(to) {
		return ErrOverloaded
	}
	if to != 0 || n.bus() != nil {
		p := newPublication(a, e, appendServerEvent)
		channel := p.name
		p.audience, p.name = toUser, cloned(user)
		n.post(to, p)
		n.publishElsewhere(channel, p, cluster.Publication{})
	}
	return nil
}

// publish sends an event that is not kept.
func (n *Node) publish(a *App, e Event, encode encodeEvent) error {
	to := a.directory.Interest(e.Channel)
	if to == 0 && n.bus() == nil {
		return nil
	}
	if !e.Admitted && n.overloaded(to) {
		return ErrOverloaded
	}
	p := newPublication(a, e, encode)
	n.post(to, p)
	n.publishElsewhere(p.name, p, cluster.Publication{})
	return nil
}

// overloaded reports whether what is triggered or asked for here is to be refused,
// and sheds whether what comes from another node is to be given up. They count it.
func (n *Node) overloaded(to channels.Interest) bool { return n.behind(to, &n.refused) }
func (n *Node) sheds(to channels.Interest) bool      { return n.behind(to, &n.shed) }

func (n *Node) behind(to channels.Interest, counter *atomic.Uint64) bool {
	l := n.limits.Load()
	for i, m := range n.mailboxes {
		if to.Has(i) && (m.Pending() >= l.MaxPendingPublications || m.PendingBytes() >= l.MaxPendingBytes) {
			counter.Add(1)
			return true
		}
	}
	return false
}

func (n *Node) trace(what, who, payload string) {
	if n.options.Trace != nil {
		n.options.Trace(what, who, payload)
	}
}

// post hands item to every reactor of to. It only enqueues, so that it may run
// with a Directory stripe locked.
func (n *Node) post(to channels.Interest, item any) {
	for i, m := range n.mailboxes {
		if to.Has(i) {
			m.Post(item)
		}
	}
}

// TerminateUser closes every connection of the app that is signed in as userID
// or on which userID is a presence member, with code 4009 so that clients stay away. It returns once
// the request waits in every reactor's mailbox. The only error is ErrOverloaded.
//
// Pusher: POST /apps/{id}/users/{user_id}/terminate_connections.
func (n *Node) TerminateUser(a *App, userID string) error {
	if n.overloaded(n.everywhere()) {
		return ErrOverloaded
	}
	n.post(n.everywhere(), &terminateUser{app: a, userID: userID})
	if c := n.bus(); c != nil {
		c.Terminate(a.ID, userID)
	}
	return nil
}

// everywhere is the interest of all reactors.
func (n *Node) everywhere() channels.Interest { return channels.Interest(1)<<len(n.mailboxes) - 1 }

// Overloaded reports whether a trigger for any of the channels would be refused
// now, so that one for several channels need not be refused half-way.
func (n *Node) Overloaded(a *App, names []string) bool {
	var to channels.Interest
	for _, name := range names {
		if user, ok := strings.CutPrefix(name, channels.ServerToUserPrefix); ok {
			to |= a.users.Interest(user)
		} else {
			to |= a.directory.Interest(name)
		}
	}
	return n.overloaded(to)
}

// terminateUser is the mailbox item of TerminateUser.
type terminateUser struct {
	app    *App
	userID string
}
