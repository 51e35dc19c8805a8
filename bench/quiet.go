package bench

import (
	"context"
	"time"

	"resound/bench/process"
)

// quietWindow, quietCPU and quietTimeout say when a process counts as at rest.
const (
	quietWindow  = 100 * time.Millisecond
	quietCPU     = 3 * time.Millisecond
	quietTimeout = 10 * time.Second
)

// awaitQuiet returns once pids use next to no CPU, or after quietTimeout.
func (r *run) awaitQuiet(pids []int) error {
	before, err := process.ReadCPU(pids)
	for end := time.Now().Add(quietTimeout); err == nil && time.Now().Before(end); {
		if err := r.pause(quietWindow); err != nil {
			return err
		}
		var now process.CPU
		if now, err = process.ReadCPU(pids); now.Sub(before).Total < quietCPU {
			return err
		}
		before = now
	}
	return err
}

// pause waits for d, or for the end of the run.
func (r *run) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}
