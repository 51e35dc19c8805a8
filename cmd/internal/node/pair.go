package node

import (
	"context"
	"errors"
	"net"
	"time"

	"resound/channels/cluster/local"
	"resound/channels/cluster/pair"
)

// pairTimeout is how long a successor may take to hear everything that this process
// has, before it gets connections.
const pairTimeout = 20 * time.Second

// heritage is what a node without Redis has of its predecessor: the two are a cluster
// until that one has ended.
type heritage struct {
	link  net.Conn
	hub   *local.Hub
	own   *local.Adapter
	spent chan struct{} // closed when this node is alone
}

func newHeritage(link net.Conn) *heritage {
	hub := local.NewHub()
	return &heritage{link: link, hub: hub, own: hub.NewAdapter(), spent: make(chan struct{})}
}

// serveHeritage makes the node one of two until the predecessor is gone.
func (n *Node) serveHeritage() {
	h := n.heritage
	defer close(h.spent)
	d := n.protocol.Deliverer()
	if err := pair.NewHost(h.link, h.hub, d).Serve(n.life); err != nil {
		n.log.Debug("the process before does not share what it has", "error", err)
	}
	if n.life.Err() != nil {
		return
	}
	h.hub.Settle()
	n.protocol.Disconnect(h.hub)
	_ = h.own.Close(n.life)
}

// pairWith makes the node and its successor a cluster of two. Without Redis they would
// not know of each other: whoever is still connected here would miss what the
// application triggers there.
func (n *Node) pairWith(ctx context.Context, link net.Conn) {
	switch {
	case link == nil:
		return
	case n.cluster != nil:
		_ = link.Close() // they are nodes of one cluster anyway
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, pairTimeout, errors.New("it took too long"))
	defer cancel()
	a, err := pair.Dial(ctx, link, n.loseSuccessor)
	if err == nil {
		_ = a.Start(ctx, n.protocol.Deliverer())
		n.protocol.Connect(a)
		if err = a.Complete(ctx); err != nil {
			_ = a.Close(ctx)
			n.protocol.Disconnect(nil)
		}
	}
	if err != nil {
		n.log.Warn("the new process does not share what this one has: until clients come back, events reach the clients of one process only", "error", err)
		return
	}
	n.partner.Store(a)
	if left := a.LeftBehind(); left > 0 {
		n.log.Warn("last events of cache channels are too many to hand over", "left_behind", left, "limit_bytes", pair.MaxKeptBytes)
	}
}

func (n *Node) loseSuccessor() {
	n.log.Error("the new process is gone")
	n.protocol.Disconnect(nil)
}

// leavePair takes back what this process stated to its successor.
func (n *Node) leavePair() {
	a := n.partner.Load()
	if a == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = a.Close(ctx) // what the new process did not hear it notices by itself
}
