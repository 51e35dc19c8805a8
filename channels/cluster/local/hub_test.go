package local_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
)

// ear notes what it is told.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprintf(format, args...))
}

// take returns what was heard and forgets it.
func (e *ear) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	heard := e.heard
	e.heard = nil
	return heard
}

func (e *ear) Deliver(p cluster.Publication, mine bool) {
	e.note("deliver %s %v", p.Payload, mine)
}
func (e *ear) Watched(c cluster.Channel, _ *cluster.Snapshot) { e.note("watched %s", c.Name) }
func (e *ear) Missing(c cluster.Channel)                      { e.note("missing %s", c.Name) }
func (e *ear) Edge(d cluster.Edge)                            { e.note("edge %s %d", d.Channel.Name, d.Kind) }

func (e *ear) Decided(d cluster.Edge) { e.note("decided %s %d", d.Channel.Name, d.Kind) }

func (e *ear) Seated(_ cluster.Channel, userID string, _ uint64) {
	e.note("seated %s", userID)
}
func (e *ear) Unseated(cluster.Channel, string)           {}
func (e *ear) Counted(_ cluster.Channel, n int, _ uint64) { e.note("counted %d", n) }
func (e *ear) Terminate(_, userID string)                 { e.note("terminate %s", userID) }
func (e *ear) Degraded(degraded bool)                     { e.note("degraded %v", degraded) }
func (e *ear) Restate()                                   { e.note("restate") }
func channelOf(name string) cluster.Channel               { return cluster.Channel{App: "1", Name: name} }

func publication(payload string) (p cluster.Publication) {
	p.Channel, p.Payload = channelOf("c"), []byte(payload)
	return p
}

func start(t *testing.T, h *local.Hub) (*local.Adapter, *ear) {
	t.Helper()
	a, e := h.NewAdapter(), new(ear)
	if err := a.Start(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(context.Background()) })
	return a, e
}

func check(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestFaultsOfAHub(t *testing.T) {
	t.Run("an outage loses statements and keeps publications", func(t *testing.T) {
		h := local.NewHub()
		a, atA := start(t, h)
		b, atB := start(t, h)
		h.Outage()
		a.Hold(channelOf("c"), 1, true)
		a.Publish(publication("x"))
		h.Settle()
		check(t, "a", atA.take(), "degraded true")
		if _, err := a.Channel(t.Context(), channelOf("c")); err != cluster.ErrDegraded {
			t.Errorf("query: got %v, want ErrDegraded", err)
		}
		if got := a.Stats().Spooled; got != 1 {
			t.Errorf("spooled: got %d, want 1", got)
		}
		h.Restore()
		h.Settle()
		b.Watch(channelOf("c"), false)
		h.Settle()
		check(t, "a", atA.take(), "degraded false", "restate")
		check(t, "b", atB.take(), "degraded true", "degraded false", "restate", "watched c")
	})

	t.Run("what is not stated again after an outage ends with Expire", func(t *testing.T) {
		h := local.NewHub()
		a, atA := start(t, h)
		a.Hold(channelOf("stays"), 1, false)
		a.Hold(channelOf("goes"), 1, false)
		h.Outage()
		h.Restore()
		h.Settle()
		a.Hold(channelOf("stays"), 1, false)
		h.Settle()
		atA.take()
		h.Expire()
		h.Settle()
		check(t, "a", atA.take(), fmt.Sprintf("decided goes %d", cluster.Vacated))
	})

	t.Run("a killed node is cleaned up by one survivor and hears nothing more", func(t *testing.T) {
		h := local.NewHub()
		a, atA := start(t, h)
		_, atB := start(t, h)
		_, atC := start(t, h)
		a.Seat(channelOf("c"), cluster.Member{ID: "u"})
		h.Settle()
		atA.take()
		h.Kill(a)
		h.Settle()
		check(t, "a", atA.take())
		check(t, "survivors", append(atB.take(), atC.take()...), fmt.Sprintf("decided c %d", cluster.MemberRemoved))
	})

	t.Run("a fenced node is refused and states again", func(t *testing.T) {
		h := local.NewHub()
		a, atA := start(t, h)
		_, atB := start(t, h)
		a.Hold(channelOf("c"), 1, false)
		h.Settle()
		atA.take()
		h.Pause(a)
		h.Fence(a)
		a.Hold(channelOf("c"), 2, false)
		h.Settle()
		check(t, "b", atB.take(), fmt.Sprintf("decided c %d", cluster.Vacated))
		h.Resume(a)
		h.Settle()
		check(t, "a", atA.take(), "restate")
		if o, _ := a.Channel(t.Context(), channelOf("c")); o.Subscriptions != 0 {
			t.Errorf("subscriptions: got %d, want 0", o.Subscriptions)
		}
	})

	t.Run("a short pause delays and loses nothing", func(t *testing.T) {
		h := local.NewHub()
		a, atA := start(t, h)
		h.Pause(a)
		a.Hold(channelOf("c"), 1, true)
		a.Hold(channelOf("c"), 2, true)
		h.Settle()
		check(t, "a", atA.take())
		h.Resume(a)
		a.Hold(channelOf("c"), 3, true)
		h.Settle()
		check(t, "a", atA.take(), fmt.Sprintf("decided c %d", cluster.Occupied), "counted 1", "counted 2", "counted 3")
	})
}
