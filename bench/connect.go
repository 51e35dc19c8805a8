package bench

import "context"

// Connect measures how fast connections are opened and subscribed, a bounded number
// at a time, and what each costs the server. An operation is one connection with
// its handshake and its subscription; its latency is from connect(2) to
// subscription_succeeded. All are closed between rounds.
func Connect(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "connect", s, defaultOpenConnections, (*run).open)
}

func (r *run) open() error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	r.result.Settings.PayloadBytes, r.result.Settings.Duration = 0, 0
	for _, s := range subjects {
		if err := r.newFleet(s); err != nil {
			return err
		}
		// Warm-up: the first connections make the server grow its tables.
		if err := r.openAndClose(s); err != nil {
			return err
		}
	}
	for number := range r.settings.Rounds {
		for _, s := range subjects {
			m, err := newMeter(s.pids, s.fleet.PIDs())
			if err != nil {
				return err
			}
			if err := r.connect(s, r.settings.Channels); err != nil {
				return err
			}
			round, err := m.round(uint64(r.settings.Connections))
			if err != nil {
				return err
			}
			round.Number, round.Subject, round.Mode = number+1, s.name, "connect+subscribe"
			times, err := s.fleet.ConnectTimes(r.ctx)
			if err != nil {
				return err
			}
			round.measured(times)
			if err := r.keep(round, nil, "connections"); err != nil {
				return err
			}
			if err := r.closeAll(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) openAndClose(s *subject) error {
	if err := r.connect(s, r.settings.Channels); err != nil {
		return err
	}
	return r.closeAll(s)
}

// closeAll closes a subject's connections and waits until the server has noticed,
// so that the next round does not pay for it.
func (r *run) closeAll(s *subject) error {
	if err := s.fleet.Disconnect(r.ctx); err != nil {
		return err
	}
	if len(s.pids) == 0 {
		return r.pause(quietWindow)
	}
	return r.awaitQuiet(s.pids)
}
