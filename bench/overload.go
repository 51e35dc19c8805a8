package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"resound/bench/process"
)

// overload measures deliveries while events come faster than they can be sent one by
// one: several publishers, each of which triggers its next event when everybody has
// its last, so that as many events as publishers wait to be sent. Each publisher's
// events must arrive in order. The floor puts all that waits for a channel into one
// write(2). An operation is a delivery.
func (r *run) overload() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	feeds := make([][]*feed, len(subjects))
	for i, s := range subjects {
		r.progress("connecting %d subscribers to the %s", r.settings.Connections, s.name)
		if err := r.newFleet(s); err != nil {
			return err
		}
		o := r.options(s)
		o.Lanes = r.settings.Overload
		if err := r.openFleet(s, s.fleet, o); err != nil {
			return err
		}
		for lane := range r.settings.Overload {
			f := r.newFeed(s, r.channel)
			f.lane, f.lanes = lane, r.settings.Overload
			feeds[i] = append(feeds[i], f)
		}
		// Warm-up.
		if _, err := r.publishAll(s, feeds[i], func(events int) bool { return events >= warmUpEvents*r.settings.Overload }); err != nil {
			return err
		}
	}
	for number := range r.settings.Rounds {
		for i, s := range subjects {
			if err := r.overloadRound(number+1, s, feeds[i]); err != nil {
				return err
			}
		}
	}
	return r.checkFrames(subjects)
}

func (r *run) overloadRound(number int, s *subject, feeds []*feed) error {
	if _, err := s.fleet.Latencies(r.ctx, true); err != nil {
		return err
	}
	m, err := newMeter(s.pids, s.fleet.PIDs())
	if err != nil {
		return err
	}
	end := m.start + int64(r.settings.Duration)
	events, err := r.publishAll(s, feeds, func(events int) bool { return r.roundOver(events, end) })
	if err != nil {
		return err
	}
	round, err := m.round(uint64(events) * uint64(r.settings.Connections))
	if err != nil {
		return err
	}
	round.Number, round.Subject = number, s.name
	round.Mode = fmt.Sprintf("overload by %d", r.settings.Overload)
	return r.keep(round, s.fleet, "deliveries")
}

// publishAll runs all publishers until finished, which gets the number of events that
// were begun, says so. It returns how many were delivered to everybody.
func (r *run) publishAll(s *subject, feeds []*feed, finished func(events int) bool) (int, error) {
	var begun atomic.Int64
	errs := make([]error, len(feeds))
	var publishers sync.WaitGroup
	failed, fail := context.WithCancel(r.ctx)
	defer fail()
	for i, f := range feeds {
		publishers.Go(func() {
			for failed.Err() == nil && !finished(int(begun.Load())) {
				begun.Add(1)
				if errs[i] = r.publishNext(failed, s, f); errs[i] != nil {
					fail()
				}
			}
		})
	}
	publishers.Wait()
	if err := errors.Join(errs...); err != nil {
		sent := uint64(0)
		for _, f := range feeds {
			sent += uint64(f.number)
		}
		return 0, r.explainLoss(s.name, s.fleet, sent*uint64(r.settings.Connections), err)
	}
	return int(begun.Load()), nil
}

// publishNext triggers a publisher's next event and waits until everybody has it.
func (r *run) publishNext(ctx context.Context, s *subject, f *feed) error {
	ctx, cancel := context.WithTimeout(ctx, r.settings.deliveryTimeout)
	defer cancel()
	arrived := s.fleet.AwaitAsync(ctx, f.lane, uint64(f.number)+1)
	if err := f.trigger(1, process.Nanos()); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return <-arrived
}
