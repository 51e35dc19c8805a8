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
// with one write(2). An operation is a delivery. With Settings.Overload instead, many
// events are under way at a time.
func Fanout(ctx context.Context, s Settings) (Result, error) {
	if s.Overload > 0 {
		return runScenario(ctx, "fanout", s, defaultFanoutConnections, (*run).overload)
	}
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
			if _, err := s.fleet.Latencies(r.ctx, true); err != nil {
				return err
			}
		}
	}
	if r.settings.Burst > 0 {
		r.result.comparePairs(pair{"rate", fanoutMode(r.settings.Burst), fanoutMode(1)})
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
	round, _, err := r.fanOut(s, burst)
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, s.name, fanoutMode(burst)
	return r.keep(round, s.fleet, "deliveries")
}

// fanOut publishes in bursts for the time of a round, and returns how many events.
func (r *run) fanOut(s *subject, burst int) (round Round, events int, err error) {
	m, err := newMeter(s.pids, s.fleet.PIDs())
	if err != nil {
		return round, 0, err
	}
	for end := m.start + int64(r.settings.Duration); !r.roundOver(events, end); events += burst {
		if err := r.deliver(s, burst); err != nil {
			return round, events, err
		}
	}
	round, err = m.round(uint64(events) * uint64(r.settings.Connections))
	return round, events, err
}

// keep adds a round to the result, with the latencies of the events its fleet
// received in it, and tells the user. things are what its operations were.
func (r *run) keep(round Round, fleet *population.Fleet, things string) error {
	if fleet != nil {
		latencies, err := fleet.Latencies(r.ctx, true)
		if err != nil {
			return err
		}
		round.measured(latencies)
	}
	r.result.Rounds = append(r.result.Rounds, round)
	r.progress("round %d/%d %s %s: %.0f %s/s", round.Number, r.settings.Rounds, round.Subject, round.Mode, round.PerSecond, things)
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
	arrived := s.fleet.AwaitAsync(ctx, 0, uint64(s.sequence)+uint64(burst))
	if err := s.publish(s.sequence+1, burst); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.sequence += uint32(burst)
	if err := <-arrived; err != nil {
		return r.explainLoss(s.name, s.fleet, uint64(s.sequence)*uint64(r.settings.Connections), err)
	}
	return nil
}
