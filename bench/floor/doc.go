// Package floor holds the bare servers a result is compared with: what the kernel
// and the arithmetic no server can avoid allow on this host, and nothing else.
//
//   - Server answers every WebSocket upgrade with the same few frames and writes a
//     publication to each of its sockets with one write(2), as many threads as
//     asked. It has no channels, no buffers and no limits.
//   - ServeHTTP is a plain fasthttp server that checks the signature of a request
//     and answers {}. It looks up no app and parses no JSON.
//
// # Ownership
//
// Each thread of a Server is a goroutine locked to a thread of the system, with an
// own listening socket on the shared port, an own epoll instance and own
// connections. Publications reach it through its mailbox.
//
// It never serves anybody but the generator: a request that arrives in pieces, or
// a socket that takes no more bytes, is closed.
package floor
