// Package monitor is what a node tells of itself: a Snapshot of its counters, the
// rates of the last seconds, what the process takes of the host, and the same as
// Prometheus metrics.
//
//	loop, pusher, rest, webhook: counters
//	          |  read by node, about a second or a scrape apart
//	          v
//	       Snapshot ---> /status of the control socket, Metrics ---> /metrics
//
// # Ownership
//
// A Snapshot is a value. Rates, Metrics and Load are safe for concurrent use. The
// package counts nothing by itself: who owns something counts it, without locks
// on the hot path.
//
// # Limits
//
// Metrics have labels with few values only: apps up to MaxLabelledApps, close
// codes that somebody has given a meaning, reactors.
package monitor
