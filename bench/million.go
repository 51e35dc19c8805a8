package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/rest"
)

const (
	defaultMillion        = 1_000_000
	defaultMillionHold    = 3 * time.Minute
	defaultMillionTimeout = 30 * time.Minute
	defaultPingInterval   = time.Minute
	defaultInFlight       = 256
)

// Million climbs to very many connections on one host, each with one subscription,
// and holds them: half of Settings.Duration with nothing but pings, the other half
// while events are triggered to channels of all sizes. It starts the server
// (Settings.Spawn) as so many processes on one port as its descriptors ask for, and
// first makes sure that the host can hold them.
//
// The processes are no cluster: each knows its own subscribers only. So each event
// is triggered once at every process, and every subscriber must receive it exactly
// once, wherever the kernel put its connection.
func Million(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Duration, defaultMillionHold)
	setDefault(&s.Timeout, defaultMillionTimeout)
	setDefault(&s.PingInterval, defaultPingInterval)
	setDefault(&s.InFlight, defaultInFlight)
	if s.Spawn == "" {
		return Result{}, errors.New("million starts the server itself: give a binary to spawn")
	}
	if s.Connections != 0 && s.Connections < minMillion {
		return Result{}, fmt.Errorf("%d connections, want %d or more", s.Connections, minMillion)
	}
	result, err := runScenario(ctx, "million", s, defaultMillion, func(r *run) error { return (&million{run: r}).measure() })
	result.Ratios = nil // between rounds that have nothing to do with each other
	return result, err
}

// million is a run of the scenario. Owned by the goroutine that runs it.
type million struct {
	*run
	plan       millionPlan
	target     rest.Target
	servers    []server
	pids       []int               // of the servers
	publishers []*rest.Publisher   // one for each server process, in their order
	fleets     []*population.Fleet // one for each class of channels
	began      time.Time           // of the time series
	keptAlive  time.Time           // when the publishers last had something to say
	report     *Census
}

// measure goes through the phases.
func (m *million) measure() error {
	m.plan = planMillion(m.settings, m.capacity)
	shown := &m.result.Settings
	shown.Threads, shown.Rounds = m.plan.servers*m.plan.workers, 0
	for _, c := range m.plan.classes {
		shown.Channels += c.channels
	}
	capacity, err := process.ReadCapacity()
	if err != nil {
		return err
	}
	if err := m.plan.check(capacity); err != nil {
		return err
	}
	m.report = &Census{Servers: m.plan.servers, Workers: m.plan.workers, Clients: m.plan.clients}
	m.result.Census = m.report
	m.began = time.Now()
	m.progress("%d server processes with %d reactors each, %d client processes, about %d of %d MB of memory",
		m.plan.servers, m.plan.workers, m.plan.clients, m.plan.memoryBytes()>>20, capacity.MemoryBytes>>20)
	for _, phase := range []func() error{m.startServers, m.pinPublishers, m.startClients, m.climb, m.holdIdle, m.holdBusy} {
		if err := phase(); err != nil {
			return err
		}
	}
	return nil
}

// startClients starts the client processes, a fleet for each class of channels.
func (m *million) startClients() error {
	for _, c := range m.plan.classes {
		fleet, err := population.NewFleet(m.children, m.self(SubcommandClient), c.connections, m.plan.perClient)
		if err != nil {
			return err
		}
		m.fleets = append(m.fleets, fleet)
	}
	return nil
}

// clientPIDs returns all client processes.
func (m *million) clientPIDs() []int {
	var pids []int
	for _, f := range m.fleets {
		pids = append(pids, f.PIDs()...)
	}
	return pids
}

// channelPrefix is how the names of a class's channels begin.
func (m *million) channelPrefix(class int) string { return fmt.Sprintf("%s-%d", m.channel, class) }

// totals returns what all clients have seen.
func (m *million) totals() (population.Totals, error) {
	var sum population.Totals
	for _, f := range m.fleets {
		t, err := f.Counts(m.ctx)
		if err != nil {
			return sum, err
		}
		sum = sum.Add(t)
	}
	return sum, nil
}

// checkHeld returns an error when not all connections are there.
func (m *million) checkHeld(t population.Totals) error {
	if t.Subscribed == m.plan.connections && t.Dropped == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d connections are left, %d were dropped: %q", t.Subscribed, m.plan.connections, t.Dropped, t.Errors)
}
