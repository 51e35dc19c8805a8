// Package channels holds the publish/subscribe state as pure data structures.
//
//	Registry   which connections of one reactor subscribe to which channel
//	Directory  what the whole node knows of an app's channels: subscription
//	           counts, which reactors hold subscribers, rosters, cached events
//
// # Ownership
//
// A Registry is owned by one reactor. A Directory is shared by all goroutines
// of the node: it is striped by channel name, and every method holds one
// stripe's lock for a short time. Edges (a user's first connection joined, its
// last one left) and cached publications are numbered under that lock and
// handed to Edges or the caller's emit function while it is held, so that every
// reactor sees them in one order; a subscriber skips what is not newer than the
// number it subscribed at.
//
// # Clusters
//
// With a Link, a Directory and the Users of an app are one node's replica of the
// channels and users it watches: they state what is here, wait for answers, and
// take the cluster's edges in place of their own. A node alone decides at once and
// pays nothing for it.
//
// The package has no sockets, reads no clock, starts no goroutine, and knows
// nothing of frames or JSON beyond carrying bytes that others encoded.
package channels
