package monitor

import (
	"io"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

const (
	// MaxLabelledApps is how many apps have series of their own, the first in the
	// order of ids; the rest share the label OtherApps.
	MaxLabelledApps = 200

	// OtherApps is the label of what has no series of its own. An id has no space.
	OtherApps = "other apps"

	// ContentType is that of what Metrics.Write writes.
	ContentType = "text/plain; version=0.0.4; charset=utf-8"
)

// Metrics are a node's as Prometheus wants them. Safe for concurrent use.
type Metrics struct{ registry *prometheus.Registry }

// NewMetrics returns the metrics of what take returns at each scrape. A
// soketiPort other than 0 adds soketi's names, which have the port as a label.
//
// The process_* metrics are our own: the collector that comes with the library
// counts open descriptors by listing them, which takes a second when there are a
// million.
func NewMetrics(take func() Snapshot, soketiPort int) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	c := &collector{take: take}
	if soketiPort != 0 {
		c.soketiPort = strconv.Itoa(soketiPort)
	}
	m.registry.MustRegister(c, collectors.NewGoCollector())
	return m
}

// Write writes all metrics in Prometheus's text format.
func (m *Metrics) Write(w io.Writer) error {
	families, err := m.registry.Gather()
	if err != nil {
		return err
	}
	e := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// collector makes metrics of a snapshot.
type collector struct {
	take       func() Snapshot
	soketiPort string // empty: without soketi's names
}

// Describe describes nothing: which metrics there are depends on what runs.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every metric.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.take()
	apps := labelled(s.Apps, MaxLabelledApps)
	e := emitter{out}
	e.node(&s)
	e.apps(apps)
	e.reactors(s.Reactors)
	e.http(&s)
	e.webhooks(s.Webhooks)
	e.cluster(&s)
	e.closes(&s)
	e.custom(s.Custom)
	if c.soketiPort != "" {
		e.soketi(apps, c.soketiPort)
	}
}

// labelled puts together the apps behind the first most, which have no series of
// their own.
func labelled(apps []App, most int) []App {
	if len(apps) <= most {
		return apps
	}
	other := App{ID: OtherApps}
	for i := range apps[most:] {
		other.add(&apps[most+i])
	}
	return append(apps[:most:most], other)
}

// emitter sends metrics.
type emitter struct{ out chan<- prometheus.Metric }

// desc describes a metric. Labels are pairs of name and value.
type desc struct{ *prometheus.Desc }

func describe(name, help string, labels ...string) desc {
	return desc{prometheus.NewDesc(name, help, labels, nil)}
}

func (e emitter) gauge(d desc, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d.Desc, prometheus.GaugeValue, value, labels...)
}

func (e emitter) counter(d desc, value float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d.Desc, prometheus.CounterValue, value, labels...)
}

func (e emitter) count(d desc, n uint64, labels ...string) { e.counter(d, float64(n), labels...) }
