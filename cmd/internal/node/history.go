package node

import (
	"context"
	"time"

	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/alert"
	"resound/cmd/internal/monitor/history"
	"resound/pusher"
	"resound/pusher/rest"
)

// sampleInterval is how often the figures of the history are read.
const sampleInterval = history.FineStep * time.Second

// openHistory begins to keep the history, if it is wanted.
func (n *Node) openHistory() {
	if path := n.options.HistoryPath; path != "" {
		n.history = history.Open(history.Options{Path: path, Before: n.options.Predecessor, Logger: n.log})
	}
}

// openAlerts begins to watch figures.
func (n *Node) openAlerts() {
	n.alerts = alert.New(alert.Options{Node: n.alertName(), Logger: n.log})
	n.setAlerts(n.config.Load())
}

// History implements control.Node.
func (n *Node) History() *history.Store { return n.history }

// keepHistory reads the figures once in each step of the history, until ctx ends or
// another process takes over: that one has the file then, and whose connections only
// leave has figures that would begin alerts and never end them. What alerts have to
// tell is told until ctx ends.
func (n *Node) keepHistory(ctx context.Context) {
	n.sample(ctx)
	if n.history != nil {
		n.history.Close()
	}
	<-ctx.Done()
	n.alerts.Close()
}

func (n *Node) sample(ctx context.Context) {
	var sampler monitor.Sampler
	next := time.NewTimer(untilNextSample())
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.succeeded:
			return
		case <-next.C:
			now, s := time.Now(), n.Snapshot()
			n.sampled(now, sampler.Sample(now, &s))
			next.Reset(untilNextSample())
		}
	}
}

// untilNextSample aims at the middle of steps, so that each gets one sample.
func untilNextSample() time.Duration {
	const middle = sampleInterval / 2
	now := time.Now()
	return now.Add(middle).Truncate(sampleInterval).Add(middle).Sub(now)
}

// sampled takes the figures of a moment.
func (n *Node) sampled(now time.Time, values map[string]float64) {
	if n.history != nil {
		n.history.Add(now, values)
	}
	n.alerts.Observe(now, values)
}

// recordMetrics takes metrics of an application.
func (n *Node) recordMetrics(a *pusher.App, metrics []rest.CustomMetric) error {
	out := make([]monitor.Custom, 0, len(metrics))
	for _, m := range metrics {
		kind := monitor.Gauge
		if m.Counter {
			kind = monitor.Counter
		}
		out = append(out, monitor.Custom{App: a.ID, Name: m.Name, Kind: kind, Value: m.Value})
	}
	if known, err := n.heir.record(out); known {
		return err
	}
	return n.custom.Record(n.protocol.Now(), a.ID, out)
}

// watch is how the history and the alerts do.
func (n *Node) watch() (w monitor.Watch) {
	if n.history != nil {
		w.HistoryPointsLost = n.history.State().Lost
	}
	if n.alerts == nil {
		return w // before Run
	}
	w.AlertMessagesLost = n.alerts.Lost()
	for _, s := range n.alerts.States() {
		if s.Active {
			w.AlertsFiring++
		}
	}
	return w
}
