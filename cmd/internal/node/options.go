package node

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"resound/channels"
	"resound/channels/cluster"
	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/pusher"
)

// Options of a Node.
type Options struct {
	Config  *config.Config
	Logger  *slog.Logger                    // nil discards
	Trace   func(what, who, payload string) // see pusher.Options.Trace
	Version string

	// Reactors is the number of event loops; zero means that of the configuration.
	Reactors int

	// Load reads the configuration again, for Reload. Nil: it cannot be.
	Load func() (*config.Config, []config.Warning, error)

	// Successor starts a process that listens on the port beside this one, for
	// Restart. Nil: it cannot be.
	Successor func(ctx context.Context, port int) (Successor, error)

	// Predecessor is closed when the process has ended whose Successor this one
	// is. Nil: there was none.
	Predecessor <-chan struct{}

	// PredecessorLink leads to the Successor.Link of the predecessor. Nil: there is
	// none. It is the node's from New on.
	PredecessorLink net.Conn

	// HistoryPath is the file in which the node keeps its history, empty for none.
	HistoryPath string

	// Control makes the control socket of a node on a port. It may return neither
	// a listener nor an error; so may Options: there is no control socket then.
	Control func(port int) (*control.Listener, error)
	// Cluster connects the node with others. Nil means as Config says.
	Cluster cluster.Adapter
}

// limits are what the descriptors of the process allow.
type limits struct {
	sockets     int64 // above, a new socket is closed at once
	connections int64 // above, a WebSocket is told 4100
}

const (
	// reservedDescriptors is kept for listeners, event loops, files and the
	// moment a connection is duplicated.
	reservedDescriptors = 64

	// descriptorsPerReactor is what an event loop needs for itself.
	descriptorsPerReactor = 12

	// minSockets is the least a node starts with.
	minSockets = 16

	// httpShare is the part of the sockets, one in so many, that WebSocket
	// connections leave to the HTTP API by default.
	httpShare = 16
)

// limitsOf derives the limits from the process's descriptor limit. A configured
// number of connections that cannot be reached is an error.
func limitsOf(wanted int, reactors int) (limits, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return limits{}, fmt.Errorf("file descriptor limit: %w", err)
	}
	return limitsFor(int64(min(r.Cur, math.MaxInt64/2)), int64(wanted), int64(reactors))
}

func limitsFor(descriptors, wanted, reactors int64) (limits, error) {
	l := limits{sockets: descriptors - reservedDescriptors - reactors*descriptorsPerReactor}
	if l.sockets < minSockets {
		return l, fmt.Errorf("the file descriptor limit of %d is too low for %d event loops: raise it (ulimit -n, or LimitNOFILE= in systemd)", descriptors, reactors)
	}
	l.connections = l.sockets - l.sockets/httpShare
	if wanted > 0 {
		l.connections = wanted
	}
	if wanted > l.sockets {
		return l, fmt.Errorf("max_connections %d needs more file descriptors than the limit of %d allows: raise it (ulimit -n, or LimitNOFILE= in systemd) or lower max_connections to %d",
			wanted, descriptors, l.sockets-l.sockets/httpShare)
	}
	return l, nil
}

// Reactors is the number of event loops for a configured number of workers, 0
// being one for each CPU that the process may use.
func Reactors(workers int) int {
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return min(workers, channels.MaxReactors)
}

// appConfigs are the apps as the protocol wants them.
func appConfigs(c *config.Config) []pusher.AppConfig {
	apps := make([]pusher.AppConfig, 0, len(c.Apps))
	for i := range c.Apps {
		apps = append(apps, appConfig(&c.Apps[i]))
	}
	return apps
}

// appConfig maps an app's configuration, in which 0 means no limit, to the
// protocol's, in which 0 means the default.
func appConfig(a *config.App) pusher.AppConfig {
	o := pusher.AppOptions{
		Disabled:                       !a.Enabled,
		AllowedOrigins:                 a.AllowedOrigins,
		PingInterval:                   a.PingInterval,
		ActivityTimeout:                a.ActivityTimeout,
		MaxConnections:                 int64(a.MaxConnections),
		MaxMessageBytes:                limit(int(a.MaxMessageBytes)),
		ClientEventsFrom:               clientEvents[a.AcceptClientEventsFrom],
		NoClientEventsOnPublicChannels: !a.ClientEventsPublicChannels,
		MaxClientEventsPerSecond:       a.ClientEventsPerSecond,
		CacheTTL:                       a.CacheTTL,
		MaxPresenceMembers:             a.MaxPresenceMembers,
		MaxPresenceMemberBytes:         limit(a.MaxPresenceMemberBytes),
		MaxChannelNameBytes:            limit(a.MaxChannelNameBytes),
		MaxEventNameBytes:              limit(a.MaxEventNameBytes),
		MaxSubscriptionsPerConnection:  limit(a.MaxSubscriptionsPerConnection),
		MaxCachedBytes:                 limit(int(a.MaxCachedBytes)),
		MaxEventChannels:               limit(a.MaxEventChannels),
		MaxBatchEvents:                 limit(a.MaxBatchEvents),
		MaxEventBytes:                  int(a.MaxEventBytes),
		MaxBackendEventsPerSecond:      a.BackendEventsPerSecond,
		MaxReadRequestsPerSecond:       a.ReadRequestsPerSecond,
		SubscriptionCount:              a.SubscriptionCount,
		Watchlist:                      a.Watchlist,
		MaxWatchlist:                   a.MaxWatchlist,
		MaxUserIDBytes:                 a.MaxUserIDBytes,
		AuthorizedConnectionsTimeout:   a.AuthorizedConnectionsTimeout,
		EncryptionMasterKey:            a.EncryptionMasterKey,
		StrictInfo:                     a.StrictInfo,
		AuthShield: pusher.AuthShield{
			Upstream:    a.Auth.Upstream,
			CacheTTL:    a.Auth.CacheTTL,
			Timeout:     a.Auth.Timeout,
			MaxInFlight: a.Auth.MaxInFlight,
		},
	}
	if len(o.AllowedOrigins) == 0 {
		o.AllowedOrigins = []string{""} // matches no host
	}
	if a.RateLimiting.Enabled {
		o.RateLimit = pusher.RateLimit{
			MaxAttempts: a.RateLimiting.MaxAttempts,
			Decay:       a.RateLimiting.Decay,
			Terminate:   a.RateLimiting.TerminateOnLimit,
		}
	}
	return pusher.AppConfig{ID: a.ID, Key: a.Key, Secret: a.Secret, Options: o}
}

// limit maps "0 is none" to "negative is none".
func limit(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// orNever maps "0 is never" to "negative is never".
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

var clientEvents = map[config.ClientEventsFrom]pusher.ClientEvents{
	config.ClientEventsFromMembers: pusher.ClientEventsFromMembers,
	config.ClientEventsFromAll:     pusher.ClientEventsFromAll,
	config.ClientEventsFromNone:    pusher.ClientEventsFromNone,
}
