package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"resound/bench/population"
	"resound/bench/rest"
	"resound/bench/wire"
)

const (
	// churnSlots is how many users are on a visit at a time: each stays while as many
	// others come.
	churnSlots = 8

	// tabsEvery is how often a visitor comes with a second connection, of which nobody
	// may be told.
	tabsEvery = 4
)

// Presence measures members who come and go on a presence channel that has
// Settings.Connections members all the time. Each step one user joins and one leaves;
// the next begins when every member was told of both. Every fourth user comes with
// two connections. Each member must be told of each user's arrival and departure
// exactly once, and the rosters at the end must be right. An operation is a step, or
// a delivery of one of the two events to one member.
func Presence(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "presence", s, defaultPresenceMembers, (*run).presence)
}

func (r *run) presence() error {
	server, err := r.server()
	if err != nil {
		return err
	}
	v, err := r.openPresence(server)
	if err != nil {
		return err
	}
	if err := v.visit(warmUpEvents); err != nil {
		return err
	}
	for number := range r.settings.Rounds {
		if err := r.presenceRound(number+1, v); err != nil {
			return err
		}
	}
	return v.finish()
}

// openPresence connects the members, who tell each other of their arrival, and the
// connections of the visitors.
func (r *run) openPresence(s *subject) (*visits, error) {
	app := s.target.App
	v := &visits{run: r, subject: s, channel: "presence-" + r.channel}
	if err := r.newFleet(s); err != nil {
		return nil, err
	}
	r.progress("%d members join a presence channel", r.settings.Connections)
	o := r.options(s)
	o.Channel, o.App = v.channel, &app
	start := time.Now()
	if err := r.openFleet(s, s.fleet, o); err != nil {
		return nil, err
	}
	// Of two members, the first is told of the second.
	n := uint64(r.settings.Connections)
	if err := v.awaitMembers(n*(n-1)/2, 0); err != nil {
		return nil, err
	}
	r.progress("all were told of each other after %.1f s", time.Since(start).Seconds())
	var err error
	// A visitor's two connections are neighbours.
	if v.visitors, err = r.clients(s, 2*churnSlots); err != nil {
		return nil, err
	}
	o.Channel, o.Connections = "", 2*churnSlots
	return v, r.openFleet(s, v.visitors, o)
}

func (r *run) presenceRound(number int, v *visits) error {
	m, err := newMeter(v.subject.pids, append(v.subject.fleet.PIDs(), v.visitors.PIDs()...))
	if err != nil {
		return err
	}
	end := m.start + int64(r.settings.Duration)
	steps := 0
	for ; !r.roundOver(steps, end); steps++ {
		if err := v.visit(1); err != nil {
			return err
		}
	}
	for _, count := range []struct {
		mode       string
		operations int
	}{{"member delivery", 2 * steps * r.settings.Connections}, {"join and leave", steps}} {
		round, err := m.round(uint64(count.operations))
		if err != nil {
			return err
		}
		round.Number, round.Subject, round.Mode = number, v.subject.name, count.mode
		if err := r.keep(round, nil, "operations"); err != nil {
			return err
		}
	}
	return nil
}

// visits are the users who come and go. Owned by one goroutine.
type visits struct {
	run      *run
	subject  *subject
	visitors *population.Fleet
	channel  string
	came     uint32 // users so far; their numbers follow those of the members
	left     uint32
}

// visit lets as many users come, and as many leave, and waits until every member was
// told.
func (v *visits) visit(users int) error {
	for range users {
		if err := v.arrive(); err != nil {
			return err
		}
		if v.came-v.left == churnSlots {
			if err := v.leave(); err != nil {
				return err
			}
		}
		if err := v.told(); err != nil {
			return err
		}
	}
	return nil
}

// told waits until every member knows who came and who left.
func (v *visits) told() error {
	r := v.run
	ctx, cancel := context.WithTimeout(r.ctx, r.settings.deliveryTimeout)
	defer cancel()
	arrivals := v.subject.fleet.AwaitAsync(ctx, 0, uint64(v.came))
	departures := v.subject.fleet.AwaitAsync(ctx, 1, uint64(v.left))
	if err := errors.Join(<-arrivals, <-departures); err != nil {
		return r.explainLoss(v.subject, uint64(v.came+v.left)*uint64(r.settings.Connections), err)
	}
	return nil
}

// slot returns the first of a user's two connections, and how many it uses.
func slot(user uint32) (first, connections int) {
	first = 2 * int(user%churnSlots)
	if user%tabsEvery == 0 {
		return first, 2
	}
	return first, 1
}

func (v *visits) arrive() error {
	v.came++
	first, connections := slot(v.came)
	for conn := first; conn < first+connections; conn++ {
		user := uint32(v.run.settings.Connections) + v.came
		if _, err := v.visitors.Join(v.run.ctx, conn, v.channel, user); err != nil {
			return fmt.Errorf("%s: join: %w", v.subject.name, err)
		}
	}
	return nil
}

func (v *visits) leave() error {
	v.left++
	first, connections := slot(v.left)
	for conn := first; conn < first+connections; conn++ {
		if err := v.visitors.Leave(v.run.ctx, conn, v.channel); err != nil {
			return fmt.Errorf("%s: leave: %w", v.subject.name, err)
		}
	}
	return nil
}

// awaitMembers waits until the members were told of each other's arrivals and
// departures as often as they should.
func (v *visits) awaitMembers(arrivals, departures uint64) error {
	r := v.run
	for end := time.Now().Add(r.settings.deliveryTimeout); ; {
		totals, err := v.subject.fleet.Counts(r.ctx)
		if err != nil {
			return err
		}
		done := totals.Arrivals >= arrivals && totals.Departures >= departures
		if done || totals.Dropped > 0 || time.Now().After(end) {
			if totals.Arrivals != arrivals || totals.Departures != departures || totals.Dropped > 0 {
				return fmt.Errorf("%w: %s: members were told of %d arrivals and %d departures of each other, want %d and %d; %s",
					ErrDeliveries, v.subject.name, totals.Arrivals, totals.Departures, arrivals, departures, describe(totals))
			}
			return nil
		}
		if err := r.pause(countPoll); err != nil {
			return err
		}
	}
}

// finish lets everybody leave and verifies the counts and the roster, which the
// server tells over HTTP and to one who joins.
func (v *visits) finish() error {
	r := v.run
	n := r.settings.Connections
	if err := v.arrive(); err != nil {
		return err
	}
	for v.left < v.came-1 {
		if err := v.leave(); err != nil {
			return err
		}
	}
	if err := v.told(); err != nil {
		return err
	}
	if err := v.checkRoster(n + 1); err != nil {
		return err
	}
	if err := v.leave(); err != nil {
		return err
	}
	if err := v.told(); err != nil {
		return err
	}
	v.came++
	first, _ := slot(v.came)
	members, err := v.visitors.Join(r.ctx, first, v.channel, uint32(n)+v.came)
	if err != nil {
		return err
	}
	if members != n+1 {
		return fmt.Errorf("%w: %s: the last to join was told of %d members, want %d", ErrDeliveries, v.subject.name, members, n+1)
	}
	if err := v.told(); err != nil {
		return err
	}
	want := uint64(v.came+v.left) * uint64(n)
	if err := r.awaitDeliveries(v.subject.name, v.subject.fleet, want); err != nil {
		return err
	}
	return v.awaitMembers(uint64(n)*uint64(n-1)/2, 0)
}

// checkRoster asks the HTTP API for the members: all of the fleet and the last who
// came.
//
// Pusher: HTTP API, "GET users".
func (v *visits) checkRoster(members int) error {
	r := v.run
	query := rest.NewPublisher(v.subject.target)
	defer query.Close()
	body, err := query.Get(v.subject.target.App.UsersPath(v.channel), time.Now().Add(r.settings.deliveryTimeout))
	if err != nil {
		return fmt.Errorf("%s: %w", v.subject.name, err)
	}
	var got []uint32
	for user, rest, found := wire.ReadUserID(body); found; user, rest, found = wire.ReadUserID(rest) {
		got = append(got, user)
	}
	slices.Sort(got)
	want := make([]uint32, 0, members)
	for user := range uint32(r.settings.Connections) {
		want = append(want, user+1)
	}
	want = append(want, uint32(r.settings.Connections)+v.came)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%w: %s: the roster has %d users, want the %d members and the last who came", ErrDeliveries, v.subject.name, len(got), len(want)-1)
	}
	return nil
}
