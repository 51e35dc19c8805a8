package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

// Mode is the kind of installation. The zero value is Standalone.
type Mode uint8

// Kinds of installations.
const (
	Standalone Mode = iota // one server, or one address that always leads to it
	Sentinel               // Addresses are of sentinels, Master names the set
	Cluster                // Addresses are of some nodes of a Redis Cluster
)

// Options says how to reach Redis and how long to wait for it.
type Options struct {
	// Addresses are HOST:PORT. Empty means 127.0.0.1:6379.
	Addresses []string
	Mode      Mode
	Master    string // name of the master set; Sentinel only

	Username string
	Password string
	// SentinelUsername and SentinelPassword are for the sentinels themselves.
	SentinelUsername string
	SentinelPassword string
	Database         int         // 0 to 65535; a Cluster has only 0
	TLS              *tls.Config // nil means none

	// Prefix begins every key and topic. Installations that share a Redis need
	// different ones. Empty means "resound"; braces are not allowed.
	Prefix string

	// Topics is the number of bus topics, a power of two from 1,024. Zero means
	// 1,048,576. All nodes need the same.
	Topics int

	// Lease is how long a node that is not heard of keeps its state. It is renewed
	// six times as often. Zero means 6 s; at least 600 ms.
	Lease time.Duration

	// Timeout is how long one request to Redis may take, retries included, and how
	// long a connection may be built up. Beyond it Redis counts as lost. Zero means 2 s.
	Timeout time.Duration

	// MaxBackoff is the longest pause between attempts to reach Redis; the first is at
	// most 100 ms, and all are spread. Zero means 3 s.
	MaxBackoff time.Duration

	// SpoolPublications and SpoolBytes bound what waits to be published, a quarter
	// in each of four lanes; a channel belongs to one. Zero means 100,000 and 64 MiB.
	SpoolPublications int
	SpoolBytes        int

	// Owed reports whether a channel's edges must be told although this node dies:
	// Decided is then told of each until one of the calls has returned and what it put
	// into an Outbox is in Redis, an edge that is told twice with the same ID. A leave
	// waits for HoldBack, and is not told, nor is the arrival, when somebody comes back
	// meanwhile. Nil means that no channel's are: edges are told once, at once, and may
	// be lost. Called from any goroutine.
	Owed func(c cluster.Channel) bool

	// HoldBack is how long the leaves of channels that are Owed wait. Zero means 3 s,
	// negative means not at all.
	//
	// Pusher: webhooks, "delayed by up to three seconds".
	HoldBack time.Duration

	// Logger is told when Redis is lost and found. Nil means nobody.
	Logger *slog.Logger
}

const (
	defaultTopics = 1 << 20
	buckets       = 1 << 10
	minLease      = 600 * time.Millisecond
	heartbeats    = 6 // in a lease
)

func (o *Options) setDefaults() {
	if len(o.Addresses) == 0 {
		o.Addresses = []string{"127.0.0.1:6379"}
	}
	if o.Prefix == "" {
		o.Prefix = "resound"
	}
	if o.Topics == 0 {
		o.Topics = defaultTopics
	}
	if o.Lease == 0 {
		o.Lease = 6 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	if o.MaxBackoff == 0 {
		o.MaxBackoff = 3 * time.Second
	}
	if o.SpoolPublications == 0 {
		o.SpoolPublications = 100_000
	}
	if o.SpoolBytes == 0 {
		o.SpoolBytes = 64 << 20
	}
	switch {
	case o.HoldBack == 0:
		o.HoldBack = 3 * time.Second
	case o.HoldBack < 0:
		o.HoldBack = 0
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

func (o *Options) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	for _, address := range o.Addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			bad("address %q is not HOST:PORT", address)
		}
	}
	if o.Mode > Cluster {
		bad("mode %d is none of 0 to 2", o.Mode)
	}
	if (o.Mode == Sentinel) != (o.Master != "") {
		bad("sentinel needs the name of a master set, and only sentinel")
	}
	if o.Mode == Standalone && len(o.Addresses) > 1 {
		bad("%d addresses, but a standalone server has one", len(o.Addresses))
	}
	if o.Database < 0 || o.Database > 65535 || o.Mode == Cluster && o.Database != 0 {
		bad("database %d is out of range: 0 to 65535, and 0 in a cluster", o.Database)
	}
	if strings.ContainsAny(o.Prefix, "{}") {
		bad("prefix %q holds a brace", o.Prefix)
	}
	if o.Topics < buckets || o.Topics > 1<<31 || o.Topics&(o.Topics-1) != 0 {
		bad("%d topics: must be a power of two from %d", o.Topics, buckets)
	}
	if o.Lease < minLease {
		bad("lease %v is below %v", o.Lease, minLease)
	}
	if o.Timeout < 0 || o.MaxBackoff < 0 || o.SpoolPublications < 0 || o.SpoolBytes < 0 {
		bad("a limit is negative")
	}
	return errors.Join(problems...)
}

func (o *Options) client() rueidis.ClientOption {
	dialer := net.Dialer{Timeout: o.Timeout, KeepAlive: time.Second}
	c := rueidis.ClientOption{
		InitAddress:       o.Addresses,
		TLSConfig:         o.TLS,
		Dialer:            dialer,
		ConnWriteTimeout:  o.Timeout,
		Username:          o.Username,
		Password:          o.Password,
		SelectDB:          o.Database,
		ClientName:        "resound",
		DisableCache:      true,
		DisableRetry:      true, // a session retries by itself, with the same numbers
		ForceSingleClient: o.Mode == Standalone,
		// The lanes fill these buffers in one go; 64 KiB hold a batch of small events.
		ReadBufferEachConn:  64 << 10,
		WriteBufferEachConn: 64 << 10,
	}
	if o.Mode == Sentinel {
		c.Sentinel = rueidis.SentinelOption{
			Dialer:                  dialer,
			TLSConfig:               o.TLS,
			MasterSet:               o.Master,
			Username:                o.SentinelUsername,
			Password:                o.SentinelPassword,
			TopologyRefreshInterval: 5 * time.Second,
		}
	}
	if o.Mode == Cluster {
		c.ClusterOption.MaxMovedRedirections = 8
	}
	return c
}
