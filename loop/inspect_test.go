package loop_test

import (
	"net"
	"runtime"
	"testing"
	"time"

	"resound/loop"
)

func TestInspect(t *testing.T) {
	_, s, addr := startScript(t, loop.Options{}, nil)
	c := open(t, addr, "a")
	if !s.PostVisit(func() {}) {
		t.Error("a reactor with a connection refuses a visit")
	}
	type result struct {
		state   loop.ConnState
		ok      bool
		handles int32
		foreign bool
	}
	got := make(chan result, 1)
	s.PostVisit(func() {
		r := result{handles: s.Handles()}
		r.state, r.ok = s.Inspect(s.conns["a"])
		_, above := s.Inspect(r.handles)
		_, below := s.Inspect(-1)
		r.foreign = above || below
		got <- r
	})
	r := wait(t, got, "the visit")
	if !r.ok || r.state.Remote.String() != c.LocalAddr().(*net.TCPAddr).AddrPort().String() || r.state.Virtual {
		t.Errorf("got %+v", r)
	}
	if r.state.RTT <= 0 || r.state.RTT > time.Minute || r.state.Idle < 0 || r.state.Idle > time.Minute {
		t.Errorf("the kernel's part is %+v", r.state)
	}
	if r.handles < 1 || r.foreign {
		t.Errorf("%d handles, one without a connection inspected: %v", r.handles, r.foreign)
	}
}

func TestNobodyVisitsAReactorWithoutConnections(t *testing.T) {
	_, s, _ := startScript(t, loop.Options{}, nil)
	if s.PostVisit(func() {}) {
		t.Error("a visit was accepted that nobody makes")
	}
}

func TestStatsOfAReactor(t *testing.T) {
	o, clock := stopped(loop.Options{})
	e, s, addr := startScript(t, o, nil)
	open(t, addr, "a")
	clock.sweepAt(t, 3*time.Second, e, s)
	for s.Stats().Pending > 0 { // what the sweep waited with is done, and not yet counted so
		runtime.Gosched()
	}
	got := s.Stats()
	if got.Connections != 1 || got.Writes == 0 || got.BytesOut == 0 || got.Pending != 0 || got.Lag != 0 {
		t.Errorf("got %+v", got)
	}
	release := s.hold(t)
	e.Tick()
	clock.elapsed.Store(int64(5 * time.Second))
	if got := e.Overdue(); got != 2*time.Second {
		t.Errorf("overdue by %v while it is held, want 2 s", got)
	}
	release()
	s.do(t, func() {})
	s.do(t, func() {}) // a sweep comes before mail of its own turn, which may have begun before
	if got := s.Stats(); got.Lag != 2*time.Second {
		t.Errorf("lag %v of a reactor that was held for 2 s", got.Lag)
	}
	if got := e.Overdue(); got != 0 {
		t.Errorf("overdue by %v after its sweep, want 0", got)
	}
}

func TestCloseReasonsAreCounted(t *testing.T) {
	closed := make(chan string, 3)
	e, s, addr := startScript(t, loop.Options{}, func(s *script) { s.onClosed = func(name string) { closed <- name } })
	open(t, addr, "a")
	open(t, addr, "b")
	lost := open(t, addr, "c")
	s.do(t, func() {
		s.Close(s.conns["a"], 4001, "gone")
		s.Close(s.conns["b"], 4001, "away")
	})
	_ = lost.Close()
	why := map[loop.CloseReason]uint64{{Code: 4001, Reason: "gone"}: 1, {Code: 4001, Reason: "away"}: 1, {Code: 1006, Reason: "connection lost"}: 1}
	for range 3 {
		wait(t, closed, "the end of a connection")
	}
	got := e.Stats()
	for reason, n := range why {
		if got.CloseReasons[reason] != n {
			t.Errorf("%v: got %d, want %d", reason, got.CloseReasons[reason], n)
		}
	}
	if got.Closes[4001] != 2 || got.Closes[1006] != 1 {
		t.Errorf("closes by code are %v", got.Closes)
	}
}
