// Package node assembles one server process: the reactors of package loop, the
// protocol of package pusher, the HTTP API of package rest, on one port, from one
// configuration. It is the only place where they meet.
//
// # Ownership
//
// A Node owns the engine, the HTTP server and the few goroutines that keep house
// (expiry of cached events, giving memory back). Run ends when all of them have.
package node
