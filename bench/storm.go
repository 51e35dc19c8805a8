package bench

import (
	"context"
	"fmt"
	"time"

	"resound/bench/population"
	"resound/bench/process"
)

// stormPatience bounds the return of all clients.
const stormPatience = 2 * time.Minute

// Modes of the storm's rounds.
const (
	modeBefore = "stream before"
	modeDuring = "stream during the storm"
	modeReturn = "return"
)

// Storm drops all connections at once and lets them come back at once, each trying
// again after a second when it is refused, while Settings.Watchers others get a paced
// stream of events, of which none may be lost. It measures how long it takes until
// all are back and subscribed, how many were refused, and the others' latency before
// and during the storm. The floor is triggered over HTTP too.
func Storm(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Watchers, defaultWatchers)
	setDefault(&s.Rate, defaultStormRate)
	setDefault(&s.Rounds, defaultStormRounds)
	return runScenario(ctx, "storm", s, defaultStormConnections, (*run).storm)
}

// crowd is what a storm needs of a subject.
type crowd struct {
	*subject
	watchers *population.Fleet // the subject's fleet are those who drop and return
	options  population.Options
}

func (r *run) storm() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	var crowds []*crowd
	for _, s := range subjects {
		r.progress("connecting %d watchers and %d others to the %s", r.settings.Watchers, r.settings.Connections, s.name)
		c, err := r.gather(s)
		if err != nil {
			return err
		}
		crowds = append(crowds, c)
	}
	r.result.comparePairs(pair{"p99", modeDuring, modeBefore})
	for number := range r.settings.Rounds {
		for _, c := range crowds {
			if err := r.stormRound(number+1, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) gather(s *subject) (*crowd, error) {
	c := &crowd{subject: s, options: r.options(s)}
	c.options.Channel += "-crowd"
	c.options.Channels = max(r.settings.Connections/connectionsPerChannel, 1)
	if err := r.newFleet(s); err != nil {
		return nil, err
	}
	if err := r.openFleet(s, s.fleet, c.options); err != nil {
		return nil, err
	}
	c.options.InFlight, c.options.Retry = r.settings.Connections, r.settings.stormRetry
	var err error
	if c.watchers, err = r.clients(s, "watchers", r.settings.Watchers); err != nil {
		return nil, err
	}
	o := r.options(s)
	o.Connections = r.settings.Watchers
	return c, r.openFleet(s, c.watchers, o)
}

// stormRound measures the stream alone, then the storm.
func (r *run) stormRound(number int, c *crowd) error {
	interval := time.Duration(float64(r.settings.Watchers) / r.settings.Rate * float64(time.Second))
	stream := r.stream(c.feed, interval)
	stopped := false
	stop := func() error { stopped = true; return stream.stop() }
	defer func() {
		if !stopped {
			_ = stop()
		}
	}()
	if err := r.pause(interval); err != nil {
		return err
	}
	if err := r.streamPhase(number, c, modeBefore, func() error { return r.pause(r.settings.Duration) }); err != nil {
		return err
	}
	// The events of the storm, and at least one, until they have arrived.
	var back Round
	err := r.streamPhase(number, c, modeDuring, func() (err error) {
		if back, err = r.dropAndReturn(c); err != nil {
			return err
		}
		if err := r.pause(2 * interval); err != nil {
			return err
		}
		if err := stop(); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		return r.awaitDeliveries(c.name, c.watchers, uint64(c.feed.number)*uint64(r.settings.Watchers))
	})
	if err != nil {
		return err
	}
	back.Number = number
	if back.RefusedAgain > 0 {
		r.result.verdict("%s round %d: %d connections were refused more than once", c.name, number, back.RefusedAgain)
	}
	return r.keep(back, nil, "connections")
}

// streamPhase measures the watchers' deliveries while during runs.
func (r *run) streamPhase(number int, c *crowd, mode string, during func() error) error {
	before, err := c.watchers.Counts(r.ctx)
	if err != nil {
		return err
	}
	if _, err := c.watchers.Latencies(r.ctx, true); err != nil {
		return err
	}
	m, err := newMeter(c.pids, append(c.watchers.PIDs(), c.fleet.PIDs()...))
	if err != nil {
		return err
	}
	if err := during(); err != nil {
		return err
	}
	after, err := c.watchers.Counts(r.ctx)
	if err != nil {
		return err
	}
	round, err := m.round(after.Received - before.Received)
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, c.name, mode
	if mode == modeDuring {
		round.CPUMicros = nil // the storm's, not the stream's
	}
	return r.keep(round, c.watchers, "deliveries")
}

// dropAndReturn is the storm.
func (r *run) dropAndReturn(c *crowd) (Round, error) {
	m, err := newMeter(c.pids, append(c.fleet.PIDs(), c.watchers.PIDs()...))
	if err != nil {
		return Round{}, err
	}
	ctx, cancel := context.WithTimeout(r.ctx, stormPatience)
	defer cancel()
	if err := c.fleet.Disconnect(ctx); err != nil {
		return Round{}, err
	}
	begun := process.Nanos()
	if err := c.fleet.Connect(ctx, c.options); err != nil {
		return Round{}, fmt.Errorf("%s: return of %d connections: %w", c.name, r.settings.Connections, err)
	}
	round, err := m.round(uint64(r.settings.Connections))
	if err != nil {
		return Round{}, err
	}
	round.Subject, round.Mode = c.name, modeReturn
	times, err := c.fleet.ConnectTimes(ctx)
	if err != nil {
		return Round{}, err
	}
	round.measured(times)
	totals, err := c.fleet.Counts(ctx)
	if err != nil {
		return Round{}, err
	}
	round.Refused, round.RefusedAgain = totals.Refused, totals.RefusedAgain
	if totals.Dropped > 0 {
		r.result.verdict("%s: %d connections were lost again behind their subscription: %q", c.name, totals.Dropped, totals.Errors)
	}
	r.progress("%s: all %d back after %.2f s, %d refused, %d of them again %q", c.name, r.settings.Connections,
		time.Duration(process.Nanos()-begun).Seconds(), totals.Refused, totals.RefusedAgain, totals.Errors)
	return round, nil
}
