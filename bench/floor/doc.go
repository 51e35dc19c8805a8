// Package floor holds the bare servers a result is compared with: what the kernel
// and the arithmetic no server can avoid allow on this host, and nothing else.
//
//   - bare.c answers WebSocket upgrades and subscriptions and writes each event to
//     each subscriber with one write(2). It takes events by HTTP, like the server it
//     is compared with, but checks nothing. Compile builds it.
//   - Server is the same in Go, for hosts without a C compiler: somewhat dearer, so a
//     server looks better beside it.
//   - ServeHTTP is a plain fasthttp server that checks the signature of a request
//     and answers {}. It looks up no app and parses no JSON.
//
// Both bare servers can pack: what waits for a channel then leaves in one write.
//
// # Ownership
//
// Each thread of a Server is a goroutine locked to a thread of the system, with an
// own listening socket on the shared port, an own epoll instance and own
// connections. Publications reach it through its mailbox. Threads share the table of
// channels, which says who has a subscriber, under one lock. bare.c is built alike.
//
// # Limits
//
// It serves the generator only. A request of more than 1 MiB, a connection with more
// than 16 MiB unread, or anything it does not understand is closed; a mailbox of
// 65,536 publications refuses the next with 503. Counts says how often.
package floor
