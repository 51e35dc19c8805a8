// Package clustertest holds every adapter to the contract of package cluster: one
// suite, run by each adapter's tests.
//
// A Node is a Deliverer that follows the channels it watches and checks each call
// against what it was told before. The package owns no state beyond a test and
// never waits by sleeping for a state that it can see.
package clustertest
