package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

// spreadCallers are the connections on which triggers are under way.
const spreadCallers = 64

// Spread measures events on many channels with one subscriber each, triggered in
// turn on as many connections as in Trigger. Are there more channels than
// connections, each connection subscribes to several. The floor looks up the channel
// and checks no signature. An operation is an event, from request to delivery.
func Spread(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Channels, defaultSpreadChannels)
	return runScenario(ctx, "spread", s, min(s.Channels, defaultFanoutConnections), (*run).spread)
}

func (r *run) spread() error {
	if r.settings.Connections > r.settings.Channels {
		return fmt.Errorf("%d connections for %d channels, want a channel or more for each", r.settings.Connections, r.settings.Channels)
	}
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	loads := make([]*spreadLoad, len(subjects))
	for i, s := range subjects {
		r.progress("subscribing %d connections to %d channels of the %s", r.settings.Connections, r.settings.Channels, s.name)
		if err := r.newFleet(s); err != nil {
			return err
		}
		o := r.options(s)
		o.Channels, o.LanePerChannel = r.settings.Channels, true
		if err := r.openFleet(s, s.fleet, o); err != nil {
			return err
		}
		if loads[i], err = r.newSpreadLoad(s); err != nil {
			return err
		}
		defer loads[i].load.Close()
		if _, err := r.spreadRound(s, loads[i], triggerWarmUp); err != nil {
			return err
		}
		if _, err := s.fleet.Latencies(r.ctx, true); err != nil {
			return err
		}
	}
	for number := range r.settings.Rounds {
		for i, s := range subjects {
			round, err := r.spreadRound(s, loads[i], r.settings.Duration)
			if err != nil {
				return err
			}
			round.Number = number + 1
			if err := r.keep(round, s.fleet, "events"); err != nil {
				return err
			}
		}
	}
	return r.checkFrames(subjects)
}

// spreadRound triggers for duration and waits for the last delivery.
func (r *run) spreadRound(s *subject, l *spreadLoad, duration time.Duration) (Round, error) {
	m, err := newMeter(s.pids, append(s.fleet.PIDs(), os.Getpid()))
	if err != nil {
		return Round{}, err
	}
	result, err := l.load.Run(duration, r.settings.deliveryTimeout)
	if err != nil {
		return Round{}, fmt.Errorf("%s: %w", s.name, err)
	}
	if result.Failed > 0 {
		return Round{}, fmt.Errorf("%w: %s: %d of %d, the first with status %d", ErrRefused, s.name, result.Failed, result.Requests, result.Status)
	}
	l.sent += result.Requests
	if err := r.awaitDeliveries(s.name, s.fleet, l.sent); err != nil {
		return Round{}, err
	}
	round, err := m.round(result.Requests)
	round.Subject, round.Mode = s.name, "spread"
	return round, err
}

// spreadLoad makes the requests. Caller c triggers on the channels c, c + callers and
// so on, in turn, one request under way: so each channel's events have an order.
type spreadLoad struct {
	load     *rest.Load
	target   rest.Target
	channel  string
	channels int
	callers  int
	payload  int
	steps    []int  // by caller: requests made
	sent     uint64 // answered

	data, body, request []byte
}

func (r *run) newSpreadLoad(s *subject) (*spreadLoad, error) {
	l := &spreadLoad{
		target: s.target, channel: r.channel, channels: r.settings.Channels,
		callers: min(spreadCallers, r.settings.Channels), payload: r.settings.PayloadBytes,
	}
	l.steps = make([]int, l.callers)
	var err error
	if l.load, err = rest.NewLoad(s.triggers(), l.callers); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	l.load.Use(l.next)
	return l, nil
}

func (l *spreadLoad) next(caller int) []byte {
	own := (l.channels - caller + l.callers - 1) / l.callers
	step := l.steps[caller]
	l.steps[caller]++
	channel := caller + l.callers*(step%own)
	event := (step/own)*l.channels + channel + 1
	l.data = wire.AppendStamped(l.data[:0], wire.Stamp{Sequence: uint32(event), SentNanos: process.Nanos()}, l.payload)
	l.body = wire.AppendTriggerBody(l.body[:0], channelName(l.channel, channel), l.data)
	app := l.target.App
	l.request = app.AppendPost(l.request[:0], l.target.Host, l.target.Prefix, app.EventsPath(), l.body, time.Now().Unix())
	return l.request
}
