package bench

import (
	"time"

	"resound/bench/population"
)

// soakStream is a steady stream of events to all subscribers of one channel.
func (r *run) soakStream(s *subject) (soakPart, error) {
	if err := r.newFleet(s); err != nil {
		return soakPart{}, err
	}
	if err := r.connect(s, 0); err != nil {
		return soakPart{}, err
	}
	deliveries := func() uint64 { return uint64(s.feed.number) * uint64(r.settings.Connections) }
	return soakPart{
		mode: "stream", fleet: s.fleet, clients: []*population.Fleet{s.fleet},
		work:       func(stopped <-chan struct{}) error { return r.soakFeed(s.feed, r.soakInterval(), stopped) },
		operations: deliveries,
		check:      func() error { return r.awaitDeliveries(s.name, s.fleet, deliveries()) },
	}, nil
}

// soakInterval is the time between two events of the stream.
func (r *run) soakInterval() time.Duration {
	return time.Duration(float64(r.settings.Connections) / r.settings.Rate * float64(time.Second))
}

// soakFeed triggers one event of f every interval.
func (r *run) soakFeed(f *feed, interval time.Duration, stopped <-chan struct{}) error {
	_, err := r.pace(interval, 0, stopped, func(nanos int64) error { return f.trigger(1, nanos) })
	return err
}

// soakChannels triggers events on many channels with one subscriber each, in turn.
func (r *run) soakChannels(s *subject) (soakPart, error) {
	n := max(r.settings.Connections/soakChannels, 1)
	fleet, err := r.clients(s, "many channels", n)
	if err != nil {
		return soakPart{}, err
	}
	o := r.options(s)
	o.Channel += "-many"
	o.Connections, o.Channels, o.LanePerChannel = n, n, true
	f := r.newFeed(s, o.Channel)
	f.channels = n
	return soakPart{
		mode: "many channels", fleet: fleet, clients: []*population.Fleet{fleet},
		work: func(stopped <-chan struct{}) error {
			return r.soakFeed(f, r.soakInterval()/soakChannelEvents, stopped)
		},
		operations: func() uint64 { return uint64(f.number) },
		check:      func() error { return r.awaitDeliveries(s.name, fleet, uint64(f.number)) },
	}, r.openFleet(s, fleet, o)
}

// soakVisits lets users come to a presence channel and leave it.
func (r *run) soakVisits(s *subject) (soakPart, error) {
	n := max(r.settings.Connections/soakMembers, 2)
	fleet, err := r.clients(s, "members", n)
	if err != nil {
		return soakPart{}, err
	}
	v, err := r.openVisits(s, fleet, n)
	if err != nil {
		return soakPart{}, err
	}
	return soakPart{
		mode: "join and leave", fleet: fleet, clients: []*population.Fleet{fleet, v.visitors},
		work: func(stopped <-chan struct{}) error {
			_, err := r.pace(soakVisit, 0, stopped, func(int64) error { return v.visit(1) })
			return err
		},
		operations: func() uint64 { return uint64(v.came) },
		check:      v.finish,
	}, nil
}

// soakReturns lets connections drop at once and return at once.
func (r *run) soakReturns(s *subject) (soakPart, error) {
	n := max(r.settings.Connections/soakReturning, 1)
	fleet, err := r.clients(s, "returning", n)
	if err != nil {
		return soakPart{}, err
	}
	o := r.options(s)
	o.Channel += "-returning"
	o.Connections, o.InFlight, o.Retry = n, n, r.settings.stormRetry
	returned := uint64(0)
	return soakPart{
		mode: "return", clients: []*population.Fleet{fleet},
		work: func(stopped <-chan struct{}) error {
			_, err := r.pace(min(soakReturn, max(r.settings.Duration/8, soakShortest)), 0, stopped, func(int64) error {
				if err := fleet.Disconnect(r.ctx); err != nil {
					return err
				}
				returned += uint64(n)
				return r.openFleet(s, fleet, o)
			})
			return err
		},
		operations: func() uint64 { return returned },
		check:      func() error { return nil },
	}, r.openFleet(s, fleet, o)
}
