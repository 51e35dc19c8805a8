// Package rest is the HTTP API of a node: what applications trigger events and
// ask questions through, and what load balancers probe.
//
//	Server.Serve --> fasthttp --> Server.Handle
//	                                  |  routes.go     one table: method, path, endpoint
//	                                  |  signature.go  app, enabled, signature
//	                                  v
//	   events.go  channels.go  connections.go  grants.go  browser.go  health.go
//	                    |                                     |
//	                    v                                     v
//	   pusher.Node.Trigger, channels.Directory        shield, the application
//
// The files called fallback serve clients that cannot speak WebSocket: sessions
// whose messages travel in requests and responses, each of them a connection
// without a socket that Options.Fallback opens.
//
// # Ownership
//
// A Server is safe for concurrent use. A request is owned by the goroutine that
// serves it and goes back to a pool afterwards: every string in it is a view of
// the bytes that arrived and dies with the request. What the node keeps, it
// copies.
//
// # Limits
//
// Bodies, headers, connections, sessions and times are bounded by Options, events
// by the app's pusher.AppOptions. Crossing one is answered with a status and a text that
// names the limit.
//
// # Errors
//
// An endpoint returns nil, and what it appended is the 200 body, or a refusal.
// Texts begin with Laravel Reverb's wording; what to do about it follows. A panic
// is answered with 500, logged and counted.
//
// The package never speaks WebSocket: connections come through a net.Listener
// that the owner of the port feeds.
package rest
