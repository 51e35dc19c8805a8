package pusher

import (
	"crypto/subtle"
	"math"
	"sync/atomic"
	"time"

	"resound/auth"
	"resound/channels"
)

// ClientEvents says from whom an app accepts client events.
type ClientEvents uint8

const (
	ClientEventsFromMembers ClientEvents = iota // the sender must subscribe to the channel
	ClientEventsFromAll                         // any connection of the app
	ClientEventsFromNone                        // 4301
)

// AppOptions are one app's limits and switches. Immutable; replaced as a whole
// on reload. Every zero value is the documented default; where that is a number,
// a negative one means no limit.
type AppOptions struct {
	Disabled       bool     // new connections get 4003, the HTTP API 403
	AllowedOrigins []string // glob patterns of host names; empty or containing "*" allows all

	PingInterval    time.Duration // silence before the server pings; zero means 60 s
	PongTimeout     time.Duration // wait for any reply to a ping; zero means 30 s
	ActivityTimeout time.Duration // told to clients; whole seconds, zero means 30 s

	MaxConnections  int64 // 4004 above; zero means no limit
	MaxMessageBytes int   // 1009 above; zero means 10,000

	ClientEventsFrom ClientEvents
	// NoClientEventsOnPublicChannels forbids client events outside private and
	// presence channels, as Pusher does. Reverb allows them.
	NoClientEventsOnPublicChannels bool
	MaxClientEventsPerSecond       int // per connection, 4301 above; zero means no limit

	RateLimit RateLimit

	CacheTTL                      time.Duration // life of a cache channel's last event; zero means 30 min
	MaxPresenceMembers            int           // zero means no limit
	MaxPresenceMemberBytes        int           // bytes of channel_data; zero means 2,048
	MaxChannelNameBytes           int           // zero means 200
	MaxEventNameBytes             int           // zero means 200
	MaxSubscriptionsPerConnection int           // zero means 10,000
	MaxCachedBytes                int           // memory of last events; zero means 64 MiB

	// Limits of the HTTP API.
	MaxEventChannels          int // channels of one trigger; zero means 100
	MaxBatchEvents            int // events of one batch; zero means 10
	MaxEventBytes             int // data of one event, 413 above; zero means no limit but the request's
	MaxBackendEventsPerSecond int // 429 above; zero means no limit
	MaxReadRequestsPerSecond  int // 429 above; zero means no limit

	// StrictInfo makes the HTTP API answer 400 to a query for an attribute that
	// does not apply, as Pusher does. Reverb leaves the attribute out.
	StrictInfo bool

	AuthShield AuthShield

	// SubscriptionCount sends subscription_count events; Watchlist sends online
	// and offline events to who signs in with a watchlist.
	SubscriptionCount bool
	Watchlist         bool
	MaxWatchlist      int // ids of a watchlist, 4302 above; zero means 100
	MaxUserIDBytes    int // of sign-in and presence; zero means 128

	// AuthorizedConnectionsTimeout closes, with 4009, a connection that neither
	// signs in nor subscribes to a private channel in time. Zero means never.
	AuthorizedConnectionsTimeout time.Duration

	// EncryptionMasterKey is 32 bytes or empty; the signed auth endpoint derives
	// shared secrets of private-encrypted- channels from it.
	EncryptionMasterKey []byte
}

// AuthShield lets browsers ask the node for signatures instead of the
// application: the node asks the application, once for many, and signs itself.
// The zero value is off.
type AuthShield struct {
	// Upstream is the http or https URL of the application's own channel
	// authorization, "http://127.0.0.1:8000/broadcasting/auth" for one. Empty
	// means off.
	Upstream string

	CacheTTL    time.Duration // a grant is reused so long; zero means not at all
	Timeout     time.Duration // of a question, waiting for its turn included; zero means 5 s
	MaxInFlight int           // questions at a time, more wait for their turn; zero means 64
}

// RateLimit is a fixed window per connection over every message it sends. The
// zero value is off.
//
// Reverb: apps.apps[].rate_limiting.
type RateLimit struct {
	MaxAttempts int
	Decay       time.Duration // length of a window, whole seconds
	Terminate   bool          // close the connection when the limit is hit
}

func (o *AppOptions) withDefaults() *AppOptions {
	d := *o
	orDuration(&d.PingInterval, time.Minute)
	orDuration(&d.PongTimeout, 30*time.Second)
	orDuration(&d.ActivityTimeout, 30*time.Second)
	orDuration(&d.CacheTTL, 30*time.Minute)
	orInt(&d.MaxMessageBytes, 10_000)
	orInt(&d.MaxPresenceMemberBytes, 2048)
	orInt(&d.MaxChannelNameBytes, 200)
	orInt(&d.MaxEventNameBytes, 200)
	orInt(&d.MaxSubscriptionsPerConnection, 10_000)
	orInt(&d.MaxCachedBytes, 64<<20)
	orInt(&d.MaxWatchlist, 100)
	orInt(&d.MaxUserIDBytes, 128)
	orInt(&d.MaxEventChannels, 100)
	orInt(&d.MaxBatchEvents, 10)
	orDuration(&d.AuthShield.Timeout, 5*time.Second)
	if d.AuthShield.MaxInFlight == 0 {
		d.AuthShield.MaxInFlight = 64
	}
	return &d
}

func orDuration(d *time.Duration, def time.Duration) {
	if *d == 0 {
		*d = def
	}
}

// orInt fills in a limit: zero is the default, negative means none.
func orInt(n *int, def int) {
	switch {
	case *n == 0:
		*n = def
	case *n < 0:
		*n = math.MaxInt
	}
}

// AppConfig is what an app is made from.
type AppConfig struct {
	ID, Key, Secret string
	Options         AppOptions
}

// App is one tenant of the node. Its state lives as long as its id is
// configured; options may be replaced meanwhile. Safe for concurrent use.
type App struct {
	ID string

	node        *Node
	directory   *channels.Directory
	users       *channels.Users
	counts      counts
	credentials atomic.Pointer[credentials]
	options     atomic.Pointer[AppOptions]
	connections atomic.Int64
	stats       appCounters
	stated      atomic.Int64 // connections that the cluster was told of
	closed      atomic.Int32 // reactors on which a removed app is forgotten
}

// credentials of an app. Immutable.
type credentials struct {
	key    string
	secret *auth.Secret
}

// newApp makes an app. Node.reloading is held, so that no outage begins or ends
// before the app is in the table.
func (n *Node) newApp(c AppConfig) *App {
	a := &App{ID: c.ID, node: n}
	a.users = channels.NewUsers(a.tellWatchers)
	a.directory = channels.NewDirectory(edges{a, true})
	a.directory.TellRostersAsText(appendMember)
	a.configure(c)
	if c := n.bus(); c != nil {
		a.connect(c)
	}
	if n.degraded.Load() {
		a.cut() // the outage was told before there was this app
	}
	return a
}

// configure puts a configuration with the app's id into force.
func (a *App) configure(c AppConfig) {
	a.credentials.Store(&credentials{key: c.Key, secret: auth.NewSecret(c.Secret)})
	o := c.Options.withDefaults()
	a.directory.LimitCache(int64(o.MaxCachedBytes))
	a.options.Store(o)
}

// Key is the app's public key.
func (a *App) Key() string { return a.credentials.Load().key }

// Secret is what signs for the app.
func (a *App) Secret() *auth.Secret { return a.credentials.Load().secret }

// Options returns the options in force, defaults filled in. Immutable.
func (a *App) Options() *AppOptions { return a.options.Load() }

// signature takes the signature out of "key:signature". ok is false unless the
// key is the app's.
func (a *App) signature(signed string) (signature string, ok bool) {
	key, signature, ok := auth.SplitAuth(signed)
	return signature, ok && subtle.ConstantTimeCompare([]byte(key), []byte(a.Key())) == 1
}

// Directory is what the node knows of the app's channels.
func (a *App) Directory() *channels.Directory { return a.directory }

// Connections is the number of open connections of the app on this node.
func (a *App) Connections() int64 { return a.connections.Load() }

// admit counts a connection unless the app is at its limit, which is that of the
// whole cluster.
func (a *App) admit(limit int64) bool {
	if n := a.connections.Add(1); limit > 0 && n+a.elsewhere() > limit {
		a.connections.Add(-1)
		return false
	}
	return true
}

func (a *App) release() { a.connections.Add(-1) }
