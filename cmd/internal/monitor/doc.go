// Package monitor is what a node tells of itself: a Snapshot of its counters, the
// rates of the last seconds, what the process takes of the host, and the same as
// Prometheus metrics, as series for the history, and as the few Figures that nodes of
// a cluster tell each other. It holds what applications count: CustomMetrics.
//
//	loop, pusher, rest, webhook: counters
//	          |  read by node, about a second or a scrape apart
//	          v
//	       Snapshot ---> /status of the control socket, Metrics ---> /metrics,
//	                     Sampler ---> history and alerts
//
// # Ownership
//
// A Snapshot is a value. Meter, Metrics and CustomMetrics are safe for concurrent use;
// a Sampler belongs to one goroutine. Of the node the package counts nothing by itself:
// who owns something counts it, without locks on the hot path.
//
// # Limits
//
// Metrics have labels with few values only: apps up to MaxLabelledApps, close
// codes that somebody has given a meaning, reactors, and the names of custom metrics,
// MaxCustomPerApp of an app and MaxCustom of a node.
package monitor
