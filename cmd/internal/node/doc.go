// Package node assembles one server process: the reactors of package loop, the
// protocol of package pusher, the HTTP API of package rest, on one port, the
// control socket beside it, from one configuration. It is the only place where they
// meet. It puts a new configuration into force while the node runs.
//
// # Ownership
//
// A Node owns the engine, the HTTP server and the few goroutines that keep house
// (expiry of cached events, giving memory back, readings for rates, closing what a
// removed app leaves). Run ends when all of them have.
package node
