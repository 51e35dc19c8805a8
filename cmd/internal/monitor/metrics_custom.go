package monitor

var (
	descCustomGauge   = describe("resound_custom", "Last value of a gauge of the application.", "app", "name")
	descCustomCounter = describe("resound_custom_total", "Sum of a counter of the application.", "app", "name")
)

// custom has the names of applications as labels: a name of theirs could be that
// of a metric of ours.
func (e emitter) custom(all []Custom) {
	for i := range all {
		c := &all[i]
		if c.Kind == Gauge {
			e.gauge(descCustomGauge, c.Value, c.App, c.Name)
		} else {
			e.counter(descCustomCounter, c.Value, c.App, c.Name)
		}
	}
}
