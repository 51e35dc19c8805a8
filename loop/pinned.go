package loop

// pinned counts the bytes of mail that is finished while the lists of connections
// may still hold its frames. A frame is in many lists, so it is not counted there:
// whatever a list holds is out once its connection had its turn in the ring, so the
// bytes that were finished before a moment are free when the ring has gone round
// once since. Owned by the reactor.
type pinned struct {
	old, young int64  // finished before and after the ring's last round began
	until      uint64 // outbound.popped at which that round ends
}

// release begins the next round when one has ended and returns the bytes that are
// free now.
func (p *pinned) release(o *outbound) (free int64) {
	for p.old+p.young > 0 && o.popped >= p.until {
		free += p.old
		p.old, p.young = p.young, 0
		p.until = o.popped + uint64(o.count)
	}
	return free
}
