package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is a buffer that timers write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestRepeatedMessagesAreHeldBackAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		log := slog.New(newPacedLog(slog.NewJSONHandler(&out, nil), time.Now))
		for i := range paceRecords + 32 {
			log.With("x", 1).Warn("again", "i", i)
		}
		log.Info("again") // another level
		log.Warn("other")
		if got := strings.Count(out.String(), `"level":"WARN","msg":"again"`); got != paceRecords {
			t.Errorf("%d passed, want %d", got, paceRecords)
		}
		if !strings.Contains(out.String(), `"msg":"other"`) || !strings.Contains(out.String(), `"level":"INFO","msg":"again"`) {
			t.Error("other kinds are held back too")
		}
		time.Sleep(paceWindow) // of the bubble: no time passes
		synctest.Wait()
		if !strings.Contains(out.String(), `"level":"WARN","msg":"a message repeats and was held back","message":"again","times":32,"within":"10s"`) {
			t.Errorf("nothing says how many were held back: %s", out.String())
		}
		before := len(out.String())
		log.Warn("again")
		if !strings.Contains(out.String()[before:], `"again"`) {
			t.Error("a new window lets nothing pass")
		}
	})
}

func TestKindsOfMessagesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out lockedBuffer
		h := newPacedLog(slog.NewJSONHandler(&out, nil), time.Now)
		log := slog.New(h)
		for i := range 10 * maxPacedKinds {
			log.Warn(fmt.Sprintf("message %d", i))
		}
		if n := len(h.all.byKind); n > maxPacedKinds+1 {
			t.Errorf("%d kinds are kept, want at most %d", n, maxPacedKinds+1)
		}
		if n := strings.Count(out.String(), "\n"); n != maxPacedKinds+paceRecords {
			t.Errorf("%d records passed, want %d", n, maxPacedKinds+paceRecords)
		}
		time.Sleep(paceWindow)
		synctest.Wait()
		if !strings.Contains(out.String(), `"message":"other messages","times":2294`) {
			t.Error("the rest is not counted")
		}
	})
}
