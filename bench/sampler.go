package bench

import (
	"context"
	"sync"
	"time"

	"resound/bench/population"
	"resound/bench/process"
)

// maxPoints bounds each series: when it is reached, every second point goes and the
// interval doubles.
const maxPoints = 600

// sampler reads values at intervals while a scenario runs. Safe for concurrent use.
type sampler struct {
	start    time.Time
	interval time.Duration
	stop     context.CancelFunc
	done     chan struct{}

	mu     sync.Mutex
	probes []probe
	series []Series
}

// probe reads one value; false means that there is none now.
type probe func() (float64, bool)

func newSampler(interval time.Duration) *sampler {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sampler{start: time.Now(), interval: interval, stop: cancel, done: make(chan struct{})}
	go s.run(ctx)
	return s
}

func (s *sampler) run(ctx context.Context) {
	defer close(s.done)
	for {
		select {
		case <-time.After(s.pause()):
			s.sample()
		case <-ctx.Done():
			return
		}
	}
}

func (s *sampler) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.interval
}

func (s *sampler) sample() {
	s.mu.Lock()
	defer s.mu.Unlock()
	full := false
	for i, read := range s.probes {
		if value, ok := read(); ok {
			points := &s.series[i].Points
			s.series[i].Max = max(s.series[i].Max, value)
			*points = append(*points, Point{Seconds: time.Since(s.start).Seconds(), Value: value})
			full = full || len(*points) >= maxPoints
		}
	}
	if full {
		s.interval *= 2
		for i := range s.series {
			s.series[i].Points = halved(s.series[i].Points)
		}
	}
}

func halved(points []Point) []Point {
	kept := points[:0]
	for i, p := range points {
		if i%2 == 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

// add begins a series.
func (s *sampler) add(subject, name, unit string, read probe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probes = append(s.probes, read)
	s.series = append(s.series, Series{Subject: subject, Name: name, Unit: unit})
}

// close ends the sampling and returns the series that have points.
func (s *sampler) close() []Series {
	s.stop()
	<-s.done
	var kept []Series
	for _, series := range s.series {
		if len(series.Points) > 0 {
			kept = append(kept, series)
		}
	}
	return kept
}

// addProcesses samples the memory of a subject.
func (s *sampler) addProcesses(subject *subject) {
	if len(subject.pids) == 0 {
		return
	}
	s.add(subject.name, "memory", "bytes", func() (float64, bool) {
		resident, err := process.ResidentBytes(subject.pids)
		return float64(resident), err == nil
	})
}

// addOpen samples descriptors and threads of a subject, which costs more than memory.
func (s *sampler) addOpen(subject *subject) {
	if len(subject.pids) == 0 {
		return
	}
	count := func(name string, read func([]int) (int, error)) {
		s.add(subject.name, name, "open", func() (float64, bool) {
			n, err := read(subject.pids)
			return float64(n), err == nil
		})
	}
	count("descriptors", process.Descriptors)
	count("threads", process.Threads)
}

// addFleet samples a fleet's connections and the rate of its deliveries. While it is
// not connected there is nothing to sample.
func (s *sampler) addFleet(ctx context.Context, subject, part string, fleet *population.Fleet) {
	if part != "" {
		part = ", " + part
	}
	// The second probe uses what the first one read just before.
	var totals population.Totals
	var known bool
	s.add(subject, "connections"+part, "open", func() (float64, bool) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		var err error
		totals, err = fleet.Counts(ctx)
		known = err == nil
		return float64(totals.Subscribed), known
	})
	last, at := uint64(0), time.Now()
	s.add(subject, "deliveries"+part, "per second", func() (float64, bool) {
		if !known || totals.Received < last { // connected anew
			last, at = 0, time.Now()
			return 0, false
		}
		rate := float64(totals.Received-last) / time.Since(at).Seconds()
		last, at = totals.Received, time.Now()
		return rate, true
	})
}
