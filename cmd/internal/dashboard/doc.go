// Package dashboard is the page at {path}/reverb: the figures of a node, live and
// over time, and of the nodes of its cluster, its channels, a tail of its events, and a
// form that sends one.
//
//	browser --GET /reverb/live---> Snapshot and ranking, every two seconds (SSE)
//	        --GET /reverb/history--> history.Store
//	        --GET /reverb/tail---> control.Feed (SSE)
//	        --POST /reverb/events--> Node.Send, if the page is of the same origin
//	                                and has the session's token
//
// # Ownership
//
// A Dashboard is safe for concurrent use. It holds no figures: it asks the Node
// when somebody looks, and costs nothing while nobody does.
//
// # Limits
//
// maxStreams open streams, maxSessions sessions, maxLogins wrong passwords a minute,
// maxListed channels an answer, maxTailed events a second,
// maxRanked channels that are ranked, maxApps apps.
//
// It never shows a secret: nothing it is given has one.
package dashboard
