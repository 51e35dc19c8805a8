// Package pusher is the Pusher Channels protocol 7 as a state machine over
// small interfaces, with the frame shapes of Laravel Reverb.
//
//	Node    the protocol side of one node: its apps, and the way a publication
//	        takes to the reactors that hold subscribers
//	App     one tenant: credentials, options, Directory, counters
//	Shard   one reactor's part: sessions, subscriptions, deliveries
//
// # Ownership
//
// A Shard, its sessions and its Registries are owned by one reactor and touched
// only from its callbacks. Node and App are safe for concurrent use. A
// Publication is immutable once posted. Bytes of a message are views that die
// with the callback; what is kept is copied.
//
// # Clusters
//
// Options.Cluster connects a node with others; Node.Deliverer is its other end.
// What is published here is delivered here first. What a client is told of a
// channel, a roster or a user waits for the cluster, see settle.go; while the
// cluster is out of reach nothing waits.
//
// # Limits
//
// Every limit is a field of Options or AppOptions; crossing one costs its
// sender an error and nobody else anything.
//
// The package opens no socket and starts no goroutine.
package pusher
