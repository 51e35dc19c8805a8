package node

import (
	"context"

	"resound/loop"
	"resound/pusher"
)

// visit runs f on a reactor and waits for it. f should take less than a
// millisecond. A reactor that never had a connection is not visited. When ctx ends
// first, f may run later still: what it writes to must belong to it.
func (n *Node) visit(ctx context.Context, reactor int, f func(*pusher.Shard, *loop.Reactor)) error {
	r, s := n.engine.Reactors()[reactor], n.shards[reactor]
	done := make(chan struct{})
	posted := r.PostVisit(func() {
		defer close(done)
		f(s, r)
	})
	if !posted {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-n.life.Done():
		return n.life.Err()
	}
}
