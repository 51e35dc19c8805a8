package bench

import (
	"context"
	"fmt"
	"time"

	"resound/bench/population"
)

// countPoll is the pause between two looks at what has arrived.
const countPoll = 5 * time.Millisecond

// awaitDeliveries waits until a fleet has received want distinct events since it was
// connected. Fewer after deliveryTimeout without another, or more, or wrong ones, are
// an error.
func (r *run) awaitDeliveries(name string, fleet *population.Fleet, want uint64) error {
	totals, err := r.awaitCounts(fleet, func(t population.Totals) bool { return t.Received >= want })
	if err != nil {
		return err
	}
	return checkTotals(name, totals, want)
}

// awaitCounts waits until what a fleet has seen is enough, or nothing more comes for
// deliveryTimeout, or a connection is dropped. It returns the last that was seen.
func (r *run) awaitCounts(fleet *population.Fleet, enough func(population.Totals) bool) (population.Totals, error) {
	seen := uint64(0)
	for end := time.Now().Add(r.settings.deliveryTimeout); ; {
		totals, err := fleet.Counts(r.ctx)
		if err != nil || enough(totals) || totals.Dropped > 0 || time.Now().After(end) {
			return totals, err
		}
		if now := totals.Received + totals.Arrivals + totals.Departures; now > seen {
			seen, end = now, time.Now().Add(r.settings.deliveryTimeout)
		}
		if err := r.pause(countPoll); err != nil {
			return totals, err
		}
	}
}

// checkTotals reports deliveries that are missing, too many or wrong.
func checkTotals(name string, t population.Totals, want uint64) error {
	if t.Received != want || t.Wrong() > 0 {
		return fmt.Errorf("%w: %s: %d of %d received, %s", ErrDeliveries, name, t.Received, want, describe(t))
	}
	return nil
}

// explainLoss says how many deliveries are missing after a wait that failed.
func (r *run) explainLoss(name string, fleet *population.Fleet, want uint64, cause error) error {
	if r.ctx.Err() != nil {
		return cause
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.settings.deliveryTimeout)
	defer cancel()
	totals, err := fleet.Counts(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", name, cause)
	}
	return fmt.Errorf("%w: %s: %d of %d received within %v (%w), %s", ErrDeliveries, name,
		totals.Received, want, r.settings.deliveryTimeout, cause, describe(totals))
}

// checkFrames verifies at the end that all deliveries were right, and that the
// floor wrote frames of the server's size.
func (r *run) checkFrames(subjects []*subject) error {
	var sizes []int
	for _, s := range subjects {
		totals, err := s.fleet.Counts(r.ctx)
		if err != nil {
			return err
		}
		if totals.Wrong() > 0 {
			return fmt.Errorf("%w: %s: %s", ErrDeliveries, s.name, describe(totals))
		}
		if totals.Foreign > 0 {
			r.result.verdict("%s: %d messages that are no events of this run", s.name, totals.Foreign)
		}
		sizes = append(sizes, totals.MaxFrameBytes)
	}
	if len(sizes) == 2 && sizes[0] != sizes[1] {
		r.result.verdict("frames differ: server %d bytes, floor %d", sizes[0], sizes[1])
	}
	return nil
}

func describe(t population.Totals) string {
	return fmt.Sprintf("%d duplicated, %d reordered, %d misdelivered, %d connections dropped %q",
		t.Duplicated, t.Reordered, t.Misdelivered, t.Dropped, t.Errors)
}
