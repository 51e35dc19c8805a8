package channels

// Link takes what a Directory or Users of one node of a cluster states about
// itself. Every method runs with a stripe locked, so that statements about one
// name come in the order in which things happened: an implementation may queue
// and post, and must not call back. Strings are owned, immutable and may be kept.
type Link interface {
	// Watch asks to be told what happens to a name in the cluster; it is answered
	// by a call of Watched. Between Watch and that answer there is no Unwatch.
	Watch(name string)
	Unwatch(name string)

	// Hold states how many connections this node has for a name.
	Hold(name string, connections int)

	// Inherit states what this node decided of a name while it was alone, so that
	// nobody decides it again. In a channel with a roster each member's seat is
	// answered as Seat is.
	Inherit(name string, in Inherited)

	// Settled says that what waited for the cluster may be answered: everything
	// that waits for name or, when userID is not empty, what waits there for the
	// user's seat.
	Settled(name, userID string, to Interest)
}

// RosterLink is the Link of a Directory.
type RosterLink interface {
	Link

	// Seat states that a user is present through this node; it is answered by a
	// call of Seated. Between Seat and that answer there is no Unseat, which is answered
	// by a call of Unseated.
	Seat(name string, m *Member)
	Unseat(name, userID string)

	// Recount states a hold again, where the count of subscriptions is told: those who
	// were told it may have missed a later one.
	Recount(name string, subscriptions int)
}

// Numbers to subscribe with for who gets nothing yet.
const (
	// Waiting marks a subscription that waits for the cluster.
	Waiting = ^uint64(0)
	// Held marks one that need not wait, of a connection that still waits for
	// another.
	Held = Waiting - 1
)
