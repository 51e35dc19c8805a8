package bench

import (
	"context"
	"fmt"
	"time"

	"resound/bench/process"
)

// lateShare is how much longer than meant a paced round may take before it counts as
// not paced.
const lateShare = 0.1

// Paced, the scenario latency, measures how late deliveries are at a steady rate, below what the server
// could do: one channel, and an event every time the rate asks for one. Latency is
// counted from the moment at which an event was meant to be sent, so an event that
// had to wait for the one before it counts as late, as it would for its users. The
// floor is triggered over HTTP too. An operation is a delivery.
func Paced(ctx context.Context, s Settings) (Result, error) {
	if s.Load == 0 {
		setDefault(&s.Rate, defaultLatencyRate)
	}
	return runScenario(ctx, "latency", s, defaultLatencyConnections, (*run).latency)
}

func (r *run) latency() error {
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
		for range warmUpEvents {
			if err := r.deliverFeed(s); err != nil {
				return err
			}
		}
	}
	if r.settings.Load > 0 {
		if err := r.chooseRate(subjects[0]); err != nil {
			return err
		}
	}
	for number := range r.settings.Rounds {
		for _, s := range subjects {
			if err := r.latencyRound(number+1, s); err != nil {
				return err
			}
		}
	}
	return r.checkFrames(subjects)
}

// chooseRate measures how many deliveries the server makes and takes a share of them.
func (r *run) chooseRate(s *subject) error {
	start, events := process.Nanos(), 0
	for end := start + int64(r.settings.Duration); process.Nanos() < end; events++ {
		if err := r.deliverFeed(s); err != nil {
			return err
		}
	}
	seconds := time.Duration(process.Nanos() - start).Seconds()
	full := float64(events) * float64(r.settings.Connections) / seconds
	r.settings.Rate = full * r.settings.Load
	r.result.Settings.Rate = r.settings.Rate
	r.progress("%.0f deliveries/s one event after the other; pacing %.0f", full, r.settings.Rate)
	return nil
}

// latencyRound paces events for the length of a round.
func (r *run) latencyRound(number int, s *subject) error {
	if _, err := s.fleet.Latencies(r.ctx, true); err != nil {
		return err
	}
	m, err := newMeter(s.pids, s.fleet.PIDs())
	if err != nil {
		return err
	}
	interval := time.Duration(float64(r.settings.Connections) / r.settings.Rate * float64(time.Second))
	// One event at least, however slow the pace.
	length := max(r.settings.Duration, interval)
	events, err := r.pace(interval, length, nil, func(nanos int64) error { return s.feed.trigger(1, nanos) })
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if err := r.arrive(s); err != nil {
		return err
	}
	round, err := m.round(uint64(events) * uint64(r.settings.Connections))
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, s.name, "paced"
	if round.Seconds > (1+lateShare)*length.Seconds() {
		r.result.verdict("%s round %d: took %.2f s instead of %.2f: it could not keep %.0f deliveries/s", s.name, number, round.Seconds, length.Seconds(), r.settings.Rate)
	}
	return r.keep(round, s.fleet, "deliveries")
}

// deliverFeed triggers one event over HTTP and waits until every subscriber has it.
func (r *run) deliverFeed(s *subject) error {
	if err := s.feed.trigger(1, process.Nanos()); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return r.arrive(s)
}

// arrive waits until every subscriber has all events of the feed.
func (r *run) arrive(s *subject) error {
	ctx, cancel := context.WithTimeout(r.ctx, r.settings.deliveryTimeout)
	defer cancel()
	if err := <-s.fleet.AwaitAsync(ctx, 0, uint64(s.feed.number)); err != nil {
		return r.explainLoss(s.name, s.fleet, uint64(s.feed.number)*uint64(r.settings.Connections), err)
	}
	return nil
}
