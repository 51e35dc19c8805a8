package bench

import (
	"errors"
	"fmt"
	"slices"

	"resound/bench/process"
)

// ErrGrowth means that the server's memory, descriptors or goroutines grew where they
// should not.
var ErrGrowth = errors.New("the server grew")

// Bounds of what a server's footprint in the last quarter of a soak may have grown
// since the first. Memory of a server with a garbage collector goes up and down: what
// counts is the middle reading of each quarter.
const (
	growthPercent        = 10
	growthSlackBytes     = 16 << 20
	growthDescriptors    = 32
	growthGoroutines     = 32
	growthThreads        = 8
	fewestGrowthReadings = 8
)

// growth follows the footprint of processes. Owned by one goroutine.
type growth struct {
	pids       []int
	goroutines func() (int, bool) // false when the server does not tell
	readings   []footprint
}

type footprint struct {
	bytes                int64
	descriptors, threads int
	goroutines           int // 0 when unknown
}

func (g *growth) read() error {
	if len(g.pids) == 0 {
		return nil
	}
	bytes, err := process.ResidentBytes(g.pids)
	if err != nil {
		return err
	}
	descriptors, err := process.Descriptors(g.pids)
	if err != nil {
		return err
	}
	threads, err := process.Threads(g.pids)
	if err != nil {
		return err
	}
	goroutines, _ := g.goroutines()
	g.readings = append(g.readings, footprint{bytes, descriptors, threads, goroutines})
	return nil
}

// last describes the last reading.
func (g *growth) last() string {
	if len(g.readings) == 0 {
		return "the server's process is not known"
	}
	f := g.readings[len(g.readings)-1]
	return fmt.Sprintf("%d kB, %d descriptors, %d threads, %d goroutines", f.bytes>>10, f.descriptors, f.threads, f.goroutines)
}

// judge compares the first quarter with the last.
func (g *growth) judge(r *Result) error {
	if len(g.readings) < fewestGrowthReadings {
		r.verdict("%d readings of the server's memory and descriptors, too few to tell whether they grow", len(g.readings))
		return nil
	}
	n := len(g.readings)
	first, last := typical(g.readings[:n/4]), typical(g.readings[n-n/4:])
	if last.threads > first.threads+growthThreads {
		r.verdict("threads of the server grew from %d to %d", first.threads, last.threads)
	}
	var errs []error
	if limit := first.bytes + first.bytes*growthPercent/100 + growthSlackBytes; last.bytes > limit {
		errs = append(errs, fmt.Errorf("%w: memory from %d to %d kB, want %d at most", ErrGrowth, first.bytes>>10, last.bytes>>10, limit>>10))
	}
	if limit := first.descriptors + growthDescriptors; last.descriptors > limit {
		errs = append(errs, fmt.Errorf("%w: descriptors from %d to %d, want %d at most", ErrGrowth, first.descriptors, last.descriptors, limit))
	}
	if first.goroutines == 0 {
		r.verdict("the server does not tell its goroutines (go_goroutines at /metrics): whether they grow is not known")
	} else if limit := first.goroutines + growthGoroutines; last.goroutines > limit {
		errs = append(errs, fmt.Errorf("%w: goroutines from %d to %d, want %d at most", ErrGrowth, first.goroutines, last.goroutines, limit))
	}
	return errors.Join(errs...)
}

// typical returns the middle of each of the readings' values.
func typical(readings []footprint) footprint {
	middle := func(value func(footprint) int64) int64 {
		values := make([]int64, len(readings))
		for i, f := range readings {
			values[i] = value(f)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return footprint{
		bytes:       middle(func(f footprint) int64 { return f.bytes }),
		descriptors: int(middle(func(f footprint) int64 { return int64(f.descriptors) })),
		threads:     int(middle(func(f footprint) int64 { return int64(f.threads) })),
		goroutines:  int(middle(func(f footprint) int64 { return int64(f.goroutines) })),
	}
}
