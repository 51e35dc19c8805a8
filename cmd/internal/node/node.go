package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/pair"
	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/cmd/internal/dashboard"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/alert"
	"resound/cmd/internal/monitor/history"
	"resound/cmd/internal/socketfile"
	"resound/loop"
	"resound/pusher"
	"resound/pusher/rest"
	"resound/pusher/webhook"
)

const (
	// expireInterval is how often cached events whose time has passed are
	// looked for. Subscribers never see them, whether they are swept or not.
	expireInterval = 30 * time.Second

	// recountInterval is how often subscription counts that were held back are
	// looked at, the counters that rates are made of are read, and the cluster is
	// told of connections and figures.
	recountInterval = time.Second

	// httpDrainTimeout is how long HTTP requests under way may take to end.
	httpDrainTimeout = 5 * time.Second
)

// Node is one server process. Make it with New, then Run it once.
type Node struct {
	options  Options
	config   atomic.Pointer[config.Config] // in force
	log      *slog.Logger
	protocol *pusher.Node
	cluster  cluster.Adapter              // nil: the node is alone
	heritage *heritage                    // nil: no process before this one shares what it has
	partner  atomic.Pointer[pair.Adapter] // to the successor; nil while there is none
	outbox   webhook.Outbox               // nil: in memory
	shards   []*pusher.Shard              // by reactor
	webhooks atomic.Pointer[webhooks]     // nil while no app has any; see reloading
	engine   *loop.Engine
	http     *rest.Server
	listener *loop.HTTPListener
	cert     *certificate         // nil without TLS
	control  *control.Listener    // nil: without a control socket
	unix     *socketfile.Listener // nil: without a Unix socket; the engine closes it

	startedAt   time.Time
	memoryLimit int64
	meter       monitor.Meter
	metrics     *monitor.Metrics
	custom      monitor.CustomMetrics
	heir        heir           // has custom, after a restart
	history     *history.Store // from Run on; nil: none is kept
	alerts      *alert.Alerts  // from Run on
	dashboard   *dashboard.Dashboard

	reloading sync.Mutex    // for webhooks, chores and the configuration to change
	stop      chan struct{} // closed by Stop
	stopOnce  sync.Once
	life      context.Context // ends with Run
	die       context.CancelFunc
	chores    sync.WaitGroup // goroutines that end with life

	restarting sync.Mutex
	gaveWay    bool          // to a successor; guarded by restarting
	succeeded  chan struct{} // closed with gaveWay
	tookOver   atomic.Bool
}

// New binds the port and assembles the node. Nothing is answered before Run.
func New(o Options) (_ *Node, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Reactors == 0 {
		o.Reactors = Reactors(o.Config.Server.Workers)
	}
	n := &Node{options: o, log: o.Logger, startedAt: time.Now(), memoryLimit: monitor.MemoryLimit("/"), stop: make(chan struct{}), succeeded: make(chan struct{})}
	n.config.Store(o.Config)
	n.life, n.die = context.WithCancel(context.Background())
	c := &o.Config.Server
	reactors := o.Reactors
	limits, err := o.limitsOf(c.MaxConnections)
	if err != nil {
		return nil, err
	}
	if n.cluster, err = n.newCluster(&o); err != nil {
		return nil, err
	}
	connecting := n.cluster
	switch {
	case o.PredecessorLink == nil:
	case n.cluster != nil:
		_ = o.PredecessorLink.Close()
	default:
		n.heritage = newHeritage(o.PredecessorLink)
		connecting = n.heritage.own
	}
	n.outbox = newOutbox(n.cluster)
	hooks, err := newWebhooks(o.Config, n.outbox, o.Logger)
	if err != nil {
		return nil, err
	}
	n.webhooks.Store(hooks)
	defer func() {
		if err != nil {
			hooks.close() // puts back what it took from the store
		}
	}()
	n.protocol, err = pusher.NewNode(pusher.Options{
		Webhooks:               hooks.orNil(),
		Cluster:                connecting,
		Apps:                   appConfigs(o.Config),
		MaxConnections:         limits.connections,
		MaxPendingPublications: c.MaxPendingPublications,
		MaxPendingBytes:        c.MaxPendingBytes,
		Compression:            c.Compression,
		Trace:                  o.Trace,
	})
	if err != nil {
		return nil, err
	}
	hooks.attach(n.protocol)
	if n.cert, err = newCertificate(c); err != nil {
		return nil, err
	}
	if n.unix, err = listenUnix(c, o.Predecessor != nil); err != nil {
		return nil, err
	}
	n.engine, err = loop.New(loop.Options{
		Addr:             net.JoinHostPort(c.Host, strconv.Itoa(c.Port)),
		TLS:              n.cert.config(),
		PlainAddr:        plainAddr(c, n.cert),
		ReusePort:        c.ReusePort || o.Predecessor != nil,
		MinListeners:     o.PredecessorListeners,
		Reactors:         reactors,
		WebSocketPrefix:  c.Path + "/app/",
		Compression:      c.Compression,
		NewHandler:       n.newShard,
		HandOver:         func(c *loop.HTTPConn) bool { return n.listener.Offer(c) },
		MaxSockets:       limits.sockets,
		MaxOutboundBytes: c.MaxOutboundBytes,
		HandshakeTimeout: c.HandshakeTimeout,
		Unix:             unixOrNil(n.unix),
		Edge:             edgeOf(c),
		MaxLag:           orNever(c.MaxLag),
		LateCode:         pusher.ErrOverCapacity.Code,
		LateReason:       pusher.ErrOverCapacity.Message,
		SlowCode:         pusher.ErrSlow.Code,
		SlowReason:       pusher.ErrSlow.Message,
		FaultCode:        pusher.ErrFault.Code,
		FaultReason:      pusher.ErrFault.Message,
		Logger:           o.Logger,
	})
	if err != nil {
		if n.unix != nil {
			_ = n.unix.Close()
		}
		return nil, err
	}
	mailboxes := make([]pusher.Mailbox, 0, reactors)
	for _, r := range n.engine.Reactors() {
		mailboxes = append(mailboxes, r)
	}
	n.protocol.Attach(mailboxes)
	n.listener = loop.NewHTTPListener(n.engine.Addr())
	n.dashboard = n.newDashboard()
	n.metrics = monitor.NewMetrics(n.Snapshot, n.soketiPort())
	n.http, err = rest.New(rest.Options{
		Node:               n.protocol,
		Path:               c.Path,
		MaxRequestBytes:    int(c.MaxRequestBytes),
		SkipTimestampCheck: !c.VerifyTimestamp,
		RefuseDegraded:     c.Scaling.OnOutage == config.OnOutageRefuse,
		Upgrade:            returnUpgrade,
		Client:             clientOf,
		Fallback:           rest.FallbackOptions{Open: openFallback},
		Version:            o.Version,
		Logger:             o.Logger,
		Metrics:            rest.MetricsOptions{Write: n.WriteMetrics, Access: n.metricsAccess},
		TooMuch:            n.tooMuch,
		RecordMetrics:      n.recordMetrics,
		Console:            n.dashboard,
	})
	if err != nil {
		n.engine.Close()
		return nil, err
	}
	if o.Control != nil {
		n.control, err = o.Control(n.Addr().Port)
		if err != nil {
			n.engine.Close()
			return nil, err
		}
	}
	return n, nil
}

// plainAddr is the second address of a node that speaks TLS.
func plainAddr(s *config.Server, cert *certificate) string {
	if cert == nil || s.PlainPort == 0 {
		return ""
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(s.PlainPort))
}

// TLS reports whether the node's port speaks TLS.
func (n *Node) TLS() bool { return n.cert != nil }

// PlainAddr is the address without TLS of a node that speaks TLS, nil when it
// has none.
func (n *Node) PlainAddr() *net.TCPAddr { return n.engine.PlainAddr() }

// newShard makes the protocol's part of a reactor.
func (n *Node) newShard(r *loop.Reactor) loop.Handler {
	s := n.protocol.NewShard(r.Index(), r)
	n.shards = append(n.shards, s)
	return s
}

// Addr is the address the node listens on.
func (n *Node) Addr() *net.TCPAddr { return n.engine.Addr() }

// Ready is closed once the node answers.
func (n *Node) Ready() <-chan struct{} { return n.engine.Ready() }

// Stop makes Run drain and return, as the end of its context does. Safe for
// concurrent use.
func (n *Node) Stop() { n.stopOnce.Do(func() { close(n.stop) }) }

// Run serves until ctx ends or Stop is called, then drains: new connections are
// refused, open ones are closed with 4200 over the configured time, HTTP requests
// under way end normally. A fatal error ends it at once.
func (n *Node) Run(ctx context.Context) error {
	n.openHistory()
	n.openAlerts()
	if n.control != nil {
		s := control.Serve(n.control, control.Options{Node: n, Profiling: n.config.Load().Server.Monitoring.Profiling, Logger: n.log})
		defer s.Close() // last of all: who waits there waits for the end
	}
	var wg sync.WaitGroup
	defer n.chores.Wait()
	defer wg.Wait()
	defer n.end()
	if n.cluster != nil {
		if err := n.cluster.Start(ctx, n.protocol.Deliverer()); err != nil {
			n.engine.Close()
			return fmt.Errorf("scaling: %w", err)
		}
	}

	if n.heritage != nil {
		if err := n.heritage.own.Start(ctx, n.protocol.Deliverer()); err != nil {
			n.engine.Close()
			return err
		}
		wg.Go(n.serveHeritage)
	}

	ended := make(chan error, 2)
	wg.Go(func() {
		err := n.engine.Run()
		_ = n.listener.Close()
		ended <- err
	})
	wg.Go(func() {
		if err := n.http.Serve(n.listener); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			ended <- err
		}
	})
	wg.Go(func() { n.keepHouse(n.life) })
	if n.options.Predecessor != nil {
		wg.Go(n.publishUnix)
		wg.Go(n.takeOver)
	}
	wg.Go(func() { n.keepHistory(n.life) })

	select {
	case err := <-ended:
		_ = n.engine.Stop(context.Background()) // nothing, if it was the engine that ended
		return err
	case <-ctx.Done():
	case <-n.stop:
	}
	n.drain()
	return <-ended
}

// end makes the node's goroutines end. There is no reload after it. What leaving
// the cluster decides is told by webhooks, which may wait in the cluster.
func (n *Node) end() {
	n.die()
	n.dashboard.Close()
	n.reloading.Lock()
	defer n.reloading.Unlock()
	n.leaveCluster()
	n.leavePair()
	n.webhooks.Load().close()
	n.closeCluster()
	n.heir.close()
}

// drain closes everything at the pace clients can stand.
func (n *Node) drain() {
	over := n.config.Load().Server.DrainTimeout
	n.log.Info("draining", "connections", n.engine.Stats().Connections, "over", over.String())
	n.protocol.Drain()
	n.engine.Drain(pusher.ErrDraining.Code, pusher.ErrDraining.Message, over)
	n.dashboard.Close() // its streams would not end
	ctx, cancel := context.WithTimeout(context.Background(), httpDrainTimeout)
	defer cancel()
	if err := n.http.Shutdown(ctx); err != nil {
		n.log.Warn("HTTP requests were cut off", "error", err)
	}
	_ = n.listener.Close()
	if err := n.engine.Stop(context.Background()); err != nil {
		n.log.Error("stop", "error", err)
	}
}

// keepHouse does what no event asks for, until ctx ends.
func (n *Node) keepHouse(ctx context.Context) {
	expire := time.NewTicker(expireInterval)
	defer expire.Stop()
	recount := time.NewTicker(recountInterval)
	defer recount.Stop()
	memory := time.NewTicker(settleInterval)
	defer memory.Stop()
	certificates := time.NewTicker(certificateInterval)
	defer certificates.Stop()
	var m memorySettler
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			now := n.protocol.Now()
			for a := range n.protocol.Apps {
				a.Directory().Expire(now)
			}
		case <-recount.C:
			n.protocol.Recount()
			n.protocol.StateConnections()
			n.meter.Observe(n.reading())
			n.describe()
		case <-certificates.C:
			n.cert.look(n.log)
		case <-memory.C:
			m.look(n.engine.Stats(), time.Now())
		}
	}
}

// Overdue is how long the latest reactor has not taken its turn, while it should.
// Safe for concurrent use.
func (n *Node) Overdue() time.Duration { return n.engine.Overdue() }

// Stats are the transport's counters.
func (n *Node) Stats() loop.Stats { return n.engine.Stats() }

// ClusterStats are the counters and gauges of the cluster; all zero for a node
// alone.
func (n *Node) ClusterStats() cluster.Stats { return n.protocol.ClusterStats() }
