package bench

import (
	"context"
	"fmt"
	"os"
	"time"

	"resound/bench/rest"
)

// triggerWarmUp is how long each subject is kept busy before the first round.
const triggerWarmUp = 500 * time.Millisecond

// Trigger measures signed POST /events requests on keep-alive connections, one under
// way on each, for channels without a subscriber. The floor is a plain fasthttp
// server that verifies the same signature; beside it stands the bare WebSocket server,
// which verifies nothing. An operation is one request.
func Trigger(ctx context.Context, s Settings) (Result, error) {
	return runScenario(ctx, "trigger", s, defaultTriggerCallers, (*run).trigger)
}

func (r *run) trigger() error {
	server, err := r.server()
	if err != nil {
		return err
	}
	subjects := []*subject{server}
	if r.settings.Floor {
		bare, err := r.floorHTTP(server.target.App)
		if err != nil {
			return err
		}
		unchecked, err := r.floor()
		if err != nil {
			return err
		}
		unchecked.name = SubjectUnchecked
		subjects = append(subjects, bare, unchecked)
	}
	loads := make([]*rest.Load, len(subjects))
	for i, s := range subjects {
		if loads[i], err = rest.NewLoad(s.triggers(), r.settings.Connections); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		defer loads[i].Close()
		loads[i].Sign(r.settings.PayloadBytes, time.Now())
		if _, err := loads[i].Run(triggerWarmUp, r.settings.deliveryTimeout); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	refused := 0
	for number := range r.settings.Rounds {
		for i, s := range subjects {
			if r.ctx.Err() != nil {
				return context.Cause(r.ctx)
			}
			loads[i].Sign(r.settings.PayloadBytes, time.Now())
			round, err := r.triggerRound(s, loads[i])
			if err != nil {
				return err
			}
			round.Number = number + 1
			refused += int(round.Failed)
			if err := r.keep(round, nil, "requests"); err != nil {
				return err
			}
		}
	}
	if refused > 0 {
		return fmt.Errorf("%w: %d of them", ErrRefused, refused)
	}
	return nil
}

func (r *run) triggerRound(s *subject, load *rest.Load) (Round, error) {
	m, err := newMeter(s.pids, []int{os.Getpid()})
	if err != nil {
		return Round{}, err
	}
	result, err := load.Run(r.settings.Duration, r.settings.deliveryTimeout)
	if err != nil {
		return Round{}, fmt.Errorf("%s: %w", s.name, err)
	}
	round, err := m.round(result.Requests)
	round.Subject, round.Mode = s.name, "trigger"
	round.Failed = result.Failed
	round.measured(result.Latencies)
	if result.Failed > 0 {
		r.result.verdict("%s: %d of %d requests failed, the first with status %d", s.name, result.Failed, result.Requests, result.Status)
	}
	return round, err
}
