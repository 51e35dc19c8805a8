package bench

import (
	"slices"
)

// Median is the summary of the rounds of one subject and mode.
type Median struct {
	Subject     string   `json:"subject"`
	Mode        string   `json:"mode"`
	PerSecond   float64  `json:"per_second"`
	CPUMicros   *float64 `json:"cpu_micros,omitempty"`
	ServerCores *float64 `json:"server_cores,omitempty"`
	OtherCores  float64  `json:"other_cores"`
	ClientCores float64  `json:"client_cores"`
	BusiestCore float64  `json:"busiest_core"`
	Latency     *Latency `json:"latency,omitempty"` // the median of each quantile
}

// Ratio sets two rows of one run side by side, round by round.
type Ratio struct {
	Name   string    `json:"name"`
	Median float64   `json:"median"`
	Rounds []float64 `json:"rounds"`
}

// summarize fills in medians and ratios from the rounds.
func (r *Result) summarize() {
	var modes []string
	for _, round := range r.Rounds {
		if !slices.Contains(modes, round.Mode) {
			modes = append(modes, round.Mode)
		}
	}
	for _, mode := range modes {
		for _, subject := range subjects {
			if rounds := r.roundsOf(subject, mode); len(rounds) > 0 {
				r.Medians = append(r.Medians, medianOf(rounds))
			}
		}
		server := r.roundsOf(SubjectServer, mode)
		for _, subject := range subjects[1:] {
			below := r.roundsOf(subject, mode)
			r.addRatio(ratioName("rate", mode, subject), server, below, perSecond)
			r.addRatio(ratioName("CPU", mode, subject), server, below, cpuMicros)
			r.addRatio(ratioName("p99", mode, subject), server, below, p99)
		}
	}
	for _, p := range r.pairs {
		for _, subject := range []string{SubjectServer, SubjectFloor} {
			name := p.what + ", " + p.above + " / " + p.below + ", " + subject
			r.addRatio(name, r.roundsOf(subject, p.above), r.roundsOf(subject, p.below), measures[p.what])
		}
	}
}

// pair is two modes of one subject to be compared by one of the measures.
type pair struct{ what, above, below string }

var measures = map[string]func(Round) (float64, bool){"rate": perSecond, "CPU": cpuMicros, "p99": p99}

// comparePairs makes summarize compare modes.
func (r *Result) comparePairs(pairs ...pair) { r.pairs = append(r.pairs, pairs...) }

func p99(r Round) (float64, bool) {
	if r.Latency == nil {
		return 0, false
	}
	return float64(r.Latency.P99), true
}

// ratioName is that of the server's ratio to another subject in one mode.
func ratioName(what, mode, subject string) string {
	return what + ", " + mode + ", " + SubjectServer + " / " + subject
}

func (r *Result) roundsOf(subject, mode string) []Round {
	var rounds []Round
	for _, round := range r.Rounds {
		if round.Subject == subject && round.Mode == mode {
			rounds = append(rounds, round)
		}
	}
	return rounds
}

// addRatio adds above/below where both have a value in the same round.
func (r *Result) addRatio(name string, above, below []Round, value func(Round) (float64, bool)) {
	ratio := Ratio{Name: name}
	for i := range min(len(above), len(below)) {
		a, ok1 := value(above[i])
		b, ok2 := value(below[i])
		if ok1 && ok2 && b > 0 {
			ratio.Rounds = append(ratio.Rounds, a/b)
		}
	}
	if len(ratio.Rounds) > 0 {
		ratio.Median = median(ratio.Rounds)
		r.Ratios = append(r.Ratios, ratio)
	}
}

func perSecond(r Round) (float64, bool) { return r.PerSecond, r.PerSecond > 0 }

func cpuMicros(r Round) (float64, bool) {
	if r.CPUMicros == nil {
		return 0, false
	}
	return *r.CPUMicros, true
}

func medianOf(rounds []Round) Median {
	m := Median{
		Subject:     rounds[0].Subject,
		Mode:        rounds[0].Mode,
		PerSecond:   medianBy(rounds, func(r Round) float64 { return r.PerSecond }),
		OtherCores:  medianBy(rounds, func(r Round) float64 { return r.OtherCores }),
		ClientCores: medianBy(rounds, func(r Round) float64 { return r.ClientCores }),
		BusiestCore: medianBy(rounds, func(r Round) float64 { return r.BusiestCore }),
	}
	if rounds[0].CPUMicros != nil {
		cpu := medianBy(rounds, func(r Round) float64 { return *r.CPUMicros })
		m.CPUMicros = &cpu
	}
	if rounds[0].ServerCores != nil {
		cores := medianBy(rounds, func(r Round) float64 { return *r.ServerCores })
		m.ServerCores = &cores
	}
	if rounds[0].Latency != nil {
		of := func(value func(*Latency) int64) int64 {
			return int64(medianBy(rounds, func(r Round) float64 { return float64(value(r.Latency)) }))
		}
		m.Latency = &Latency{
			P50: of(func(l *Latency) int64 { return l.P50 }),
			P90: of(func(l *Latency) int64 { return l.P90 }),
			P99: of(func(l *Latency) int64 { return l.P99 }),
			Max: of(func(l *Latency) int64 { return l.Max }),
		}
	}
	return m
}

func medianBy(rounds []Round, value func(Round) float64) float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	return median(values)
}

// median returns the middle of values, or the mean of the two in the middle.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
