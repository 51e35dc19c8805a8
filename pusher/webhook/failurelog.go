package webhook

import (
	"log/slog"
	"time"
)

// failureLog tells when a receiver begins to fail and when it is back, and is
// silent between and about receivers that flap. Owned by a sender.
type failureLog struct {
	log      *slog.Logger
	interval time.Duration

	failing bool      // a line says so
	lastAt  time.Time // of that line
}

func (l *failureLog) failed(err error, delay time.Duration) {
	if l.failing || time.Since(l.lastAt) < l.interval {
		return
	}
	l.failing, l.lastAt = true, time.Now()
	l.log.Warn("webhook receiver fails", "error", err, "retry_in", delay.Round(time.Millisecond))
}

func (l *failureLog) succeeded(failures int) {
	if l.failing {
		l.failing = false
		l.log.Info("webhook receiver is back", "failed_requests", failures, "after", time.Since(l.lastAt).Round(time.Millisecond))
	}
}
