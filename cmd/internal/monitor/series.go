package monitor

import "time"

// MaxHistoryApps is how many apps have series of their own in the history, the
// first in the order of ids; the rest share OtherApps.
const MaxHistoryApps = 20

// Sampler turns snapshots into values by series. A series is named by what it
// counts, "connections"; that of an app by its id too, "123456/connections".
// Counters become rates a second since the last snapshot. Owned by one goroutine.
type Sampler struct {
	last *Snapshot
	at   time.Time
}

// Sample returns the values of a snapshot taken now. The first has no rates. The
// snapshot is kept until the next.
func (m *Sampler) Sample(now time.Time, s *Snapshot) map[string]float64 {
	v := sample{values: make(map[string]float64)}
	if m.last != nil {
		v.seconds = now.Sub(m.at).Seconds()
	}
	before := m.last
	if before == nil {
		before = s
	}
	m.last, m.at = s, now
	v.node(before, s)
	v.apps(before, s)
	for i := range s.Custom {
		c := &s.Custom[i]
		v.values[c.Series()] = c.Value
	}
	return v.values
}

// sample is values in the making.
type sample struct {
	values  map[string]float64
	seconds float64 // since the last; 0: there is none
}

func (v *sample) rate(name string, from, to uint64) {
	if v.seconds > 0 {
		// Counters of an app that was removed are gone: no rate is below zero.
		v.values[name] = max(0, float64(to)-float64(from)) / v.seconds
	}
}

func (v *sample) node(a, b *Snapshot) {
	v.values["connections"] = float64(b.Connections.Open)
	v.values["channels"] = float64(b.Channels)
	v.values["memory_bytes"] = float64(b.Process.MemoryBytes)
	v.values["goroutines"] = float64(b.Process.Goroutines)
	var mailbox, lag float64
	for i := range b.Reactors {
		mailbox += float64(b.Reactors[i].Mailbox)
		lag = max(lag, b.Reactors[i].Lag)
	}
	v.values["mailbox_items"], v.values["lag_seconds"] = mailbox, lag
	if v.seconds > 0 {
		v.values["cpu_percent"] = max(0, 100*(b.Process.CPUSeconds-a.Process.CPUSeconds)/v.seconds)
	}
	v.rate("messages_received", a.Totals.Received, b.Totals.Received)
	v.rate("messages_sent", a.Totals.Sent, b.Totals.Sent)
	v.rate("connections_opened", a.Totals.Opened, b.Totals.Opened)
	v.rate("slow_connections", a.Totals.Slow, b.Totals.Slow)
	v.rate("errors", total(a.Errors), total(b.Errors))
	v.rate("refusals", total(a.Refusals), total(b.Refusals))
	v.rate("http_requests", responses(a, 0), responses(b, 0))
	v.rate("http_errors", responses(a, 4), responses(b, 4))
}

func (v *sample) apps(a, b *Snapshot) {
	before := make(map[string]*App)
	old := labelled(a.Apps, MaxHistoryApps)
	for i := range old {
		before[old[i].ID] = &old[i]
	}
	all := labelled(b.Apps, MaxHistoryApps)
	for i := range all {
		x := &all[i]
		prefix := x.ID + "/"
		v.values[prefix+"connections"] = float64(x.Connections)
		v.values[prefix+"channels"] = float64(x.Channels)
		v.values[prefix+"subscriptions"] = float64(x.Subscriptions)
		was := before[x.ID]
		if was == nil {
			continue // its counters may be older than the last snapshot
		}
		v.rate(prefix+"messages_received", was.Received, x.Received)
		v.rate(prefix+"messages_sent", was.Sent, x.Sent)
		v.rate(prefix+"events_triggered", was.Triggered, x.Triggered)
	}
}

func total(counts []ErrorCount) (n uint64) {
	for _, c := range counts {
		n += c.Count
	}
	return n
}

// responses counts those of a class and above.
func responses(s *Snapshot, class int) (n uint64) {
	for _, count := range s.HTTP.Responses[class:] {
		n += count
	}
	return n
}
