package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"resound/channels"
	"resound/pusher"
)

// Node is what the API asks of the node; *pusher.Node is one. Safe for concurrent
// use.
type Node interface {
	// AppByID returns nil for an unknown id.
	AppByID(id string) *pusher.App

	// AppByKey returns nil for an unknown public key.
	AppByKey(key string) *pusher.App

	// Apps calls yield with every app until it returns false.
	Apps(yield func(*pusher.App) bool)

	// Trigger keeps nothing of the event. Its only error is pusher.ErrOverloaded.
	Trigger(app *pusher.App, event pusher.Event) error

	// Overloaded reports whether Trigger would refuse one of the channels now.
	Overloaded(app *pusher.App, channels []string) bool

	// TerminateUser may keep userID. Its only error is pusher.ErrOverloaded.
	TerminateUser(app *pusher.App, userID string) error

	// Channel, AppendChannels, Channels, Members and AppConnections tell of the whole
	// cluster, and of the node alone when there is none or it does not answer.
	Channel(app *pusher.App, name string) channels.Occupancy
	AppendChannels(dst []channels.Occupancy, app *pusher.App, names []string) []channels.Occupancy
	Channels(app *pusher.App, prefix string) ([]channels.NamedOccupancy, error)
	Members(app *pusher.App, name string) (members []*channels.Member, ok bool)
	AppConnections(app *pusher.App) int64

	Now() time.Time
	Draining() bool
	OverCapacity() bool

	// Degraded reports whether the other nodes are out of reach.
	Degraded() bool
}

// Options of a Server. Every zero value is the documented default.
type Options struct {
	// Node answers for the apps. Required.
	Node Node

	// Path stands before every route, as "/ws" in "/ws/apps/1/events". Empty
	// means none.
	//
	// Reverb: servers.reverb.path.
	Path string

	// MaxRequestBytes bounds a body, 413 above. Zero means 10,000.
	//
	// Reverb: servers.reverb.max_request_size.
	// Departs: Reverb counts the request line and the headers too.
	MaxRequestBytes int

	MaxHeaderBytes int // request line and headers, 431 above; zero means 8,192
	MaxConnections int // open at a time, 503 above; zero means 16,384

	ReadTimeout  time.Duration // for a whole request; zero means 10 s
	WriteTimeout time.Duration // for a response; zero means 10 s
	IdleTimeout  time.Duration // between requests; zero means 75 s, longer than the 60 s of usual proxies

	// SkipTimestampCheck accepts signatures of any age, as Reverb does. Otherwise
	// auth_timestamp may be 600 s old or ahead.
	SkipTimestampCheck bool

	// RefuseDegraded answers triggers and GET /ready with 503 while the other nodes
	// of the cluster are out of reach. Otherwise what is triggered is delivered on
	// this node at once and on the others when they are back.
	RefuseDegraded bool

	// Fallback is for clients that cannot speak WebSocket.
	Fallback FallbackOptions

	// Ready tells what GET /ready answers besides draining and over capacity,
	// which the node knows. Nil means ready.
	Ready func() Readiness

	// Metrics are those of GET /metrics.
	Metrics MetricsOptions

	// RecordMetrics takes metrics of POST /apps/{id}/metrics: all or, with an error
	// that says what is wrong with them, none. Nil answers 404.
	RecordMetrics func(app *pusher.App, metrics []CustomMetric) error

	// Console answers /reverb and what is one segment below it. It sees paths without
	// Path, and must end streams before Shutdown. Nil answers 404.
	Console http.Handler

	// TooMuch says why the node should get no more traffic, for GET
	// /accept-traffic. Empty, and nil, mean that it may.
	TooMuch func() string

	// Client tells who sent a request with these X-Forwarded-For lines on a
	// connection, as the listener accepted it, and whether it did so directly: no
	// proxy spoke for it. The zero address is nobody's. Nil: the connection knows.
	Client func(via net.Conn, forwardedFor [][]byte) (client netip.AddrPort, direct bool)

	// Upgrade takes a connection, as the listener accepted it, whose request is a
	// WebSocket handshake; head is the complete head, owned. The connection is
	// closed when Upgrade returns. Nil answers 426.
	Upgrade func(c net.Conn, head []byte) error

	// Version is shown by GET /ready unless it is empty.
	Version string

	// Logger gets panics at error and the faults of peers at debug. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Readiness is what a load balancer should know of the node.
type Readiness struct {
	// Waiting says why no traffic should come yet, "starting" for one. Empty
	// means that it may.
	Waiting string

	// Degraded names what is away while the node goes on serving. Empty means
	// nothing, or "redis" when the cluster is out of reach. It does not make the
	// node unready: a load balancer would take every node out at once.
	Degraded string
}

func (o Options) withDefaults() (Options, error) {
	if o.Node == nil {
		return o, errors.New("options have no Node")
	}
	for _, limit := range []struct {
		name  string
		value *int
		zero  int
	}{
		{"MaxRequestBytes", &o.MaxRequestBytes, 10_000},
		{"MaxHeaderBytes", &o.MaxHeaderBytes, 8192},
		{"MaxConnections", &o.MaxConnections, 16_384},
	} {
		if *limit.value < 0 {
			return o, fmt.Errorf("%s is %d, want a positive number or 0 for %d", limit.name, *limit.value, limit.zero)
		}
		if *limit.value == 0 {
			*limit.value = limit.zero
		}
	}
	for _, timeout := range []struct {
		name  string
		value *time.Duration
		zero  time.Duration
	}{
		{"ReadTimeout", &o.ReadTimeout, 10 * time.Second},
		{"WriteTimeout", &o.WriteTimeout, 10 * time.Second},
		{"IdleTimeout", &o.IdleTimeout, 75 * time.Second},
	} {
		if *timeout.value < 0 {
			return o, fmt.Errorf("%s is %v, want a positive duration or 0 for %v", timeout.name, *timeout.value, timeout.zero)
		}
		if *timeout.value == 0 {
			*timeout.value = timeout.zero
		}
	}
	if o.Path = strings.Trim(o.Path, "/"); o.Path != "" {
		o.Path = "/" + o.Path
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var err error
	o.Fallback, err = o.Fallback.withDefaults()
	return o, err
}
