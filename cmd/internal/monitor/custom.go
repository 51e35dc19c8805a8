package monitor

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of custom metrics.
const (
	MaxCustomNameBytes = 64  // of a name
	MaxCustomPerApp    = 100 // names of an app
	MaxCustom          = 400 // names of all apps
)

// customFor is how long a metric that is set no more keeps its place.
const customFor = 24 * time.Hour

// Kinds of custom metrics.
const (
	Counter = "counter" // values add up
	Gauge   = "gauge"   // the last value stands
)

// Custom is a metric that the application counts.
type Custom struct {
	App   string  `json:"app"`
	Name  string  `json:"name"`
	Kind  string  `json:"kind"` // Counter or Gauge
	Value float64 `json:"value"`
}

// Series is the name of the metric among the series.
func (c *Custom) Series() string { return c.App + "/custom/" + c.Name }

// Check says what is wrong with a metric from outside.
func (c *Custom) Check() error {
	switch {
	case !isMetricName(c.Name):
		return fmt.Errorf("name %.80q is not 1 to %d letters, digits and underscores that do not begin with a digit", c.Name, MaxCustomNameBytes)
	case c.Kind != Counter && c.Kind != Gauge:
		return fmt.Errorf("type %.80q is neither %s nor %s", c.Kind, Gauge, Counter)
	case math.IsNaN(c.Value) || math.IsInf(c.Value, 0):
		return fmt.Errorf("value of %s is not a finite number", c.Name)
	case c.Kind == Counter && c.Value < 0:
		return fmt.Errorf("value %v of the counter %s is below zero", c.Value, c.Name)
	}
	return nil
}

// isMetricName reports whether Prometheus would take a name.
func isMetricName(name string) bool {
	for i, c := range []byte(name) {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != "" && len(name) <= MaxCustomNameBytes
}

// CustomMetrics holds the custom metrics of a node since its start. The zero value
// is ready. Safe for concurrent use.
type CustomMetrics struct {
	mu  sync.Mutex
	all map[customKey]*customEntry
}

type customKey struct{ app, name string }

type customEntry struct {
	kind  string
	value float64
	set   time.Time
}

// Record sets gauges and adds to counters: all of a request or, with an error,
// none.
func (m *CustomMetrics) Record(now time.Time, app string, metrics []Custom) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = make(map[customKey]*customEntry)
	}
	if err := m.check(app, metrics); err != nil {
		m.expire(now)
		if m.check(app, metrics) != nil {
			return err
		}
	}
	for i := range metrics {
		c := &metrics[i]
		key := customKey{app, c.Name}
		e := m.all[key]
		if e == nil {
			e = &customEntry{kind: c.Kind}
			m.all[customKey{app, strings.Clone(c.Name)}] = e
		}
		e.set = now
		if c.Kind == Gauge {
			e.value = c.Value
		} else {
			e.value = min(e.value+c.Value, math.MaxFloat64)
		}
	}
	return nil
}

func (m *CustomMetrics) check(app string, metrics []Custom) error {
	kinds := make(map[string]string)
	for i := range metrics {
		c := &metrics[i]
		if err := c.Check(); err != nil {
			return err
		}
		kind := kinds[c.Name]
		if e := m.all[customKey{app, c.Name}]; e != nil {
			kind = e.kind
		} else {
			kinds[c.Name] = c.Kind
		}
		if kind != "" && kind != c.Kind {
			return fmt.Errorf("%s is a %s already", c.Name, kind)
		}
	}
	have := 0
	for key := range m.all {
		if key.app == app {
			have++
		}
	}
	switch {
	case len(kinds) > 0 && have+len(kinds) > MaxCustomPerApp:
		return fmt.Errorf("%d names are too many: an app may have %d", have+len(kinds), MaxCustomPerApp)
	case len(kinds) > 0 && len(m.all)+len(kinds) > MaxCustom:
		return fmt.Errorf("the node has %d names of all apps already, the most there may be", len(m.all))
	}
	return nil
}

// expire gives back the places of names that are not used any more.
func (m *CustomMetrics) expire(now time.Time) {
	for key, e := range m.all {
		if now.Sub(e.set) > customFor {
			delete(m.all, key)
		}
	}
}

// All returns the metrics in the order of apps and names.
func (m *CustomMetrics) All() []Custom {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Custom, 0, len(m.all))
	for key, e := range m.all {
		out = append(out, Custom{key.app, key.name, e.kind, e.value})
	}
	slices.SortFunc(out, func(a, b Custom) int {
		return cmp.Or(strings.Compare(a.App, b.App), strings.Compare(a.Name, b.Name))
	})
	return out
}
