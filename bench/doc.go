// Package bench measures Pusher-protocol servers from outside: it speaks the wire,
// reads the server's consumption from /proc, and imports nothing of the server.
//
//	coordinator (this package)
//	  |-- client processes   package population   connections, counted deliveries
//	  |-- floor process      package floor        what the kernel allows, same run
//	  |-- receiver process   package receiver     where webhooks go
//	  |-- server process     --spawn, or a foreign one known by its pid
//	  '-- package rest       triggers through the HTTP API
//
// A scenario measures the server and, if asked, the floor in alternating rounds, so
// that a drift of the machine meets both, and reports medians and the ratio of each
// pair of rounds.
//
// # Ownership
//
// A scenario owns every process it starts and ends it before it returns; when the
// coordinator is killed, the kernel ends them. Settings and Result are values.
//
// # Errors
//
// A scenario that fails returns what it measured before together with the error.
// ErrDeliveries means that the server lost, repeated or reordered events, ErrGrowth
// that its memory or descriptors grew in a soak.
package bench
