package local_test

import (
	"context"
	"testing"

	"resound/channels/cluster"
	"resound/channels/cluster/clustertest"
	"resound/channels/cluster/local"
)

// hubCluster puts a Hub under the suite of all adapters.
type hubCluster struct{ *local.Hub }

func (h hubCluster) Node(t *testing.T) cluster.Adapter {
	a := h.NewAdapter()
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a
}

func (h hubCluster) Kill(a cluster.Adapter) { h.Hub.Kill(a.(*local.Adapter)) }

func (h hubCluster) Pause(a cluster.Adapter) {
	h.Hub.Pause(a.(*local.Adapter))
	h.Fence(a.(*local.Adapter))
}

func (h hubCluster) Resume(a cluster.Adapter)                        { h.Hub.Resume(a.(*local.Adapter)) }
func (h hubCluster) Junk(*testing.T, cluster.Channel) (messages int) { return 0 }

func TestHubKeepsTheContract(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		clustertest.Run(t, func(*testing.T) clustertest.Cluster { return hubCluster{local.NewHub()} })
	})
	t.Run("shuffled", func(t *testing.T) {
		clustertest.Run(t, func(*testing.T) clustertest.Cluster { return hubCluster{local.NewShuffledHub(7)} })
	})
}
