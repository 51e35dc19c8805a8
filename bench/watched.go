package bench

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"resound/bench/process"
	"resound/bench/wire"
)

// Modes of the watched scenario's rounds.
const (
	modeUnwatched = "fan-out, nobody looks"
	modeWatched   = "fan-out, dashboard open, scraped"
)

// dashboardPassword is that of the spawned server, which only this run reaches.
const dashboardPassword = "bench"

// Watched measures what monitoring costs the fan-out of a spawned server: in every
// other round a page of the dashboard is open, with its figures and its tail of
// events, and /metrics is scraped every second. An operation is a delivery.
func Watched(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Rounds, defaultWatchedRounds)
	if s.Spawn == "" {
		return Result{}, errors.New("the scenario configures the server itself: give the binary to spawn, not a target")
	}
	return runScenario(ctx, "watched", s, defaultFanoutConnections, (*run).watched)
}

func (r *run) watched() error {
	r.configure = watchedConfig
	server, err := r.server()
	if err != nil {
		return err
	}
	if err := r.newFleet(server); err != nil {
		return err
	}
	r.progress("connecting %d subscribers to the server", r.settings.Connections)
	if err := r.connect(server, 0); err != nil {
		return err
	}
	w, err := newWatcher(r.ctx, "http://"+server.target.Address, dashboardPassword)
	if err != nil {
		return err
	}
	for range warmUpEvents {
		if err := r.deliver(server, 1); err != nil {
			return err
		}
	}
	if _, err := server.fleet.Latencies(r.ctx, true); err != nil {
		return err
	}
	r.result.comparePairs(pair{"rate", modeWatched, modeUnwatched}, pair{"CPU", modeWatched, modeUnwatched})
	for number := range r.settings.Rounds {
		if err := r.watchedRound(number+1, server, modeUnwatched, nil); err != nil {
			return err
		}
		if err := r.watchedRound(number+1, server, modeWatched, w); err != nil {
			return err
		}
	}
	return r.checkFrames([]*subject{server})
}

// watchedConfig is the configuration file of a server with a dashboard.
//
// Reverb: config/reverb.php, apps; monitoring is an extension.
func watchedConfig(app wire.App, _ string) ([]byte, error) {
	type object map[string]any
	return json.Marshal(object{
		"servers": object{"reverb": object{"monitoring": object{"dashboard": object{"password": dashboardPassword}}}},
		"apps":    object{"apps": []object{{"app_id": app.ID, "key": app.Key, "secret": app.Secret}}},
	})
}

// watchedRound measures the fan-out while w, if there is one, looks.
func (r *run) watchedRound(number int, s *subject, mode string, w *watcher) error {
	if w != nil {
		if err := w.start(); err != nil {
			return err
		}
		defer w.stop()
	}
	round, events, err := r.fanOut(s, 1)
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, s.name, mode
	if w != nil {
		r.judgeWatcher(number, w, events)
	}
	return r.keep(round, s.fleet, "deliveries")
}

// judgeWatcher tells of a watcher that did not see what it was to see: its round
// measures less than it says.
func (r *run) judgeWatcher(number int, w *watcher, events int) {
	end := process.Nanos() + int64(r.settings.deliveryTimeout)
	for w.seen.tailed.Load() < int64(events) && process.Nanos() < end {
		if r.pause(10*time.Millisecond) != nil {
			return
		}
	}
	w.stop()
	if got := w.seen.tailed.Load(); got != int64(events) {
		r.result.verdict("round %d: the tail showed %d of %d events", number, got, events)
	}
	if w.seen.frames.Load() == 0 || w.seen.scrapes.Load() == 0 {
		r.result.verdict("round %d: the dashboard told its figures %d times and the metrics were read %d times", number, w.seen.frames.Load(), w.seen.scrapes.Load())
	}
	if err := w.failure(); err != nil {
		r.result.verdict("round %d: %v", number, err)
	}
}
