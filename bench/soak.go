package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"resound/bench/population"
)

// The parts of a soak, in proportion to the subscribers of its main channel.
const (
	soakChannels  = 5  // a channel with one subscriber for every so many
	soakReturning = 5  // a connection that drops and returns for every so many
	soakMembers   = 20 // a member of the presence channel for every so many

	// soakChannelEvents are triggered on the many channels for each one on the main
	// channel.
	soakChannelEvents = 10
)

const (
	// soakVisit is the pause between two steps of the presence channel, soakReturn that
	// between two storms of those who drop and return.
	soakVisit  = 500 * time.Millisecond
	soakReturn = 5 * time.Second

	// soakReadings is how often the server is looked at.
	soakReadings = 400
	soakShortest = 50 * time.Millisecond

	// soakGrace is for connecting before, and checking after.
	soakGrace = 10 * time.Minute
)

// Soak runs a mix of all for Settings.Duration: a stream of events to many
// subscribers, events in turn on many channels, members who come and go, and
// connections that drop and return. It fails when the server's memory, descriptors or
// goroutines grow beyond the bounds of growth, and on any delivery that is lost,
// repeated, out of order or misdelivered. There is no floor for it.
func Soak(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Duration, defaultSoakDuration)
	setDefault(&s.Rate, defaultStormRate)
	setDefault(&s.Rounds, 1)
	setDefault(&s.Timeout, s.Duration+soakGrace)
	return runScenario(ctx, "soak", s, defaultLatencyConnections, (*run).soak)
}

// soakPart is one thing that goes on for the whole time. work returns once stopped is
// closed.
type soakPart struct {
	mode       string
	fleet      *population.Fleet // whose deliveries are checked
	work       func(stopped <-chan struct{}) error
	operations func() uint64 // so far; valid once work has returned
	check      func() error  // after it
	clients    []*population.Fleet
}

func (r *run) soak() error {
	server, err := r.server()
	if err != nil {
		return err
	}
	r.samples.addOpen(server)
	r.progress("connecting %d subscribers and %d others to the server", r.settings.Connections, r.settings.Connections/soakChannels)
	var parts []soakPart
	for _, open := range []func(*subject) (soakPart, error){r.soakStream, r.soakChannels, r.soakVisits, r.soakReturns} {
		part, err := open(server)
		if err != nil {
			return err
		}
		parts = append(parts, part)
	}
	var clients []int
	for _, p := range parts {
		for _, fleet := range p.clients {
			clients = append(clients, fleet.PIDs()...)
		}
	}
	m, err := newMeter(server.pids, clients)
	if err != nil {
		return err
	}
	growth := &growth{pids: server.pids, goroutines: goroutinesOf(server.target)}
	if err := r.runParts(parts, growth); err != nil {
		return err
	}
	for _, p := range parts {
		round, err := m.round(p.operations())
		if err != nil {
			return err
		}
		round.Number, round.Subject, round.Mode = 1, server.name, p.mode
		round.CPUMicros = nil // of all parts together
		if err := r.keep(round, p.fleet, "operations"); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if err := p.check(); err != nil {
			return fmt.Errorf("%s: %w", p.mode, err)
		}
	}
	return growth.judge(&r.result)
}

// runParts lets all parts work for the duration, and ends them when one fails or its
// deliveries are wrong.
func (r *run) runParts(parts []soakPart, growth *growth) error {
	stopped := make(chan struct{})
	failed := make(chan error, len(parts))
	for _, p := range parts {
		go func() {
			err := p.work(stopped)
			if err != nil {
				err = fmt.Errorf("%s: %w", p.mode, err)
			}
			failed <- err
		}()
	}
	err := r.lookOn(parts, growth, failed)
	close(stopped)
	for range parts {
		select {
		case e := <-failed:
			err = errors.Join(err, e)
		case <-r.ctx.Done():
			return errors.Join(err, context.Cause(r.ctx))
		}
	}
	return err
}

// lookOn reads the server's footprint and the clients' counts until the duration is
// over.
func (r *run) lookOn(parts []soakPart, growth *growth, failed chan error) error {
	begun := time.Now()
	interval := max(r.settings.Duration/soakReadings, soakShortest)
	for told := begun; time.Since(begun) < r.settings.Duration; {
		if err := r.pause(interval); err != nil {
			return err
		}
		if len(failed) > 0 {
			return nil // the caller takes it
		}
		if err := growth.read(); err != nil {
			return err
		}
		for _, p := range parts {
			if p.fleet == nil {
				continue
			}
			totals, err := p.fleet.Counts(r.ctx)
			if err != nil {
				return err
			}
			if totals.Wrong() > 0 || totals.Dropped > 0 {
				return fmt.Errorf("%w: %s: %s", ErrDeliveries, p.mode, describe(totals))
			}
		}
		if time.Since(told) > time.Minute {
			told = time.Now()
			r.progress("%.0f of %.0f minutes: %s", time.Since(begun).Minutes(), r.settings.Duration.Minutes(), growth.last())
		}
	}
	return nil
}
