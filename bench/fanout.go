package bench

import (
	"context"
	"fmt"

	"resound/bench/population"
	"resound/bench/process"
)

// warmUpEvents are published before the first round: they fill caches and grow
// buffers to their size, in each mode.
const warmUpEvents = 3

// Fanout measures deliveries of events on one channel to many subscribers: single
// events, each triggered when all have the one before, and with Settings.Burst also
// batches of events. The floor writes each event, or each batch, to each socket
// with one write(2). An operation is a delivery.
func Fanout(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "fanout", s, defaultFanoutConnections, (*run).fanout)
}

func (r *run) fanout() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	for _, s := range subjects {
		r.progress("connecting %d subscribers to the %s", r.settings.Connections, s.name)
		if err := r.newFleet(s); err != nil {
			return err
		}
		if err := r.connect(s, 0); err != nil {
			return err
		}
	}
	modes := []int{1}
	if r.settings.Burst > 0 {
		modes = append(modes, r.settings.Burst)
	}
	for _, burst := range modes {
		for _, s := range subjects {
			for range warmUpEvents {
				if err := r.deliver(s, burst); err != nil {
					return err
				}
			}
			if _, _, err := s.fleet.Totals(r.ctx, true); err != nil {
				return err
			}
		}
	}
	for number := range r.settings.Rounds {
		for _, burst := range modes {
			for _, s := range subjects {
				if err := r.fanoutRound(number+1, s, burst); err != nil {
					return err
				}
			}
		}
	}
	return r.checkFrames(subjects)
}

// fanoutRound publishes in bursts until the round is over.
func (r *run) fanoutRound(number int, s *subject, burst int) error {
	m, err := newMeter(s.pids, s.fleet.PIDs())
	if err != nil {
		return err
	}
	events := 0
	for end := m.start + int64(r.settings.Duration); !r.roundOver(events, end); events += burst {
		if err := r.deliver(s, burst); err != nil {
			return err
		}
	}
	round, err := m.round(uint64(events) * uint64(r.settings.Connections))
	if err != nil {
		return err
	}
	_, latencies, err := s.fleet.Totals(r.ctx, true)
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, s.name, fanoutMode(burst)
	round.measured(latencies)
	r.result.Rounds = append(r.result.Rounds, round)
	r.progress("round %d/%d %s %s: %.0f deliveries/s", number, r.settings.Rounds, s.name, round.Mode, round.PerSecond)
	return nil
}

func (r *run) roundOver(events int, end int64) bool {
	if r.settings.Events > 0 {
		return events >= r.settings.Events
	}
	return process.Nanos() >= end
}

func fanoutMode(burst int) string {
	if burst == 1 {
		return "single"
	}
	return fmt.Sprintf("burst of %d", burst)
}

// deliver publishes one burst and waits until every subscriber has all of it.
func (r *run) deliver(s *subject, burst int) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.settings.deliveryTimeout)
	defer cancel()
	arrived := s.fleet.AwaitAsync(ctx, uint64(s.sequence)+uint64(burst))
	if err := s.publish(s.sequence+1, burst); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.sequence += uint32(burst)
	if err := <-arrived; err != nil {
		return r.explainLoss(s, err)
	}
	return nil
}

// explainLoss says how many deliveries are missing after a wait that failed.
func (r *run) explainLoss(s *subject, cause error) error {
	if r.ctx.Err() != nil {
		return cause
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.settings.deliveryTimeout)
	defer cancel()
	totals, _, err := s.fleet.Totals(ctx, false)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, cause)
	}
	want := uint64(s.sequence) * uint64(r.settings.Connections)
	return fmt.Errorf("%w: %s: %d of %d received within %v (%w), %s", ErrDeliveries, s.name,
		totals.Received, want, r.settings.deliveryTimeout, cause, describe(totals))
}

// checkFrames verifies at the end that all deliveries were right, and that the
// floor wrote frames of the server's size.
func (r *run) checkFrames(subjects []*subject) error {
	var sizes []int
	for _, s := range subjects {
		totals, _, err := s.fleet.Totals(r.ctx, false)
		if err != nil {
			return err
		}
		if totals.Duplicated+totals.Reordered > 0 {
			return fmt.Errorf("%w: %s: %s", ErrDeliveries, s.name, describe(totals))
		}
		if totals.Foreign > 0 {
			r.result.verdict("%s: %d messages that are no events of this run", s.name, totals.Foreign)
		}
		sizes = append(sizes, totals.MaxFrameBytes)
	}
	if len(sizes) == 2 && sizes[0] != sizes[1] {
		r.result.verdict("frames differ: server %d bytes, floor %d", sizes[0], sizes[1])
	}
	return nil
}

func describe(t population.Totals) string {
	return fmt.Sprintf("%d duplicated, %d reordered, %d connections dropped %q", t.Duplicated, t.Reordered, t.Dropped, t.Errors)
}
