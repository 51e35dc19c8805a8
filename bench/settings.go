package bench

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"resound/bench/process"
	"resound/bench/wire"
)

// Settings says what to measure and how. The zero value of each field is the
// default it names; scenarios ignore what does not concern them.
type Settings struct {
	// The server: either Spawn, or Target and App.
	Target string   `json:"target,omitempty"` // ws://HOST:PORT[/PREFIX]
	App    wire.App `json:"-"`
	PIDs   []int    `json:"-"`               // the server's processes. None: its CPU and memory are not measured.
	API    string   `json:"api,omitempty"`   // ws://HOST:PORT[/PREFIX] of the node that gets the triggers. Empty means Target.
	Spawn  string   `json:"spawn,omitempty"` // path of a resound binary to start on a free port

	Floor     bool   `json:"floor"`
	FloorKind string `json:"floor_kind,omitempty"` // FloorC or FloorGo. "" means C where there is a compiler.
	Threads   int    `json:"threads"`              // of the floor, and workers of a spawned server. Zero means one per core.

	Connections  int           `json:"connections"`              // Zero means the scenario's default.
	Channels     int           `json:"channels,omitempty"`       // distinct ones. Zero means the scenario's default.
	PayloadBytes int           `json:"payload_bytes,omitempty"`  // of each event's data. Zero means 100.
	Burst        int           `json:"burst,omitempty"`          // fanout: events per batch, 2 to 10. Zero means single events alone.
	Events       int           `json:"events,omitempty"`         // fanout: per round, instead of Duration. Zero means by Duration.
	Overload     int           `json:"overload,omitempty"`       // fanout: publishers at a time, up to 32. Zero means single events.
	Rate         float64       `json:"rate,omitempty"`           // per second: deliveries, or client events. Zero means the scenario's default.
	Load         float64       `json:"load,omitempty"`           // latency: share of the measured fan-out rate, instead of Rate. Zero means by Rate.
	Watchers     int           `json:"watchers,omitempty"`       // storm: subscribers that stay. Zero means 500.
	Duration     time.Duration `json:"round_nanos,omitempty"`    // of a round; soak: of the whole. Zero means 3 s; soak: 1 h; million: of the hold, 3 min.
	Rounds       int           `json:"rounds,omitempty"`         // Zero means 5.
	PerProcess   int           `json:"per_process,omitempty"`    // connections of one client process. Zero means as many as its descriptors allow.
	PerServer    int           `json:"per_server,omitempty"`     // million: connections of one server process, on average. Zero means 85 % of its descriptors.
	PingInterval time.Duration `json:"ping_nanos,omitempty"`     // million: silence after which the server pings. Zero means 60 s.
	InFlight     int           `json:"in_flight,omitempty"`      // handshakes under way. Zero means 256.
	Sources      []string      `json:"sources,omitempty"`        // addresses to connect from, each for 10,000 connections
	MaxMemoryMiB int           `json:"max_memory_mib,omitempty"` // of the server at any moment; more fails the run. Zero means no limit.
	Timeout      time.Duration `json:"timeout_nanos"`            // of the whole run. Zero means 5 min, 30 for million.

	// Self starts this program again; the name of a subcommand is appended to Args.
	Self process.Command `json:"-"`

	// deliveryTimeout is how long the subscribers of one event, or of one burst, may
	// wait for it before it counts as lost. Zero means 15 s.
	deliveryTimeout time.Duration

	// settleWindow is how long memory must not change to count as settled. Zero
	// means 4 s.
	settleWindow time.Duration

	// stormRetry is how long a refused client waits. Zero means 1 s.
	//
	// Pusher: pusher-js tries again 1 s after a lost connection and after 4100.
	stormRetry time.Duration

	// sampleInterval is that of Result.Series. Zero means 0.5 s.
	sampleInterval time.Duration

	// Progress gets a line per step. Nil means none. A Stepper is told how far the run
	// is, too.
	Progress io.Writer `json:"-"`
}

// Stepper is a Settings.Progress that shows how far a run is. Its methods are called by
// one goroutine at a time.
type Stepper interface {
	io.Writer

	// Step says that done of about total rounds are measured. total grows while the
	// first ones show how many belong together.
	Step(done, total int)
}

// Names of the hidden subcommands that Settings.Self must understand.
const (
	SubcommandClient    = "client"     // population.Serve on standard input and output
	SubcommandFloor     = "floor"      // floor.Serve; flags --threads, --channel, --payload, --packed
	SubcommandFloorHTTP = "floor-http" // floor.ServeHTTP; flags --secret, --threads
	SubcommandReceiver  = "receiver"   // receiver.Serve on standard input and output
)

const (
	defaultPayloadBytes    = 100
	defaultDuration        = 3 * time.Second
	defaultRounds          = 5
	defaultTimeout         = 5 * time.Minute
	defaultDeliveryTimeout = 15 * time.Second
	defaultSettleWindow    = 4 * time.Second
	defaultSampleInterval  = 500 * time.Millisecond
	defaultStormRetry      = time.Second
	connectionsPerChannel  = 100
	defaultTriggerCallers  = 64

	defaultFanoutConnections  = 10_000
	defaultIdleConnections    = 15_000
	defaultOpenConnections    = 5_000
	defaultSpreadChannels     = 10_000
	defaultLatencyConnections = 1_000
	defaultLatencyRate        = 20_000.0
	defaultPresenceMembers    = 10_000
	defaultStormConnections   = 15_000
	defaultStormRounds        = 3
	defaultStormRate          = 5_000.0
	defaultWatchers           = 500
	defaultWebhookRate        = 5_500.0
	defaultWatchedRounds      = 7
	defaultSoakDuration       = time.Hour
)

// Bounds of settings.
const (
	maxRate       = 1e8 // per second
	maxPublishers = 32  // the window in which a repeated event is told from an old one is 64
)

// withDefaults fills in what is zero, with connections as the scenario's default,
// and reports everything that is out of range at once.
func (s Settings) withDefaults(connections int) (Settings, error) {
	setDefault(&s.Threads, runtime.NumCPU())
	setDefault(&s.Connections, connections)
	setDefault(&s.PayloadBytes, defaultPayloadBytes)
	setDefault(&s.Duration, defaultDuration)
	setDefault(&s.Rounds, defaultRounds)
	setDefault(&s.Timeout, defaultTimeout)
	setDefault(&s.deliveryTimeout, defaultDeliveryTimeout)
	setDefault(&s.settleWindow, defaultSettleWindow)
	setDefault(&s.sampleInterval, defaultSampleInterval)
	setDefault(&s.stormRetry, defaultStormRetry)
	if s.Progress == nil {
		s.Progress = io.Discard
	}
	var errs []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	refuse(s.MaxMemoryMiB < 0, "%d MiB of memory, want a positive number", s.MaxMemoryMiB)
	refuse(s.MaxMemoryMiB > 0 && s.Spawn == "" && len(s.PIDs) == 0, "the memory of a server is known by its processes: name them, or spawn it")
	refuse(s.Spawn == "" && s.Target == "", "neither a target nor a binary to spawn")
	refuse(s.Spawn != "" && s.Target != "", "a target %s and a binary to spawn %s: give one of them", s.Target, s.Spawn)
	refuse(s.API != "" && s.Target == "", "a node for triggers %s without a target", s.API)
	refuse(s.Target != "" && s.App == wire.App{}, "a target without an app")
	refuse(s.FloorKind != "" && s.FloorKind != FloorC && s.FloorKind != FloorGo, "floor %q, want %s or %s", s.FloorKind, FloorC, FloorGo)
	refuse(s.Threads < 1, "%d threads, want 1 or more", s.Threads)
	refuse(s.Connections < 1, "%d connections, want 1 or more", s.Connections)
	refuse(s.Channels < 0, "%d channels, want 0 or more", s.Channels)
	refuse(s.Burst != 0 && (s.Burst < 2 || s.Burst > wire.MaxBatchEvents), "burst of %d events, want 2 to %d", s.Burst, wire.MaxBatchEvents)
	refuse(s.Overload < 0 || s.Overload > maxPublishers, "%d publishers, want 1 to %d", s.Overload, maxPublishers)
	refuse(s.Overload > 0 && s.Burst > 0, "an overload of %d publishers and bursts of %d: give one of them", s.Overload, s.Burst)
	refuse(!(s.Rate >= 0 && s.Rate <= maxRate), "rate of %v per second, want 0 to %.0f", s.Rate, maxRate)
	refuse(!(s.Load >= 0 && s.Load <= 1), "load of %v, want 0 to 1", s.Load)
	refuse(s.Watchers < 0, "%d watchers, want 0 or more", s.Watchers)
	refuse(s.Events < 0, "%d events, want 0 or more", s.Events)
	refuse(s.Duration < 0, "rounds of %v, want more than 0", s.Duration)
	refuse(s.Rounds < 1, "%d rounds, want 1 or more", s.Rounds)
	refuse(s.PerProcess < 0, "%d connections per process, want 0 or more", s.PerProcess)
	refuse(s.PerServer < 0, "%d connections per server process, want 0 or more", s.PerServer)
	refuse(s.PingInterval < 0, "pings after %v, want more than 0", s.PingInterval)
	refuse(s.InFlight < 0, "%d handshakes under way, want 0 or more", s.InFlight)
	refuse(s.Timeout < 0, "timeout of %v, want more than 0", s.Timeout)
	errs = append(errs, wire.CheckPayloadBytes(s.PayloadBytes))
	return s, errors.Join(errs...)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
