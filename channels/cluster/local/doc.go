// Package local connects the nodes of one process: the adapter of a single node
// that has no Redis, and a Hub that gives tests a cluster which can fail on demand.
//
//	Adapter methods --> in lanes --> state (Hub.mu) --> out lanes --> Deliverer
//
// # Ownership
//
// A Hub and its adapters are safe for concurrent use. One lock guards all state.
// Deliverers are called by one goroutine of the Hub, one call at a time and never
// under the lock; it runs only while something is waiting. A Hub made by
// NewShuffledHub takes from the lanes at random, so that statements and answers
// about different channels overtake each other as they may with Redis; about one
// channel they never do.
//
// The package does no I/O and never loses anything but what Hub.Outage, Hub.Kill
// and Hub.Fence take away.
package local
