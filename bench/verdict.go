package bench

import "fmt"

// Bounds of the verdicts, in cores.
const (
	// busyCore is the share of a core from which a client process, which has one
	// loop, may be what limits the rate.
	busyCore = 0.9

	// idleServer is the share of its cores below which the server has time to spare.
	idleServer = 0.5

	// busyHost is the share of all cores from which every process waits for one.
	busyHost = 0.95

	// foreignCore is the share of a core that other processes may use before they
	// disturb.
	foreignCore = 0.1
)

// judge adds what a reader must know before quoting the medians.
//
// A client process near a whole core while the server's threads are half idle is the
// bottleneck, and the rate is not the server's, nor the floor's. A host without a free core is
// another matter: server and generator then share it, the rate falls with the cost
// of both, and only CPU per operation and the ratio to the floor, which pays for the
// same generator, say something about the server.
func (r *Result) judge() {
	for _, m := range r.Medians {
		row := m.Subject + " " + m.Mode
		switch {
		case m.ServerCores == nil && m.BusiestCore > busyCore:
			r.verdict("%s: a client process used %.2f of a core and the server's CPU is unknown (give its pid): maybe generator-bound", row, m.BusiestCore)
		case m.ServerCores == nil:
		case m.BusiestCore > busyCore && *m.ServerCores < idleServer*r.coresOf(m.Subject):
			r.verdict("%s: generator-bound: a client process used %.2f of a core, the server only %.2f of %.0f: the rate is not that of the server", row, m.BusiestCore, *m.ServerCores, r.coresOf(m.Subject))
		case *m.ServerCores+m.ClientCores > busyHost*float64(r.Machine.Cores):
			r.verdict("%s: host saturated: server %.2f and generator %.2f of %d cores: the rate is that of both together; trust CPU per operation and ratios to the floor",
				row, *m.ServerCores, m.ClientCores, r.Machine.Cores)
		}
		if m.OtherCores > foreignCore {
			r.verdict("%s: other processes used %.2f of %d cores: measure again on a quiet host", row, m.OtherCores, r.Machine.Cores)
		}
	}
	for _, m := range r.Memory {
		if !m.Settled {
			r.verdict("%s: memory still changed after %.0f s", m.Subject, m.SettleSeconds)
		}
	}
}

// coresOf is how many cores a subject can use. How many threads a foreign server has is
// not known: one at least.
func (r *Result) coresOf(subject string) float64 {
	if subject == SubjectServer && r.Settings.Spawn == "" {
		return 1
	}
	return float64(max(1, min(r.Settings.Threads, r.Machine.Cores)))
}

func (r *Result) verdict(format string, args ...any) {
	r.Verdicts = append(r.Verdicts, fmt.Sprintf(format, args...))
}
