package cluster

import (
	"context"
	"errors"
	"time"
)

// ErrDegraded is returned by queries while the other nodes cannot be asked
// about: answer from what this node knows.
var ErrDegraded = errors.New("the cluster's state is out of reach")

// ErrPartial comes with the answer to a query in which this node or others may be missing,
// as they state everything again.
var ErrPartial = errors.New("nodes are still missing in the cluster's state")

// ErrTooMany is returned by Adapter.Channels when there are more than it may return.
var ErrTooMany = errors.New("too many channels")

// UserPrefix begins the names of the channels that stand for users.
//
// Pusher: server-to-user messages.
const UserPrefix = "#server-to-user-"

// Channel names a channel of an app.
type Channel struct{ App, Name string }

// Member is a user of a presence channel.
type Member struct {
	ID     string // plain
	IDJSON string // as a JSON token: 10 and "10" are one user, each shown as it came
	Info   string // JSON
}

// Publication is an event on its way to other nodes.
type Publication struct {
	Channel Channel
	Payload []byte // the whole JSON message as subscribers get it
	Except  string // socket_id that must not get it, empty for nobody

	// Keep makes it the channel's last event for that long (cache channels).
	// Name and Data, JSON tokens, are what queries tell of it.
	Keep       time.Duration
	Name, Data string

	// Forget, of one that is not kept, ends what is kept of its channel: for want of room it
	// is not kept itself, and what was before is not the last event any more. An adapter sets
	// it, and Keep to 0, where the shared state has no room.
	Forget bool

	// Counted is the number that Deliverer.Counted had, of a publication that tells
	// the count; 0 of any other.
	Counted uint64

	// Seq is its number among the channel's edges and kept publications when it
	// has Keep or Forget; 0 otherwise. Set by the adapter.
	Seq uint64
}

// EdgeKind says what changed for the whole cluster.
type EdgeKind uint8

// Kinds of edges. The zero value is none of them.
const (
	Occupied      EdgeKind = iota + 1 // the first subscription came
	Vacated                           // the last one left
	MemberAdded                       // a user's first seat
	MemberRemoved                     // a user's last seat is gone
)

// Edge is a change of a channel, decided once.
type Edge struct {
	Channel Channel
	Kind    EdgeKind
	Member  Member // MemberAdded and MemberRemoved
	Seq     uint64 // rises with every edge and kept publication of the channel, for ever

	// ID names an edge that Decided may be told twice; empty for others.
	ID string

	// Teller names the registration of the node that Decided tells such an edge.
	Teller string
}

// Snapshot is a channel's state in the cluster after everything up to Seq.
type Snapshot struct {
	Seq      uint64
	Occupied bool
	Members  []Member // in the order of joining; presence channels only
	Kept     *Kept    // cache channels only; nil when there is none

	// Partial says that nodes may be missing that state everything again: who is
	// not in it may be there all the same. Another Watched follows, which is not.
	Partial bool
}

// Kept is the last event of a cache channel.
type Kept struct {
	Payload    []byte
	Name, Data string        // JSON tokens
	For        time.Duration // how long it is still kept

	// In a Snapshot: its number, the socket_id that must not get it, and whether the
	// node that asked published it.
	Seq    uint64
	Except string
	Mine   bool
}

// Occupancy is what queries tell of a channel in the whole cluster.
type Occupancy struct {
	Subscriptions int
	Users         int // presence channels
	Kept          *Kept
}

// NamedOccupancy is one row of Adapter.Channels; Kept is not filled in.
type NamedOccupancy struct {
	Name string
	Occupancy
}

// Adapter connects a node with the others. Safe for concurrent use.
//
// Publish, Watch, Unwatch, Hold, Seat, Unseat, Terminate and SetConnections only
// enqueue; statements about one channel take effect in the order they were made.
// While degraded they are remembered by nobody: after Restate the node makes them
// again. Publications made meanwhile wait in a bounded spool, until the nodes known
// before watch again what they watched, or are given up; what does not fit is counted.
type Adapter interface {
	// Start registers the node and begins to call d. When the other nodes are
	// out of reach it returns nil all the same, with Degraded(true) told to d, and
	// goes on trying. An error means that the configuration can never work.
	Start(ctx context.Context, d Deliverer) error

	// Leave takes back everything this node stated, so that the others need not
	// wait for its lease to end. Decided was told of it when Leave returns. What is
	// stated afterwards is ignored; queries may go on until Close.
	Leave(ctx context.Context) error

	// Close leaves, unless Leave has, and ends every goroutine.
	Close(ctx context.Context) error

	// Publish sends p to every other node that watches its channel. One with Keep or
	// Forget is numbered first, and comes back to its publisher too, see
	// Deliverer.Deliver. Publications of one node for one channel keep their order.
	Publish(p Publication)

	// Watch asks for the publications and edges of a channel from now on, and is
	// answered by one Deliverer.Watched. snapshot asks for its state too; without
	// it the answer has none. Watching again answers again.
	Watch(c Channel, snapshot bool)
	Unwatch(c Channel)

	// Hold states how many subscriptions of the channel are on this node; 0 ends
	// the hold. Only the latest number counts. counted asks to be answered by
	// Deliverer.Counted; Holds that were not sent yet become one, answered once.
	Hold(c Channel, subscriptions int, counted bool)

	// Seat states that a user is present in a channel through this node, and is
	// answered by Deliverer.Seated. Unseat takes it back, and is answered by Unseated.
	Seat(c Channel, m Member)
	Unseat(c Channel, userID string)

	// Terminate asks every other node to close the user's connections.
	Terminate(app, userID string)

	// SetConnections states how many connections of an app are on this node.
	// OtherConnections is how many the others stated, as of a second ago or so.
	SetConnections(app string, connections int64)
	OtherConnections(app string) int64

	// Describe states a text about this node, for others to show; only the latest
	// counts. It leaves with the next heartbeat, outlives outages, and is gone when
	// the node is. The error says that it exceeds MaxDescriptionBytes.
	Describe(text string) error

	// Queries ask the shared state, never another node. They return ErrDegraded
	// when it is out of reach, and may return ErrPartial with an answer. Channels
	// returns at most limit rows, in no order, or ErrTooMany; channels that stand for
	// users are not among them.
	Channel(ctx context.Context, c Channel) (Occupancy, error)
	Channels(ctx context.Context, app, prefix string, limit int) ([]NamedOccupancy, error)
	Members(ctx context.Context, c Channel) ([]Member, error)

	// Nodes returns the nodes of the cluster, this one included, by name; the first
	// MaxNodes when there are more.
	Nodes(ctx context.Context) ([]Node, error)

	Stats() Stats
}

// Inherited is what a node decided of a channel while it was alone.
type Inherited struct {
	Subscriptions int
	Members       []Member // in the order of joining
	Kept          *Kept
}

// Partner is an Adapter that a node can connect to while it serves.
type Partner interface {
	Adapter

	// Inherit states all that the node has of a channel. Nobody is told that it was
	// decided, as the node told before. Each member is answered by Deliverer.Seated.
	Inherit(c Channel, in Inherited)
}

// KeptEvents are the last events of cache channels. Safe for concurrent use.
type KeptEvents interface {
	Names() []Channel
	Last(c Channel) *Kept // nil when there is none
}

// Stats are an adapter's counters since it was made, and gauges. Publications
// and messages are counted one by one, batched or not.
type Stats struct {
	Degraded  bool
	Nodes     int // with a lease, this one included; 0 when unknown
	Topics    int // subscribed on the bus
	Spooled   int // publications waiting to be sent
	Published uint64
	Received  uint64 // from other nodes, for channels this node watches
	Unwanted  uint64 // received though nobody here watches: hash collisions, late unsubscribes
	Junk      uint64 // not understood and ignored
	Dropped   uint64 // publications that did not fit the spool
	Unkept    uint64 // publications that were told and not kept, for want of room
	Unheard   uint64 // spooled publications that left though a node was not back
	Fenced    uint64 // times this node lost its lease and registered again
	Reconnect uint64 // times the shared state was lost
}

// Deliverer is a node as its adapter sees it. Calls for one channel come one at
// a time, in the order of what they tell; they must return at once and may call
// the adapter's methods without a context.
type Deliverer interface {
	// Deliver is a publication of another node. mine is true for one with a Seq of
	// this node, which was delivered here already: it now has its place in the
	// order of kept events.
	Deliver(p Publication, mine bool)

	// Watched answers Watch: nothing published from now on is missed. With a
	// snapshot, edges and kept publications up to its Seq are part of it and are
	// not told afterwards; those told earlier are to be forgotten. For a channel watched with
	// a snapshot it also comes unasked, when messages may have been missed.
	Watched(c Channel, s *Snapshot)

	// Missing tells that from now on publications and edges of a watched channel may
	// be missed, until the next Watched, which comes unasked.
	Missing(c Channel)

	// Edge is told to every node that watches the channel.
	Edge(e Edge)

	// Decided is told to the one node whose statement made the edge, or which
	// cleaned up after the node that is gone, watching or not. An adapter may promise
	// more: see its options.
	Decided(e Edge)

	// Seated answers Seat: the user is a member as of edge seq, at the latest. Where
	// a snapshot was asked for, edges up to seq were told before; so it is with
	// Decided.
	Seated(c Channel, userID string, seq uint64)

	// Unseated answers Unseat. Where a snapshot was asked for, the edge that it made, if
	// it did, was told before.
	Unseated(c Channel, userID string)

	// Counted answers Hold: the subscriptions of all nodes together. Of two counts of
	// a channel, at whichever nodes, the one with the higher number is the later. It
	// comes after the Watched of a Watch that was asked for before the Hold. To the
	// node that cleans up after one that is gone it comes unasked, counted or not.
	Counted(c Channel, subscriptions int, number uint64)

	// Terminate is another node's Terminate.
	Terminate(app, userID string)

	// Degraded tells that the shared state is out of reach (true), from when on
	// nothing is told but Decided of what was stated before, or is back (false). Restate asks for all statements
	// again; it follows Degraded(false), and comes alone when this node's lease
	// had ended. What was stated before is gone when it is called.
	Degraded(degraded bool)
	Restate()
}
