// Package control is the control socket of a node, and its client: HTTP over a
// Unix socket, on which commands ask a running node about itself and tell it what
// to do.
//
//	GET  /status                        a Status
//	GET  /connections?app=&channel=     a line of JSON for each Connection
//	GET  /channels?app=&prefix=         a line of JSON for each Channel
//	GET  /tail?app=&channel=&event=     a line of JSON for each Event as it passes
//	GET  /credentials?app=              Credentials of an app
//	GET  /metrics                       Prometheus
//	GET  /history?format=&since=        the history, as package history writes it
//	POST /history                       such a text; an Imported
//	POST /custom-metrics?pid=           custom metrics as JSON, for the process with this id
//	POST /dashboard-link                a Link
//	GET  /debug/pprof/                  profiles, where they are switched on
//	POST /reload                        a Reloaded
//	POST /restart                       another process takes over; a Restarted
//	POST /stop                          ends when the node has
//
// # Ownership
//
// The socket belongs to the node's user, mode 0600: whoever may connect may do
// everything, and is told the secrets of apps, which that user can read anyway. A
// Server and a Client are safe for concurrent use.
//
// # Limits
//
// maxRequests at a time; a reader of /tail that is slow loses events, which are
// counted, and slows nobody.
package control
