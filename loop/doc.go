// Package loop runs WebSocket connections on gnet event loops.
//
// Each event loop and all it owns is a Reactor: its connections, their timers,
// what waits to be written, and the Handler that gives messages a meaning. The
// package knows RFC 6455 through package frame and nothing of any protocol above.
//
//	                  one TCP port
//	                       |
//	bytes  ->  handshake?  --no-->  HTTP listener (handed over, with the bytes read)
//	                       | yes
//	           frames -> Handler.OnMessage
//	                       |
//	Post  ->   mailbox ->  Handler.OnMail -> Send ... -> one write per connection
//
// # Ownership
//
// A Reactor's state is touched only by its event loop's goroutine, from gnet's
// callbacks: a turn. The one door from outside is Post; everything that is
// posted is handled in order. A view of received bytes dies with the turn.
// Handles of connections are reused after OnClosed.
//
// A Virtual is a connection whose messages come and go by other means than a
// socket. The Handler cannot tell it from others.
//
// # Limits
//
// Options.MaxSockets bounds descriptors, Options.MaxOutboundBytes what a
// connection may leave unread, Options.HandshakeTimeout and closeTimeout how long
// a connection may take to begin and to end; mailSlice and flushSlice how long a
// turn keeps I/O waiting; maxPostedBytes what a Virtual may have waiting. A panic
// closes the connection it happened for.
package loop
