package bench

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

const (
	// maxEventsPerSecond and deliveriesPerSecond bound how often an event goes to
	// the channels of a class: the hold shows what a busy site sees, not a flood.
	maxEventsPerSecond  = 10
	deliveriesPerSecond = 5000

	// deliveryPoll is the time between two looks for the last deliveries.
	deliveryPoll = 100 * time.Millisecond
)

// holdIdle measures the server processes with nothing to do but pings, which the
// clients answer.
func (m *million) holdIdle() error {
	before, err := m.totals()
	if err != nil {
		return err
	}
	meter, err := newMeter(m.pids, m.clientPIDs())
	if err != nil {
		return err
	}
	over := make(chan error, 1)
	timer := time.AfterFunc(m.settings.Duration/2, func() { over <- nil })
	defer timer.Stop()
	if err := m.watch("idle", over); err != nil {
		return err
	}
	totals, err := m.totals()
	if err != nil {
		return err
	}
	round, err := meter.round(totals.Pings - before.Pings)
	if err != nil {
		return m.endedOr(err)
	}
	m.addRound(round, "idle, pings")
	m.progress("idle: %.2f cores, %.0f pings/s", *round.ServerCores, round.PerSecond)
	return m.checkHeld(totals)
}

// schedule is when events go to the channels of a class. Owned by holdBusy.
type schedule struct {
	class    channelClass
	interval time.Duration
	next     time.Time
	events   int
	expected uint64 // deliveries of these
}

func newSchedule(c channelClass, start time.Time) schedule {
	interval := max(time.Second/maxEventsPerSecond, time.Duration(c.size())*time.Second/deliveriesPerSecond)
	return schedule{class: c, interval: interval, next: start}
}

// earliest returns the schedule whose event is due first.
func earliest(all []schedule) int {
	first := 0
	for i := range all {
		if all[i].next.Before(all[first].next) {
			first = i
		}
	}
	return first
}

// holdBusy triggers events to the channels of all classes, in turn, and checks that
// every subscriber received each exactly once.
func (m *million) holdBusy() error {
	meter, err := newMeter(m.pids, m.clientPIDs())
	if err != nil {
		return err
	}
	start := time.Now()
	schedules := make([]schedule, len(m.plan.classes))
	for i, c := range m.plan.classes {
		schedules[i] = newSchedule(c, start)
	}
	if err := m.publish(schedules, start.Add(m.settings.Duration/2)); err != nil {
		return err
	}
	if err := m.awaitDeliveries(schedules); err != nil {
		return err
	}
	elapsed := time.Since(start).Seconds()
	deliveries := uint64(0)
	for i := range schedules {
		s := &schedules[i]
		deliveries += s.expected
		latencies, err := m.fleets[i].Latencies(m.ctx, false)
		if err != nil {
			return err
		}
		round := Round{Operations: s.expected, Seconds: elapsed, PerSecond: float64(s.expected) / elapsed}
		round.measured(latencies)
		m.addRound(round, s.class.mode())
	}
	round, err := meter.round(deliveries)
	if err != nil {
		return m.endedOr(err)
	}
	m.addRound(round, "all events, pings")
	return m.readEnd(schedules)
}

// publish triggers what is due until end.
func (m *million) publish(schedules []schedule, end time.Time) error {
	for looked := time.Now(); ; {
		s := earliest(schedules)
		if schedules[s].next.After(end) {
			return nil
		}
		if err := m.pause(time.Until(schedules[s].next)); err != nil {
			return err
		}
		if err := m.publishNext(s, &schedules[s]); err != nil {
			return m.endedOr(err)
		}
		if time.Since(looked) >= sampleInterval {
			looked = time.Now()
			if err := m.look("events"); err != nil {
				return err
			}
		}
	}
}

// publishNext triggers the next event of a class at every server process.
func (m *million) publishNext(class int, s *schedule) error {
	channel := s.events % s.class.channels
	s.events++
	s.expected += uint64(s.class.members(channel))
	name := m.channelPrefix(class) + "-" + strconv.Itoa(channel)
	err := m.atEachServer(func(p *rest.Publisher, deadline time.Time) error {
		stamp := wire.Stamp{Sequence: uint32(s.events), SentNanos: process.Nanos()}
		return p.Trigger(name, [][]byte{wire.AppendStamped(nil, stamp, m.settings.PayloadBytes)}, deadline)
	})
	// Late is late: what could not be triggered in time is not made up for.
	s.next = s.next.Add(s.interval)
	if now := time.Now(); s.next.Before(now) {
		s.next = now
	}
	m.report.Events++
	return err
}

// atEachServer calls do for the publisher of each server process, all at once, and
// returns when all have returned.
func (m *million) atEachServer(do func(p *rest.Publisher, deadline time.Time) error) error {
	deadline := time.Now().Add(m.settings.deliveryTimeout)
	errs := make([]error, len(m.publishers))
	var calls sync.WaitGroup
	for i, p := range m.publishers {
		calls.Go(func() {
			if err := do(p, deadline); err != nil {
				errs[i] = fmt.Errorf("server process %d: %w", i+1, err)
			}
		})
	}
	calls.Wait()
	return errors.Join(errs...)
}

// awaitDeliveries returns when the clients have received as much as the schedules
// expect, or with ErrDeliveries when that does not happen in time.
func (m *million) awaitDeliveries(schedules []schedule) error {
	for end := time.Now().Add(m.settings.deliveryTimeout); ; {
		missing := uint64(0)
		for i, f := range m.fleets {
			t, err := f.Counts(m.ctx)
			if err != nil {
				return err
			}
			missing += schedules[i].expected - min(t.Received, schedules[i].expected)
		}
		if missing == 0 {
			return nil
		}
		if time.Now().After(end) {
			m.report.Lost = missing
			return fmt.Errorf("%w: %d not received within %v", ErrDeliveries, missing, m.settings.deliveryTimeout)
		}
		if err := m.pause(deliveryPoll); err != nil {
			return err
		}
	}
}

// readEnd checks the deliveries and the connections at the end of the hold.
func (m *million) readEnd(schedules []schedule) error {
	totals, err := m.totals()
	if err != nil {
		return err
	}
	resident, err := process.ResidentBytes(m.pids)
	if err != nil {
		return m.endedOr(err)
	}
	expected := uint64(0)
	for _, s := range schedules {
		expected += s.expected
	}
	r := m.report
	r.EndBytes, r.Pings = resident, totals.Pings
	r.Deliveries, r.Duplicated, r.Reordered = totals.Received, totals.Duplicated, totals.Reordered
	if totals.Foreign > 0 {
		m.result.verdict("%d messages that are no events of this run", totals.Foreign)
	}
	return errors.Join(checkDeliveries(totals, expected), m.checkHeld(totals))
}

// checkDeliveries returns ErrDeliveries unless each expected delivery was made once.
func checkDeliveries(t population.Totals, expected uint64) error {
	if t.Received == expected && t.Duplicated+t.Reordered == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d received, want %d: %s", ErrDeliveries, t.Received, expected, describe(t))
}
