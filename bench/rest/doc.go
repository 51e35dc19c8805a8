// Package rest triggers events through a server's HTTP API, in two ways: a
// Publisher sends one request and waits for its answer; a Load keeps many
// keep-alive connections busy with requests signed beforehand, so that the clock
// runs for the server's work and not for the generator's.
//
// # Ownership
//
// A Publisher and a Load are each used by one goroutine. Load.Run is one loop over
// nonblocking sockets on the caller's goroutine.
package rest
