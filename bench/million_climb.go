package bench

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"resound/bench/population"
	"resound/bench/process"
)

const (
	// sampleInterval is the time between two lines of progress.
	sampleInterval = 3 * time.Second

	// memoryFloorBytes is what must stay available: a host without memory ends
	// processes of its own choice.
	memoryFloorBytes = 256 << 20

	// retryPause is how long a connection that was refused waits before it tries
	// again, from another port.
	retryPause = time.Second
)

// climb opens all connections and reads what they cost at rest.
func (m *million) climb() error {
	m.progress("reading the memory of the empty server processes")
	empty, _, err := m.settle(m.pids)
	if err != nil {
		return m.endedOr(err)
	}
	before, err := process.ReadKernel()
	if err != nil {
		return err
	}
	caches, _ := process.SlabCaches() // for root only
	clients, err := process.ResidentBytes(m.clientPIDs())
	if err != nil {
		return err
	}
	meter, err := newMeter(m.pids, m.clientPIDs())
	if err != nil {
		return err
	}
	if err := m.watch("connecting", m.connectAll()); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	round, err := meter.round(uint64(m.plan.connections))
	if err != nil {
		return err
	}
	m.addRound(round, "connect+subscribe")
	m.progress("connected: %.0f connections/s", round.PerSecond)
	return m.readMemory(empty, clients, before, caches)
}

// connectAll begins to open the connections of all classes side by side. The
// channel gets the first error, or nil once all are subscribed.
func (m *million) connectAll() <-chan error {
	results := make(chan error, len(m.fleets))
	for i, f := range m.fleets {
		c := m.plan.classes[i]
		arrived := f.ConnectAsync(m.ctx, population.Options{
			Address:     m.target.Address,
			Path:        socketPath(m.target),
			Connections: c.connections,
			First:       c.first,
			InFlight:    max(m.settings.InFlight*c.connections/m.plan.connections, 1),
			Retry:       retryPause,
			Channel:     m.channelPrefix(i),
			Channels:    c.channels,
		})
		go func() { results <- <-arrived }()
	}
	done := make(chan error, 1)
	go func() {
		for range m.fleets {
			if err := <-results; err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	return done
}

// procCache holds what the kernel keeps of looks at /proc. Monitoring that goes through
// the descriptors of all processes makes it grow with the connections.
const procCache = "proc_inode_cache"

// readMemory fills in what the connections cost, once it no longer changes.
func (m *million) readMemory(empty, clients int64, before process.Kernel, caches map[string]int64) error {
	m.progress("waiting until the memory of the server processes no longer changes")
	start := time.Now()
	loaded, settled, err := m.settle(m.pids)
	if err != nil {
		return m.endedOr(err)
	}
	after, err := process.ReadKernel()
	if err != nil {
		return err
	}
	clientsLoaded, err := process.ResidentBytes(m.clientPIDs())
	if err != nil {
		return err
	}
	totals, err := m.totals()
	if err != nil {
		return err
	}
	if err := m.checkHeld(totals); err != nil {
		return err
	}
	n := float64(m.plan.connections)
	slabs := float64(after.Slab-before.Slab) / n
	r := m.report
	if grown, err := process.SlabCaches(); err == nil && caches != nil {
		r.Caches = grownCaches(caches, grown, n)
	}
	if i := slices.IndexFunc(r.Caches, func(c Cache) bool { return c.Name == procCache }); i >= 0 {
		slabs -= r.Caches[i].BytesPerConnection
		m.result.verdict("something on this host looks at every descriptor below /proc: %.0f bytes per connection of %s are not counted", r.Caches[i].BytesPerConnection, procCache)
	}
	m.result.Memory = append(m.result.Memory, Memory{
		Subject: SubjectServer, Connections: m.plan.connections, EmptyBytes: empty, LoadedBytes: loaded,
		BytesPerConnection: float64(loaded-empty) / n, SettleSeconds: time.Since(start).Seconds(), Settled: settled,
		KernelBytesPerConnection: slabs,
	})
	r.Retried = int(totals.Refused)
	r.BufferBytesPerConnection = float64(after.Buffers-before.Buffers) / n
	r.ClientBytesPerConnection = float64(clientsLoaded-clients) / n
	r.HostBytesPerConnection = float64(before.Available-after.Available) / n
	m.progress("%.0f bytes per connection in the server processes, %.0f in the kernel", float64(loaded-empty)/n, slabs)
	return nil
}

// watch looks every few seconds until done gives its value or something has gone
// wrong.
func (m *million) watch(phase string, done <-chan error) error {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return m.endedOr(err)
		case <-m.ctx.Done():
			return m.ctx.Err()
		case <-ticker.C:
			if err := m.look(phase); err != nil {
				return err
			}
		}
	}
}

// look samples, shows how far the phase is, and keeps the publishers alive.
func (m *million) look(phase string) error {
	last, seconds := m.lastOf(seriesConnections)
	t, err := m.sample()
	if err != nil {
		return err
	}
	connections, now := m.lastOf(seriesConnections)
	resident, _ := m.lastOf(seriesMemory)
	available, _ := m.lastOf(seriesAvailable)
	m.progress("%s: %d of %d connections, %+.0f/s, %d tried again, %d pings, %d deliveries, servers %.0f MB, %.0f MB available", phase,
		t.Subscribed, m.plan.connections, (connections-last)/(now-seconds), t.Refused, t.Pings, t.Received, resident/(1<<20), available/(1<<20))
	return m.keepAlive()
}

// Names of the time series.
const (
	seriesConnections = "connections"
	seriesMemory      = "memory"
	seriesAvailable   = "available memory"
)

// sample adds a point to each series, and fails when the host is about to run out
// of memory or a server process has ended.
func (m *million) sample() (population.Totals, error) {
	if err := m.checkServers(); err != nil {
		return population.Totals{}, err
	}
	totals, err := m.totals()
	if err != nil {
		return totals, err
	}
	resident, err1 := process.ResidentBytes(m.pids)
	kernel, err2 := process.ReadKernel()
	if err := errors.Join(err1, err2); err != nil {
		return totals, m.endedOr(err)
	}
	m.addPoint(SubjectServer, seriesConnections, "", float64(totals.Subscribed))
	m.addPoint(SubjectServer, seriesMemory, "bytes", float64(resident))
	m.addPoint("host", seriesAvailable, "bytes", float64(kernel.Available))
	if kernel.Available < memoryFloorBytes {
		return totals, fmt.Errorf("%d connections leave %d MB of memory available, want %d or more", totals.Subscribed, kernel.Available>>20, memoryFloorBytes>>20)
	}
	return totals, nil
}

// addPoint adds a value to the series of this name.
func (m *million) addPoint(subject, name, unit string, value float64) {
	all := &m.result.Series
	for i := range *all {
		if s := &(*all)[i]; s.Name == name {
			s.Points = append(s.Points, Point{time.Since(m.began).Seconds(), value})
			return
		}
	}
	*all = append(*all, Series{Subject: subject, Name: name, Unit: unit})
	m.addPoint(subject, name, unit, value)
}

// lastOf returns the last value of a series and its time, zeros without one.
func (m *million) lastOf(name string) (value, seconds float64) {
	for _, s := range m.result.Series {
		if s.Name == name && len(s.Points) > 0 {
			last := s.Points[len(s.Points)-1]
			return last.Value, last.Seconds
		}
	}
	return 0, 0
}

// addRound keeps a round of the server.
func (m *million) addRound(r Round, mode string) {
	r.Number, r.Subject, r.Mode = 1, SubjectServer, mode
	m.result.Rounds = append(m.result.Rounds, r)
}
