package bench

import "context"

// Presence measures members who come and go on a presence channel that has
// Settings.Connections members all the time. Each step one user joins and one leaves;
// the next begins when every member was told of both. Every fourth user comes with
// two connections. Each member must be told of each user's arrival and departure
// exactly once, and the rosters at the end must be right. An operation is a step, or
// a delivery of one of the two events to one member; in the beginning, until every
// member was told of every later one, it is a member.
func Presence(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "presence", s, defaultPresenceMembers, (*run).presence)
}

func (r *run) presence() error {
	server, err := r.server()
	if err != nil {
		return err
	}
	if err := r.newFleet(server); err != nil {
		return err
	}
	r.progress("%d members join a presence channel", r.settings.Connections)
	m, err := newMeter(server.pids, server.fleet.PIDs())
	if err != nil {
		return err
	}
	v, err := r.openVisits(server, server.fleet, r.settings.Connections)
	if err != nil {
		return err
	}
	all, err := m.round(uint64(r.settings.Connections))
	if err != nil {
		return err
	}
	all.Number, all.Subject, all.Mode = 1, server.name, "all join"
	if err := r.keep(all, nil, "members"); err != nil {
		return err
	}
	// From then on each step is a join and a leave.
	if err := v.visit(churnSlots); err != nil {
		return err
	}
	for number := range r.settings.Rounds {
		if err := r.presenceRound(number+1, v); err != nil {
			return err
		}
	}
	return v.finish()
}

func (r *run) presenceRound(number int, v *visits) error {
	m, err := newMeter(v.pids, append(v.fleet.PIDs(), v.visitors.PIDs()...))
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
	}{{"member delivery", 2 * steps * v.members}, {"join and leave", steps}} {
		round, err := m.round(uint64(count.operations))
		if err != nil {
			return err
		}
		round.Number, round.Subject, round.Mode = number, v.name, count.mode
		if err := r.keep(round, nil, "operations"); err != nil {
			return err
		}
	}
	return nil
}
