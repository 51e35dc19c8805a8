// Package population holds the generator's connections: many subscribers that
// cost a few hundred bytes each and whose deliveries are counted, checked for
// order and timed.
//
//	Fleet ---- JSON lines over pipes ----> Serve ---> Population
//	(one, in the coordinating process)     (one per client process)
//
// # Ownership
//
// A Population has one goroutine, locked to a thread, that owns its epoll instance
// and every connection; other goroutines post functions to it. There is no
// goroutine and no buffer per connection: one read buffer serves all, and what a
// read leaves incomplete is kept aside until the next.
//
// # Limits
//
// Options.InFlight bounds the handshakes under way, wire.MaxFrameBytes what one
// connection can make the process keep, and the context of each call its time.
//
// It never parses JSON of the server: messages are told apart by the stamp in
// their data or by the name of their event.
package population
