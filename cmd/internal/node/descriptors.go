package node

import "math"

// DescriptorsFor returns how many file descriptors a node needs to hold so many
// connections and the HTTP connections beside them, which Options.Config may ask
// for as max_connections.
func DescriptorsFor(connections, reactors int) int {
	// The least number of sockets of which limitsFor leaves one in httpShare for
	// HTTP and the rest for the connections.
	sockets := connections + (connections-1)/(httpShare-1)
	return max(sockets, minSockets) + reservedDescriptors + reactors*descriptorsPerReactor
}

// ConnectionsFor returns how many connections a node without max_connections
// allows under a descriptor limit, 0 when it does not start.
func ConnectionsFor(descriptors uint64, reactors int) int {
	l, err := limitsFor(int64(min(descriptors, math.MaxInt64/2)), 0, int64(reactors))
	if err != nil {
		return 0
	}
	return int(l.connections)
}
