package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchdogIsToldWhileEventLoopsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var late time.Duration
		told := 0
		w := &watchdog{
			limit: 40 * time.Second, overdue: func() time.Duration { return late }, tell: func() { told++ },
			log: slog.New(slog.NewTextHandler(&log, nil)),
		}
		ctx, cancel := context.WithCancel(t.Context())
		go w.run(ctx)
		for _, row := range []struct {
			name string
			late time.Duration
			want int
		}{
			{"an idle node", 0, 4},
			{"a busy one", 19 * time.Second, 4},
			{"a stuck one", 20 * time.Second, 0},
			{"one that is stuck still", time.Minute, 0},
			{"one that goes on", time.Second, 4},
		} {
			synctest.Wait()
			late, told = row.late, 0
			time.Sleep(w.limit)
			synctest.Wait()
			if told != row.want {
				t.Errorf("%s: told %d times in %s, want %d", row.name, told, w.limit, row.want)
			}
		}
		if n := strings.Count(log.String(), "stuck"); n != 1 {
			t.Errorf("got %d lines in the log, want one for the time that it was stuck:\n%s", n, log.String())
		}
		cancel()
		synctest.Wait()
	})
}

func TestWatchdogIsForThisProcessOnly(t *testing.T) {
	for _, row := range []struct {
		name, microseconds, pid string
		want                    time.Duration // 0: no watchdog
	}{
		{"nobody watches", "", "", 0},
		{"this process, or whoever", "30000000", "", 30 * time.Second},
		{"another process", "30000000", "1", 0},
		{"no number", "soon", "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Setenv("WATCHDOG_USEC", row.microseconds)
			t.Setenv(watchdogPIDEnv, row.pid)
			w := findWatchdog(nil, slog.New(slog.DiscardHandler))
			if w == nil != (row.want == 0) || w != nil && w.limit != row.want {
				t.Errorf("got %+v, want a limit of %s", w, row.want)
			}
		})
	}
}
