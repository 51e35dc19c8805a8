// Package pair makes a node and its successor, another process of the same host, a
// cluster of two while the one hands over to the other.
//
//	process that ends                     process that begins
//	Adapter --> statements, queries -->   Host --> local.Hub <-- the node's own adapter
//	        <-- answers, publications --
//
// The state is in the successor's Hub, as it is the one that stays. The predecessor
// was alone: Inherit states what it decided before, and nobody decides it again.
// What it decides from then on is told to the successor's Deliverer, and so are
// counts, so that all webhooks come from one process.
//
// A user whose connection is closed here comes back there. So the Host waits, Grace
// for each, before it believes that the predecessor's last seat or hold of something
// is gone: nobody is told that users left who moved.
//
// # Ownership
//
// Both ends are safe for concurrent use. Each has a goroutine that reads and one that
// writes; a Host has one more that lets time pass. They end with the connection.
//
// # Limits
//
// At most MaxQueuedBytes wait to be written at an end. Beyond that publications are
// dropped and counted, and anything else ends the connection: both nodes are alone
// then. At most MaxKeptBytes of kept events are inherited.
//
// Connections of apps are not counted together: each process has its own limit.
package pair
