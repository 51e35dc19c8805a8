package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"resound/cmd/internal/control"
)

const (
	// topChannels is how many channels a ranking shows.
	topChannels = 10

	// maxRanked is how many channels there may be for those with the most
	// subscribers to be looked for, and how many are counted by rate at a time.
	maxRanked = 50_000

	// rateWindow is how long events are counted for a rate.
	rateWindow = 10 * time.Second

	// rankingShare is the part of the time that looking for the largest channels may
	// take: a list that takes 10 ms is made every half second at most, and no more
	// often than rankingInterval.
	rankingShare    = 50
	rankingInterval = 4 * time.Second
)

// busyChannel is a channel with its events a second.
type busyChannel struct {
	App  string  `json:"app"`
	Name string  `json:"channel"`
	Rate float64 `json:"rate"`
}

type channelKey struct{ app, channel string }

// rates counts events by channel. Safe for concurrent use.
type rates struct {
	mu     sync.Mutex
	since  time.Time
	counts map[channelKey]*uint64
	last   []busyChannel // of the window before
}

func (r *rates) reset(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.counts, r.last = now, make(map[channelKey]*uint64), nil
}

// count counts an event. It runs where events are published. The strings are
// views.
func (r *rates) count(app, channel string) {
	key := channelKey{app, channel}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.counts[key]; n != nil {
		*n++ // an assignment to the map would put the view in the key's place
		return
	}
	if len(r.counts) < maxRanked {
		one := uint64(1)
		r.counts[channelKey{app, strings.Clone(channel)}] = &one
	}
}

// top returns the busiest channels of the last whole window, or of the first one
// so far.
func (r *rates) top(now time.Time) []busyChannel {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := now.Sub(r.since)
	if over < rateWindow && r.last != nil || over <= 0 {
		return r.last
	}
	out := make([]busyChannel, 0, len(r.counts))
	for key, n := range r.counts {
		out = append(out, busyChannel{key.app, key.channel, float64(*n) / over.Seconds()})
	}
	slices.SortFunc(out, func(a, b busyChannel) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), strings.Compare(a.App, b.App), strings.Compare(a.Name, b.Name))
	})
	out = slices.Clone(out[:min(len(out), topChannels)])
	if over >= rateWindow {
		r.since, r.counts, r.last = now, make(map[channelKey]*uint64), out
	}
	return out
}

// largest returns the channels with the most subscriptions.
func largest(all []control.Channel) []control.Channel {
	slices.SortFunc(all, func(a, b control.Channel) int {
		return cmp.Or(cmp.Compare(b.Subscriptions, a.Subscriptions), strings.Compare(a.App, b.App), strings.Compare(a.Name, b.Name))
	})
	return slices.Clone(all[:min(len(all), topChannels)])
}
