package loop_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"resound/loop"
)

// TestFaultsAreLoggedNowAndThen: every fault is counted, one in a while has its
// stack in the log.
func TestFaultsAreLoggedNowAndThen(t *testing.T) {
	var log bytes.Buffer // written by the reactor, read in its turns
	o, c := stopped(loop.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	e, s, addr := startScript(t, o, func(s *script) {
		s.onMessage = func(string, []byte) { panic("as planned") }
	})
	fail := func() {
		client := open(t, addr, "a")
		send(t, client, masked(0x1, true, "x"))
		receiveClose(t, client, 1011)
	}
	logged := func() (text string) {
		s.do(t, func() { text = log.String(); log.Reset() })
		return text
	}
	fail()
	if got := logged(); !strings.Contains(got, "as planned") || !strings.Contains(got, "(*script).OnMessage") || strings.Count(got, "msg=") != 1 {
		t.Errorf("logged %q, want the panic with its stack", got)
	}
	fail()
	fail()
	if got := logged(); strings.Contains(got, "as planned") {
		t.Errorf("logged %q in the same second, want silence", got)
	}
	c.sweepAt(t, time.Minute, e, s)
	fail()
	if got := logged(); !strings.Contains(got, "not_logged_before=2") {
		t.Errorf("logged %q, want the number of those before", got)
	}
	if got := e.Stats().Panics; got != 4 {
		t.Errorf("counted %d panics, want 4", got)
	}
}
