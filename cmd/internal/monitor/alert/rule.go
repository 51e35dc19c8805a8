package alert

import (
	"math"
	"time"
)

// Rule says when a figure is bad.
type Rule struct {
	Name      string
	Metric    string // a series of monitor.Sampler
	Threshold float64
	Clear     *float64      // nil: a tenth of the threshold nearer to where all is well
	Below     bool          // bad is below the threshold
	For       time.Duration // bad, or well again, without a break
	Channels  []string      // Slack, Email, Webhook
}

// clear is where the figure is well again.
func (r *Rule) clear() float64 {
	tenth := math.Abs(r.Threshold) / 10
	switch {
	case r.Clear != nil:
		return *r.Clear
	case r.Below:
		return r.Threshold + tenth
	}
	return r.Threshold - tenth
}

func (r *Rule) isBad(value float64) bool {
	if r.Below {
		return value < r.Threshold
	}
	return value > r.Threshold
}

func (r *Rule) isWell(value float64) bool {
	if r.Below {
		return value >= r.clear()
	}
	return value <= r.clear()
}

// watched is a rule with what has been seen of it.
type watched struct {
	rule    Rule
	active  bool
	since   time.Time // of active
	value   *float64  // nil: never seen
	turning time.Time // since when the figure asks for the other state; zero: it does not
}

// observe takes a figure and reports whether the alert begins or ends with it.
func (w *watched) observe(now time.Time, value float64) (changed bool) {
	w.value = &value
	asks := w.rule.isBad(value)
	if w.active {
		asks = w.rule.isWell(value)
	}
	switch {
	case !asks:
		w.turning = time.Time{}
		return false
	case w.turning.IsZero():
		w.turning = now
	}
	if now.Sub(w.turning) < w.rule.For {
		return false
	}
	w.active, w.since, w.turning = !w.active, now, time.Time{}
	return true
}

// State is a rule as it stands.
type State struct {
	Name      string    `json:"name"`
	Metric    string    `json:"metric"`
	Threshold float64   `json:"threshold"`
	Clear     float64   `json:"clear"`
	Below     bool      `json:"below"`
	Value     *float64  `json:"value"` // null: not seen yet
	Active    bool      `json:"active"`
	Since     time.Time `json:"since,omitzero"` // when it began or ended
}

func (w *watched) state() State {
	return State{w.rule.Name, w.rule.Metric, w.rule.Threshold, w.rule.clear(), w.rule.Below, w.value, w.active, w.since}
}
