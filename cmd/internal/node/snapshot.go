package node

import (
	"cmp"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
	"resound/loop"
	"resound/pusher/rest"
)

var _ control.Node = (*Node)(nil)

// Snapshot reads every counter there is. It locks a stripe of each app's Directory
// at a time and no reactor.
func (n *Node) Snapshot() monitor.Snapshot {
	t, h := n.engine.Stats(), n.http.Stats()
	s := monitor.Snapshot{
		Version:   n.options.Version,
		PID:       os.Getpid(),
		Address:   n.Addr().String(),
		Unix:      n.UnixSocket(),
		State:     n.state(),
		StartedAt: n.startedAt,
		Uptime:    time.Since(n.startedAt).Seconds(),
		Connections: monitor.Connections{
			Open:    n.protocol.Connections(),
			Limit:   n.protocol.MaxConnections(),
			Sockets: t.Sockets,
			HTTP:    t.HTTP,

			Addresses: n.engine.Addresses(),
		},
		Rates:   n.meter.Rates(),
		Process: n.process(),
		HTTP: monitor.HTTP{
			Responses:         h.Responses,
			SignatureFailures: h.SignatureFailures,
			RateLimited:       h.RateLimited,
			FallbackSessions:  h.FallbackSessions,
		},
		Shield: monitor.Shield{
			Asked:       h.Shield.Asked,
			Shared:      h.Shield.Shared,
			Cached:      h.Shield.Cached,
			Refused:     h.Shield.Refused,
			Unavailable: h.Shield.Unavailable,
		},
		Webhooks: n.webhooks.Load().snapshot(),
		Closes:   closeCounts(&t),
		Refusals: errorCounts(n.protocol.Refusals()),
		Watch:    n.watch(),
		Custom:   n.custom.All(),
	}
	s.Redis, s.Cluster = n.clusterSnapshot()
	for _, r := range n.engine.Reactors() {
		x := r.Stats()
		s.Reactors = append(s.Reactors, monitor.Reactor{
			Connections:  x.Connections,
			Writes:       x.Writes,
			WrittenBytes: x.BytesOut,
			Mailbox:      x.Pending,
			MailboxBytes: x.PendingBytes,
			Lag:          x.Lag.Seconds(),
		})
	}
	errors := n.addApps(&s)
	s.Errors = errorCounts(errors)
	s.Totals.Opened = t.Opened
	s.Totals.RejectedHandshakes = t.Rejected
	s.Totals.RefusedSockets = t.Refused
	s.Totals.RefusedForAddress, s.Totals.RefusedForHeader = t.Crowded, t.Misproxied
	s.Totals.TLS, s.Totals.TLSFailed, s.Totals.TLSStalled = t.TLS, t.TLSFailed, t.TLSStalled
	s.Totals.RefusedPublications, s.Totals.ShedPublications = n.protocol.Refused(), n.protocol.Shed()
	s.Totals.Slow, s.Totals.Broken, s.Totals.Panics = t.Slow, t.Broken, t.Panics+h.Panics
	return s
}

// addApps adds the apps and their sums, and returns the errors told to clients.
func (n *Node) addApps(s *monitor.Snapshot) (errors map[int]uint64) {
	errors = make(map[int]uint64)
	for a := range n.protocol.Apps {
		x := a.Stats()
		app := monitor.App{
			ID:            a.ID,
			Connections:   x.Connections,
			Channels:      a.Directory().Len(),
			Subscriptions: x.Subscriptions,
			Opened:        x.Opened,
			Closed:        x.Closed,
			Received:      x.Received,
			ReceivedBytes: x.ReceivedBytes,
			Sent:          x.Sent,
			SentBytes:     x.SentBytes,
			ClientEvents:  x.ClientEvents,
			Triggered:     x.Triggered,
			CachedBytes:   x.CachedBytes,
			CacheDropped:  x.CacheDropped,
			Requests:      x.Requests,
			RequestBytes:  x.RequestBytes,
			ResponseBytes: x.ResponseBytes,
		}
		s.Apps = append(s.Apps, app)
		s.Channels += app.Channels
		s.Totals.Received += app.Received
		s.Totals.Sent += app.Sent
		for code, count := range x.Errors {
			errors[code] += count
		}
	}
	slices.SortFunc(s.Apps, func(a, b monitor.App) int { return strings.Compare(a.ID, b.ID) })
	return errors
}

// reading reads what rates are made of.
func (n *Node) reading() monitor.Reading {
	r := monitor.Reading{At: time.Now(), CPUSeconds: monitor.ReadProcess().CPUSeconds, Opened: n.engine.Stats().Opened}
	for a := range n.protocol.Apps {
		x := a.Stats()
		r.Received += x.Received
		r.Sent += x.Sent
		for _, count := range x.Errors {
			r.Errors += count
		}
	}
	for _, count := range n.http.Stats().Responses {
		r.Requests += count
	}
	return r
}

func (n *Node) process() monitor.Process {
	p := monitor.ReadProcess()
	p.MemoryLimit = n.memoryLimit
	return p
}

// WriteMetrics writes the node's metrics for Prometheus.
func (n *Node) WriteMetrics(w io.Writer) error { return n.metrics.Write(w) }

// soketiPort is the port in the labels of soketi's metrics, or 0 for none.
func (n *Node) soketiPort() int {
	if n.options.Config.Server.MetricsCompat != "soketi" {
		return 0
	}
	return n.Addr().Port
}

// metricsAccess is who may read /metrics on the server's port now.
func (n *Node) metricsAccess() rest.MetricsAccess {
	m := &n.config.Load().Server.Monitoring
	return rest.MetricsAccess{
		Token:  m.MetricsToken,
		Public: m.MetricsAccess == config.MetricsAccessPublic,
		Off:    m.MetricsAccess == config.MetricsAccessOff,
	}
}

// tooMuch says why GET /accept-traffic answers 503, or nothing.
func (n *Node) tooMuch() string {
	m := &n.config.Load().Server.Monitoring
	return monitor.Load{
		Memory:          n.process().MemoryBytes,
		MemoryLimit:     n.memoryLimit,
		Connections:     n.protocol.Connections(),
		ConnectionLimit: n.protocol.MaxConnections(),
	}.TooMuch(monitor.Thresholds{MemoryPercent: m.MemoryThreshold, ConnectionPercent: m.ConnectionThreshold})
}

// Channels implements control.Node.
func (n *Node) Channels(id, prefix string) ([]control.Channel, error) {
	only, err := n.app(id)
	if err != nil {
		return nil, err
	}
	var out []control.Channel
	for a := range n.protocol.Apps {
		if only != nil && a != only {
			continue
		}
		for _, c := range a.Directory().Channels(prefix) {
			out = append(out, control.Channel{App: a.ID, Name: c.Name, Subscriptions: c.Subscriptions, Users: c.Users})
		}
	}
	slices.SortFunc(out, func(a, b control.Channel) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

// Credentials implements control.Node.
func (n *Node) Credentials(id string) (control.Credentials, error) {
	c := n.config.Load()
	for i := range c.Apps {
		if a := &c.Apps[i]; a.ID == id || id == "" && len(c.Apps) == 1 {
			return control.Credentials{App: a.ID, Key: a.Key, Secret: a.Secret, URL: n.localURL()}, nil
		}
	}
	return control.Credentials{}, control.ErrUnknownApp
}

// localURL is where a program of this host reaches the HTTP API.
func (n *Node) localURL() string {
	c, addr := &n.config.Load().Server, n.Addr()
	host := addr.IP.String()
	switch {
	case addr.IP.IsUnspecified() && addr.IP.To4() != nil:
		host = "127.0.0.1"
	case addr.IP.IsUnspecified():
		host = "::1"
	case addr.Zone != "":
		host += "%25" + addr.Zone
	}
	scheme := "http://"
	if n.TLS() {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + c.Path
}

// closeCounts are the closes by code and reason, the most frequent first.
func closeCounts(t *loop.Stats) []monitor.CloseCount {
	out := make([]monitor.CloseCount, 0, len(t.CloseReasons))
	for why, count := range t.CloseReasons {
		out = append(out, monitor.CloseCount{Code: why.Code, Reason: why.Reason, Count: count})
	}
	slices.SortFunc(out, func(a, b monitor.CloseCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), strings.Compare(a.Reason, b.Reason))
	})
	return out
}

func errorCounts(byCode map[int]uint64) []monitor.ErrorCount {
	out := make([]monitor.ErrorCount, 0, len(byCode))
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		out = append(out, monitor.ErrorCount{Code: code, Count: byCode[code]})
	}
	return out
}

// snapshot counts the webhooks of all apps, nil for none.
func (w *webhooks) snapshot() *monitor.Webhooks {
	if w == nil {
		return nil
	}
	x := w.dispatcher.Stats()
	out := &monitor.Webhooks{
		SentEvents:     x.SentEvents,
		SentRequests:   x.SentRequests,
		FailedRequests: x.FailedRequests,
		HeldEvents:     x.HeldEvents,
		Dropped: []monitor.Drop{
			{Reason: "queue_full", Events: x.DroppedFull},
			{Reason: "retries_ended", Events: x.DroppedExpired},
			{Reason: "not_configured", Events: x.DroppedUnconfigured},
			{Reason: "shutdown", Events: x.DroppedClosed},
		},
	}
	if o, ok := w.outbox.(outbox); ok {
		out.Dropped[0].Events += o.Dropped() // taken, and then refused by Redis
	}
	for _, d := range x.Destinations {
		out.QueuedEvents += d.QueuedEvents
		if d.Failing {
			out.Failing++
		}
	}
	return out
}
