// Package floor holds the bare servers a result is compared with: what the kernel
// and the arithmetic no server can avoid allow on this host, and nothing else.
//
//   - Server answers every WebSocket upgrade and subscription with the same few
//     frames and writes each event to each subscriber of its channel with one
//     write(2), as many threads as asked. It has no buffers and no limits.
//   - ServeHTTP is a plain fasthttp server that checks the signature of a request
//     and answers {}. It looks up no app and parses no JSON.
//
// # What a Server understands
//
//   - standard input: a Publication per line, for the subscribers of Options.Channel;
//   - the port it writes to standard output, WebSocket: an upgrade to any path, and
//     any number of pusher:subscribe, for any channel;
//   - the same port, HTTP: POST of one event or of a batch to any path, as the
//     Pusher API has it, each event with its channel before its data. Signatures are
//     not looked at, the answer is always 200 and {}.
//
// # Ownership
//
// Each thread of a Server is a goroutine locked to a thread of the system, with an
// own listening socket on the shared port, an own epoll instance and own
// connections. Events for the connections of another thread go through its mailbox.
//
// It never serves anybody but the generator: a request that arrives in pieces, or
// a socket that takes no more bytes, is closed.
package floor
