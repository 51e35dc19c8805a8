// Package simulation plays random schedules against the protocol of a whole node:
// several reactors and apps, with fake sockets and clocks, on one goroutine. What
// a schedule does is decided by its seed alone, so that what fails can be played
// again:
//
//	go test ./pusher/simulation -seed 4711
//
// A model of what every client must be told is held against what it was told:
// nothing lost, nothing twice, nothing of others, in order, and presence exact.
// The package has tests only and is no part of the product.
package simulation
