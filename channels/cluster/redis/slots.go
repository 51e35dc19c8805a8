package redis

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

const clusterSlots = 16384

// slotMap is the address of the master of each slot of a Redis Cluster, empty for a
// slot that none has.
type slotMap [clusterSlots]string

var slotSeed = maphash.MakeSeed()

// sum tells two maps apart.
func (m *slotMap) sum() uint64 {
	var h maphash.Hash
	h.SetSeed(slotSeed)
	for _, address := range m {
		_, _ = h.WriteString(address)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// askSlots asks the servers of a cluster for its slots, the one of that address first,
// until one answers. A silent one is given up after the timeout.
func askSlots(ctx context.Context, client rueidis.Client, first string, timeout time.Duration) (m *slotMap, err error) {
	servers := client.Nodes()
	order := slices.Collect(maps.Keys(servers))
	if i := slices.Index(order, first); i > 0 {
		order[0], order[i] = order[i], order[0]
	}
	err = errors.New("no server of the cluster is known")
	for _, address := range order {
		asked, cancel := context.WithTimeout(ctx, timeout)
		m, err = slotsOf(asked, servers[address], address)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return m, err
}

// slotsOf asks one server, whose address is needed: an endpoint without a host has
// the host at which the server was asked.
//
// Redis, CLUSTER SLOTS: "NULL for unknown endpoint".
func slotsOf(ctx context.Context, server rueidis.CoreClient, asked string) (*slotMap, error) {
	ranges, err := server.Do(ctx, server.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return nil, err
	}
	here, _, err := net.SplitHostPort(asked)
	if err != nil {
		return nil, err
	}
	m := new(slotMap)
	for _, r := range ranges {
		parts, err := r.ToArray()
		if err != nil || len(parts) < 3 {
			return nil, errors.New("the answer to cluster slots is not understood")
		}
		master, err := parts[2].ToArray()
		if err != nil || len(master) < 2 {
			return nil, errors.New("the answer to cluster slots is not understood")
		}
		host, _ := master[0].ToString()
		switch host {
		case "?": // a server that should tell its name and has none
			continue
		case "":
			host = here
		}
		address := net.JoinHostPort(host, strconv.FormatInt(int64Of(master[1]), 10))
		for slot := max(int64Of(parts[0]), 0); slot <= int64Of(parts[1]) && slot < clusterSlots; slot++ {
			m[slot] = address
		}
	}
	return m, nil
}
