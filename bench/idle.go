package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"resound/bench/process"
)

// Idle measures the resident memory of connections at rest, each with one
// subscription, above that of the empty server.
func Idle(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "idle", s, defaultIdleConnections, (*run).idle)
}

func (r *run) idle() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	if len(subjects[0].pids) == 0 {
		return errors.New("idle measures memory: give the pid of the server")
	}
	channels := r.settings.Channels
	if channels == 0 {
		channels = max(r.settings.Connections/connectionsPerChannel, 1)
	}
	shown := &r.result.Settings
	shown.Channels, shown.PayloadBytes, shown.Rounds, shown.Duration = channels, 0, 0, 0
	for _, s := range subjects {
		memory, err := r.measureMemory(s, channels)
		if err != nil {
			return err
		}
		r.result.Memory = append(r.result.Memory, memory)
		r.progress("%s: %.0f bytes per connection", s.name, memory.BytesPerConnection)
	}
	return nil
}

func (r *run) measureMemory(s *subject, channels int) (Memory, error) {
	if err := r.newFleet(s); err != nil {
		return Memory{}, err
	}
	r.progress("reading the memory of the empty %s", s.name)
	empty, _, err := r.settle(s.pids)
	if err != nil {
		return Memory{}, err
	}
	// Not every host shows its slabs; zero then, and no figure.
	slabBefore, slabErr := process.SlabBytes()
	clients, err := process.ResidentBytes(s.fleet.PIDs())
	if err != nil {
		return Memory{}, err
	}
	r.progress("connecting %d subscribers on %d channels to the %s", r.settings.Connections, channels, s.name)
	if err := r.connect(s, channels); err != nil {
		return Memory{}, err
	}
	start := time.Now()
	loaded, settled, err := r.settle(s.pids)
	if err != nil {
		return Memory{}, err
	}
	totals, err := s.fleet.Counts(r.ctx)
	if err != nil {
		return Memory{}, err
	}
	if totals.Subscribed != r.settings.Connections {
		return Memory{}, fmt.Errorf("%s: %d of %d connections left at the end: %q", s.name, totals.Subscribed, r.settings.Connections, totals.Errors)
	}
	n := float64(r.settings.Connections)
	m := Memory{
		Subject: s.name, Connections: r.settings.Connections, EmptyBytes: empty, LoadedBytes: loaded,
		BytesPerConnection: float64(loaded-empty) / n, SettleSeconds: time.Since(start).Seconds(), Settled: settled,
	}
	if now, err := process.ResidentBytes(s.fleet.PIDs()); err == nil {
		m.ClientBytesPerConnection = float64(now-clients) / n
	}
	if slab, err := process.SlabBytes(); err == nil && slabErr == nil {
		m.KernelBytesPerConnection = float64(slab-slabBefore) / n
	}
	return m, nil
}

// A process has settled when settleReadings of its memory, spread evenly over the
// settings' window, are within settleSpread, or within half a percent.
const (
	settleReadings = 8
	settleTimeout  = 45 * time.Second
	settleSpread   = 64 << 10
)

// settle returns the resident memory of pids once it no longer changes, or as it is
// after settleTimeout with settled false.
func (r *run) settle(pids []int) (resident int64, settled bool, err error) {
	var window []int64
	for end := time.Now().Add(settleTimeout); ; {
		if resident, err = process.ResidentBytes(pids); err != nil {
			return 0, false, err
		}
		window = append(window, resident)
		if len(window) > settleReadings {
			window = window[1:]
			lowest, highest := resident, resident
			for _, v := range window {
				lowest, highest = min(lowest, v), max(highest, v)
			}
			if highest-lowest <= max(settleSpread, highest/200) {
				return resident, true, nil
			}
		}
		if time.Now().After(end) {
			return resident, false, nil
		}
		if err := r.pause(r.settings.settleWindow / settleReadings); err != nil {
			return 0, false, err
		}
	}
}
