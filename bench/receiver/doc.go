// Package receiver is the other end of webhooks: a plain HTTP server in a process of
// its own that counts the client events it is sent and keeps nothing.
//
// # Ownership
//
// Serve owns the server and its counter. A Remote is the process as the coordinator
// sees it.
package receiver
