package loop

import "net"

// KeptAddr is what gnet keeps of the peer's address.
func (r *Reactor) KeptAddr(conn int32) net.Addr { return r.conns.At(conn).tcp.RemoteAddr() }

// Fragmented is the number of connections inside a fragmented message.
func (r *Reactor) Fragmented() int { return len(r.readers) }

// TrafficSlice is for tests of what is posted between the turns of connections.
const TrafficSlice = trafficSlice
