package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// watchdogPIDEnv says for which process systemd's watchdog is.
const watchdogPIDEnv = "WATCHDOG_PID"

// watchdog tells systemd that the node works, for as long as its event loops do.
// One that does nothing any more is ended by systemd with SIGABRT, which makes Go's
// runtime print what every goroutine does, and started again.
type watchdog struct {
	limit   time.Duration        // of the unit: WatchdogSec
	overdue func() time.Duration // how long an event loop has not taken its turn
	tell    func()
	log     *slog.Logger
}

// findWatchdog returns nil when nobody watches.
func findWatchdog(overdue func() time.Duration, log *slog.Logger) *watchdog {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog is not told of this server", "error", err)
	}
	if err != nil || limit <= 0 {
		return nil
	}
	tell := func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog) }
	return &watchdog{limit: limit, overdue: overdue, tell: tell, log: log}
}

// run tells four times within the limit, until ctx ends. A loop counts as stuck
// after half the limit, so that a late telling is no reason to be ended.
func (w *watchdog) run(ctx context.Context) {
	tick := time.NewTicker(w.limit / 4)
	defer tick.Stop()
	for stuck := false; ; {
		late := w.overdue()
		if late < w.limit/2 {
			stuck = false
			w.tell()
		} else if !stuck {
			stuck = true
			w.log.Error("an event loop is stuck, and the watchdog is not told any more", "for", late.String())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
