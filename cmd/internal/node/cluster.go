package node

import (
	"context"
	"errors"
	"time"

	"resound/channels/cluster"
)

// leaveTimeout is how long a stopping node tries to take back what it stated to
// the cluster. What is left then ends with its lease.
const leaveTimeout = 5 * time.Second

// newCluster returns what connects the node with others, or nil for a node alone.
func newCluster(o *Options) (cluster.Adapter, error) {
	switch {
	case o.Cluster != nil:
		return o.Cluster, nil
	case !o.Config.Server.Scaling.Enabled:
		return nil, nil
	}
	return nil, errors.New("scaling: there is no adapter for Redis yet")
}

func (n *Node) leaveCluster() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := n.cluster.Close(ctx); err != nil {
		n.log.Warn("the cluster was not left in time, others will clean up", "error", err)
	}
}
