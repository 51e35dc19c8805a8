package node

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strconv"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/redis"
	"resound/cmd/internal/config"
	"resound/cmd/internal/monitor"
)

const (
	// leaveTimeout is how long a stopping node tries to take back what it stated to
	// the cluster. What is left then ends with its lease.
	leaveTimeout = 5 * time.Second

	// maxRedisTimeout bounds one request: a node is to notice an outage soon.
	maxRedisTimeout = 2 * time.Second
)

// newCluster returns what connects the node with others, or nil for a node alone.
func (n *Node) newCluster(o *Options) (cluster.Adapter, error) {
	switch {
	case o.Cluster != nil:
		return o.Cluster, nil
	case !o.Config.Server.Scaling.Enabled:
		return nil, nil
	}
	r := redisOptions(&o.Config.Server.Scaling, o.Logger)
	r.Owed = func(c cluster.Channel) bool { return n.webhooks.Load().owes(c) }
	return redis.New(r)
}

func redisOptions(s *config.Scaling, log *slog.Logger) redis.Options {
	c := &s.Redis
	o := redis.Options{
		Addresses: []string{net.JoinHostPort(c.Host, strconv.Itoa(c.Port))},
		Username:  c.Username,
		Password:  c.Password,
		Database:  c.Database,
		Prefix:    c.Prefix + s.Channel,
		Timeout:   min(c.Timeout, maxRedisTimeout),
		Logger:    log,
	}
	switch {
	case len(c.Cluster) > 0:
		o.Mode, o.Addresses = redis.Cluster, c.Cluster
	case len(c.Sentinel.Addresses) > 0:
		o.Mode, o.Addresses, o.Master = redis.Sentinel, c.Sentinel.Addresses, c.Sentinel.Master
		o.SentinelUsername, o.SentinelPassword = c.Sentinel.Username, c.Sentinel.Password
	}
	if c.TLS {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}

// clusterSnapshot returns the state of Redis and, unless the node is alone, that of
// the cluster.
func (n *Node) clusterSnapshot() (string, *monitor.Cluster) {
	if n.cluster == nil {
		return monitor.RedisOff, nil
	}
	state, x := monitor.RedisConnected, n.cluster.Stats()
	if x.Degraded {
		state = monitor.RedisDegraded
	}
	return state, &monitor.Cluster{
		Nodes:      x.Nodes,
		Topics:     x.Topics,
		Spooled:    x.Spooled,
		Published:  x.Published,
		Received:   x.Received,
		Unwanted:   x.Unwanted,
		Junk:       x.Junk,
		Dropped:    x.Dropped,
		Unkept:     x.Unkept,
		Unheard:    x.Unheard,
		Fenced:     x.Fenced,
		Reconnects: x.Reconnect,
	}
}

func (n *Node) leaveCluster() {
	if n.cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := n.cluster.Leave(ctx); err != nil {
		n.log.Warn("the cluster was not left in time, others will clean up", "error", err)
	}
}

func (n *Node) closeCluster() {
	if n.cluster != nil {
		_ = n.cluster.Close(context.Background()) // after Leave it waits for nobody
	}
}
