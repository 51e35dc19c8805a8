// Package redis is the cluster adapter over Redis 7 or later: standalone, Sentinel
// or Cluster. It is the only user of rueidis.
//
//	Hold, Seat, Unseat --> statements (4 flushers) --> Lua in the channel's bucket --> answers
//	Publish            --> lanes (4 publishers)    --> PUBLISH or Lua ------------+
//	Watch, Unwatch     --> bus: topics by interest <-- edges and publications <---+
//	lease              --> heartbeats, cleaning up after nodes that are gone
//	Describe, Nodes    --> what nodes tell of themselves, under keys that end with a lease
//	journal            --> edges that are Options.Owed, until they are told
//
// An Outbox keeps webhook events in streams until one node has sent them.
//
// A channel belongs to one of Options.Topics topics, and by it to one of 1,024
// buckets. All keys and topics of a bucket share a hash tag, so that one script
// decides an edge, numbers it and publishes it, on one slot of a Redis Cluster.
// The scripts are the .lua files of this directory; common.lua lists the keys, and
// slot.lua keeps them from deciding anything while the slot moves.
//
// # Ownership
//
// An Adapter is safe for concurrent use. Methods without a context take one of the
// locks of the queues (flusher.mu, lane.mu, bus.mu) for a moment and do no I/O.
// What is told about a channel is told under its stripe's lock, which no method
// takes: a Deliverer may call every method without a context.
// Locks, outermost first: stripe.mu, whatever locks the Deliverer has, queues.
//
// A session is the time from a connection to Redis until it is lost. Its end ends
// every goroutine that talks to Redis; publications alone stay queued.
//
// # Limits
//
// Options.SpoolPublications and SpoolBytes bound what waits to be published, in
// an outage or not. Statements that wait for a slow Redis are bounded by what the
// node has and by maxPendingEnds for what it had: beyond it the session is given up
// and everything is stated again.
// maxHeldEvents bounds what a channel holds back while its snapshot is read, and
// maxHeldBytes what all do.
// OutboxOptions bound what waits for a webhook's receiver.
//
// The package sends no secret to Redis but its own credentials there.
package redis
