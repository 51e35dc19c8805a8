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

// visits are the users who come and go on a channel with members. Owned by one
// goroutine.
type visits struct {
	*subject
	run      *run
	fleet    *population.Fleet // the members
	visitors *population.Fleet
	members  int
	channel  string
	came     uint32 // users so far; their numbers follow those of the members
	left     uint32
}

// openVisits connects the members, who tell each other of their arrival, and the
// connections of the visitors.
func (r *run) openVisits(s *subject, fleet *population.Fleet, members int) (*visits, error) {
	v := &visits{subject: s, run: r, fleet: fleet, members: members, channel: "presence-" + r.channel}
	o := r.options(s)
	o.Channel, o.Connections, o.App = v.channel, members, &s.target.App
	// Members tell each other of their arrival, N(N-1)/2 times: a server that is late
	// with that may put the next ones off.
	o.Retry = r.settings.stormRetry
	if err := r.openFleet(s, fleet, o); err != nil {
		return nil, err
	}
	// Of two members, the first is told of the second.
	n := uint64(members)
	if err := v.awaitMembers(n * (n - 1) / 2); err != nil {
		return nil, err
	}
	var err error
	// A visitor's two connections are neighbours.
	if v.visitors, err = r.clients(s, "visitors", 2*churnSlots); err != nil {
		return nil, err
	}
	o.Channel, o.Connections = "", 2*churnSlots
	return v, r.openFleet(s, v.visitors, o)
}

// visit lets as many users come, and as many leave once there are churnSlots of them,
// and waits until every member was told.
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
	arrivals := v.fleet.AwaitAsync(ctx, 0, uint64(v.came))
	departures := v.fleet.AwaitAsync(ctx, 1, uint64(v.left))
	if err := errors.Join(<-arrivals, <-departures); err != nil {
		return r.explainLoss(v.name, v.fleet, uint64(v.came+v.left)*uint64(v.members), err)
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

// arrive lets the next user come.
func (v *visits) arrive() error {
	v.came++
	first, connections := slot(v.came)
	for conn := first; conn < first+connections; conn++ {
		if _, err := v.join(conn); err != nil {
			return err
		}
	}
	return nil
}

// join makes a connection a member as the last user who came.
func (v *visits) join(conn int) (members int, err error) {
	ctx, cancel := context.WithTimeout(v.run.ctx, v.run.settings.deliveryTimeout)
	defer cancel()
	if members, err = v.visitors.Join(ctx, conn, v.channel, uint32(v.members)+v.came); err != nil {
		return 0, fmt.Errorf("%s: join: %w", v.name, err)
	}
	return members, nil
}

// leave lets the user leave who came first.
func (v *visits) leave() error {
	v.left++
	first, connections := slot(v.left)
	for conn := first; conn < first+connections; conn++ {
		if err := v.visitors.Leave(v.run.ctx, conn, v.channel); err != nil {
			return fmt.Errorf("%s: leave: %w", v.name, err)
		}
	}
	return nil
}

// awaitMembers waits until the members were told of each other's arrivals as often as
// they should, and of no departure.
func (v *visits) awaitMembers(arrivals uint64) error {
	totals, err := v.run.awaitCounts(v.fleet, func(t population.Totals) bool { return t.Arrivals >= arrivals })
	if err != nil {
		return err
	}
	if totals.Arrivals != arrivals || totals.Departures > 0 || totals.Dropped > 0 {
		return fmt.Errorf("%w: %s: members were told of %d arrivals and %d departures of each other, want %d and none; %s",
			ErrDeliveries, v.name, totals.Arrivals, totals.Departures, arrivals, describe(totals))
	}
	return nil
}

// finish lets everybody leave and verifies the counts and the roster, which the
// server tells over HTTP and to one who joins.
func (v *visits) finish() error {
	r := v.run
	n := v.members
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
	members, err := v.join(first)
	if err != nil {
		return err
	}
	if members != n+1 {
		return fmt.Errorf("%w: %s: the last to join was told of %d members, want %d", ErrDeliveries, v.name, members, n+1)
	}
	if err := v.told(); err != nil {
		return err
	}
	want := uint64(v.came+v.left) * uint64(n)
	if err := r.awaitDeliveries(v.name, v.fleet, want); err != nil {
		return err
	}
	return v.awaitMembers(uint64(n) * uint64(n-1) / 2)
}

// checkRoster asks the HTTP API for the members: all of the fleet and the last who
// came.
//
// Pusher: HTTP API, "GET users".
func (v *visits) checkRoster(members int) error {
	r := v.run
	query := rest.NewPublisher(v.target)
	defer query.Close()
	body, err := query.Get(v.target.App.UsersPath(v.channel), time.Now().Add(r.settings.deliveryTimeout))
	if err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	var got []uint32
	for user, rest, found := wire.ReadUserID(body); found; user, rest, found = wire.ReadUserID(rest) {
		got = append(got, user)
	}
	slices.Sort(got)
	want := make([]uint32, 0, members)
	for user := range uint32(v.members) {
		want = append(want, user+1)
	}
	want = append(want, uint32(v.members)+v.came)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%w: %s: the roster has %d users, want the %d members and the last who came", ErrDeliveries, v.name, len(got), len(want)-1)
	}
	return nil
}
