// Package cluster is what crosses nodes: the contract between a node and the
// adapter that connects it with the others.
//
//	node (pusher)  -- statements: Watch, Hold, Seat, Publish -->  Adapter
//	               <-- answers and edges: Deliverer ------------
//
// A node makes statements about itself: which channels it watches, how many
// subscriptions it holds of each, which users are present through it. Statements
// are absolute ("I hold 3"), so stating them again is harmless, and a node whose
// statements were lost repeats them all. From the statements of all nodes the
// adapter decides the edges of the whole cluster, each exactly once and numbered
// per channel: occupied and vacated, member added and removed. Nodes that watch a
// channel are told its edges in the order of their numbers.
//
// A signed-in user is the channel "#server-to-user-ID": a connection of the user
// is a subscription of it, online is occupied, offline is vacated, and whoever
// watches for the user watches that channel.
//
// # Ownership
//
// An Adapter is safe for concurrent use; its methods without a context only
// enqueue. It calls its Deliverer from goroutines of its own, for one channel one
// call at a time. Values passed in either direction are immutable afterwards.
//
// The package does no I/O.
package cluster
