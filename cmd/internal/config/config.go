package config

import (
	"net/netip"
	"time"
)

// Config is the validated configuration of one node. It is immutable by
// convention once Load has returned it.
type Config struct {
	Server Server
	// Apps has at least one app; ids and keys are unique.
	Apps []App
	// Development reports that no credentials were configured anywhere and that
	// the only app has generated ones, good for this run.
	Development bool

	Debug  bool // from Flags
	Daemon bool // from Flags

	// ConfigFile and EnvFile are the files that were read; empty when none was.
	ConfigFile string
	EnvFile    string

	origins map[string]string
}

// Origin says where the value of a key comes from, for people: "flag --port",
// "environment REVERB_SERVER_PORT", ".env REVERB_SERVER_PORT",
// "reverb.json servers.reverb.port", "generated" or "default". The key is the full path,
// such as "servers.reverb.port" or "apps.apps[0].secret"; an unknown key has
// the empty origin.
func (c *Config) Origin(key string) string { return c.origins[key] }

// Server is the configuration of the node itself (`servers.reverb`).
type Server struct {
	Host     string // IP address or host name to listen on, without brackets
	Port     int    // 0: the kernel chooses
	Path     string // "" or "/prefix", never with a slash at the end
	Hostname string // public name, for messages only; may be empty

	MaxRequestBytes        int64
	MaxConnections         int // 0: from the file-descriptor limit
	MaxOutboundBytes       int
	Compression            bool
	MaxPendingPublications int
	MaxPendingBytes        int64
	Workers                int // reactors; 0: one per CPU

	HandshakeTimeout time.Duration
	MaxLag           time.Duration // 0: no limit
	DrainTimeout     time.Duration // 0: no waiting

	VerifyTimestamp bool
	ReusePort       bool

	TrustedProxies           []netip.Prefix // masked; empty: no proxy is trusted; of no bits: whoever connects
	ProxyProtocol            ProxyProtocol
	UnixSocket               string // path; empty: none
	UnixSocketMode           string // octal
	MaxConnectionsPerAddress int    // 0: no limit
	MaxHandshakesPerAddress  int    // in a second; 0: no limit

	DenyPrivateWebhooks bool   // webhooks go to the public internet only
	WebhookStore        string // file; empty: the node chooses

	Control       string // path of the control socket; empty: one per port
	MetricsCompat string // "soketi", or empty

	Monitoring Monitoring
	TLS        TLS
	PlainPort  int // second port without TLS beside one with; 0: none
	Scaling    Scaling
}

// ProxyProtocol says whether trusted proxies send a PROXY header.
type ProxyProtocol string

// The values of ProxyProtocol.
const (
	ProxyProtocolOff      ProxyProtocol = "false"
	ProxyProtocolRequired ProxyProtocol = "true"
	ProxyProtocolOptional ProxyProtocol = "optional"
)

// Monitoring is what the node tells of itself (`servers.reverb.monitoring`).
type Monitoring struct {
	MetricsAccess MetricsAccess
	MetricsToken  string // empty: none is asked for
	Profiling     bool   // pprof on the control socket

	// Shares, in percent, above which GET /accept-traffic answers 503.
	MemoryThreshold     int
	ConnectionThreshold int

	Storage string // file of the history, or "off"; empty: the node chooses

	Dashboard         bool   // is served
	DashboardPassword string // empty: a link that works once
	Environment       string // "local": the dashboard asks for nothing

	SlackURL   string // empty: none
	WebhookURL string // empty: none
	SMTP       string // URL with credentials; empty: none
	MailFrom   string
	MailTo     []string

	Alerts []Alert // in the order of their names
}

// Alert says when somebody is told of a figure (`monitoring.alerts.NAME`).
type Alert struct {
	Name      string
	Metric    string // a series of the history
	Threshold *float64
	Clear     *float64 // where the alert ends; nil: a tenth nearer to where all is well
	Below     bool     // the figure is bad below the threshold, not above
	For       time.Duration
	Channels  []string // "slack", "email", "webhook"
}

// MetricsAccess says who may read /metrics on the server's port without a token.
type MetricsAccess string

// The values of MetricsAccess.
const (
	// MetricsAccessLocal lets programs of this host that connect directly.
	MetricsAccessLocal MetricsAccess = "local"
	// MetricsAccessPublic lets everybody.
	MetricsAccessPublic MetricsAccess = "public"
	// MetricsAccessOff lets nobody, not even with the token.
	MetricsAccessOff MetricsAccess = "off"
)

// TLS names the certificate of the node (`servers.reverb.options.tls`).
type TLS struct {
	CertFile   string // PEM, certificate chain; empty with KeyFile: no TLS, unless Herd or Valet have one
	KeyFile    string // PEM, private key; empty: in CertFile
	Passphrase string // of KeyFile
}

// Scaling is how nodes reach each other (`servers.reverb.scaling`).
type Scaling struct {
	Enabled  bool
	Channel  string // begins what the cluster uses in Redis, behind Redis.Prefix
	OnOutage OnOutage
	Redis    Redis
}

// OnOutage says what a node does while Redis is out of reach.
type OnOutage string

// The values of OnOutage.
const (
	// OnOutageServe delivers on this node at once and on the others later.
	OnOutageServe OnOutage = "serve"
	// OnOutageRefuse answers triggers and GET /ready with 503.
	OnOutageRefuse OnOutage = "refuse"
)

// Redis is how to reach Redis (`servers.reverb.scaling.server`). With scaling,
// what URL and Host say beyond a host name is in the other fields.
type Redis struct {
	URL      string
	Host     string
	Port     int
	Username string
	Password string
	Database int
	Timeout  time.Duration
	Scheme   string // as in Laravel; "tls" or "rediss" sets TLS
	TLS      bool
	Prefix   string

	// Cluster is HOST:PORT of some nodes of a Redis Cluster; Sentinel.Addresses
	// are those of sentinels. At most one of them is not empty, and Host and Port
	// do not count then.
	Cluster  []string
	Sentinel Sentinel
}

// Sentinel is how to find a server through sentinels.
type Sentinel struct {
	Addresses []string
	Master    string
	Username  string
	Password  string
}

// App is one app (`apps.apps[]`): who may connect and its limits.
// In limits, 0 means that there is none.
type App struct {
	ID     string
	Key    string
	Secret string

	Enabled bool
	// EncryptionMasterKey has 32 bytes, or none when the app has no key.
	EncryptionMasterKey []byte

	// AllowedOrigins are globs for the host of an Origin header. "*" allows every
	// origin; an empty list allows none.
	AllowedOrigins []string

	PingInterval    time.Duration
	ActivityTimeout time.Duration // whole seconds, at least one

	MaxConnections                int
	MaxSubscriptionsPerConnection int
	MaxCachedBytes                int64

	MaxMessageBytes        int64
	MaxEventBytes          int64
	MaxChannelNameBytes    int
	MaxEventNameBytes      int
	MaxEventChannels       int
	MaxBatchEvents         int
	MaxPresenceMembers     int
	MaxPresenceMemberBytes int
	ClientEventsPerSecond  int
	BackendEventsPerSecond int
	ReadRequestsPerSecond  int
	MaxUserIDBytes         int
	MaxWatchlist           int
	SubscriptionCount      bool
	Watchlist              bool

	AuthorizedConnectionsTimeout time.Duration // 0: never

	StrictInfo bool
	Auth       Auth

	CacheTTL                   time.Duration
	AcceptClientEventsFrom     ClientEventsFrom
	ClientEventsPublicChannels bool

	RateLimiting RateLimiting

	Webhooks []Webhook
}

// Webhook says which events of an app go where (`apps.apps[].webhooks[]`).
type Webhook struct {
	URL           string
	EventTypes    []string // empty: all
	ChannelPrefix string
	ChannelSuffix string
	Headers       map[string]string
}

// ClientEventsFrom says whose client events an app relays.
type ClientEventsFrom string

// The values of ClientEventsFrom.
const (
	// ClientEventsFromMembers relays events of subscribers of the channel.
	ClientEventsFromMembers ClientEventsFrom = "members"
	// ClientEventsFromAll relays events of every connection of the app.
	ClientEventsFromAll ClientEventsFrom = "all"
	// ClientEventsFromNone relays none.
	ClientEventsFromNone ClientEventsFrom = "none"
)

// RateLimiting bounds the messages of one connection: MaxAttempts per Decay.
type RateLimiting struct {
	Enabled          bool
	MaxAttempts      int
	Decay            time.Duration
	TerminateOnLimit bool // close the connection instead of dropping the message
}

// Auth is the shield between browsers and the application's authorization
// (`apps.apps[].auth`).
type Auth struct {
	Upstream    string // http or https URL; empty: off
	CacheTTL    time.Duration
	Timeout     time.Duration
	MaxInFlight int
}

// Flags are the flags of the start command. A nil pointer is a flag that was
// not given.
type Flags struct {
	Host, Path, Hostname *string
	Port, Workers        *int
	Debug, Daemon        bool

	// ConfigFile is YAML or JSON in the shape of Laravel's config('reverb');
	// empty means none. Relative names start at the working directory.
	ConfigFile string
	// EnvFile must exist when it is set; empty means ".env", if there is one.
	EnvFile string
}

// values returns the given flags by name, without dashes.
func (f Flags) values() map[string]any {
	given := map[string]any{}
	for name, text := range map[string]*string{"host": f.Host, "path": f.Path, "hostname": f.Hostname} {
		if text != nil {
			given[name] = *text
		}
	}
	for name, number := range map[string]*int{"port": f.Port, "workers": f.Workers} {
		if number != nil {
			given[name] = int64(*number)
		}
	}
	return given
}

// Warning is something in the configuration that has no effect or probably not
// the wanted one. It never contains a secret.
type Warning struct {
	Key  string // configuration key or environment name
	Text string // what about it
}

// String returns "key: text".
func (w Warning) String() string { return w.Key + ": " + w.Text }
