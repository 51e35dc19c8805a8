package webhook

import (
	"log/slog"
	"sync"
	"time"
)

// dropLog counts drops and tells of them in few lines. Writing a line may block,
// and drops happen on reactors, so a timer's goroutine writes. Safe for
// concurrent use.
type dropLog struct {
	log      *slog.Logger
	interval time.Duration
	counts   []*counts // each drop counts in all of them

	mu      sync.Mutex
	untold  [dropReasons]uint64
	timer   *time.Timer // not nil while a line is due
	lastAt  time.Time   // of the last line
	closed  bool
	writing sync.WaitGroup
}

func (l *dropLog) add(reason dropReason, n int) {
	if n == 0 {
		return
	}
	for _, c := range l.counts {
		c.dropped[reason].Add(uint64(n))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.untold[reason] += uint64(n)
	if l.timer == nil && !l.closed {
		l.writing.Add(1)
		l.timer = time.AfterFunc(time.Until(l.lastAt.Add(l.interval)), func() {
			defer l.writing.Done()
			l.write()
		})
	}
}

func (l *dropLog) write() {
	l.mu.Lock()
	untold := l.untold
	l.untold = [dropReasons]uint64{}
	l.timer, l.lastAt = nil, time.Now()
	l.mu.Unlock()

	var attributes []any
	var total uint64
	for reason, n := range untold {
		if n > 0 {
			attributes = append(attributes, reasonNames[reason], n)
			total += n
		}
	}
	if total > 0 {
		l.log.Warn("webhook events dropped", append([]any{"events", total}, attributes...)...)
	}
}

// close writes what was not told. Later drops are only counted.
func (l *dropLog) close() {
	l.mu.Lock()
	l.closed = true
	if l.timer != nil && l.timer.Stop() {
		l.writing.Done()
	}
	l.mu.Unlock()
	l.writing.Wait()
	l.write()
}
