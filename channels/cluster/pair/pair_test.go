package pair_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
	"resound/channels/cluster/pair"
)

// ear notes what a node is told.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, fmt.Sprintf(format, args...))
}

func (e *ear) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.heard, want) {
		t.Errorf("heard\n%s\nwant\n%s", strings.Join(e.heard, "\n"), strings.Join(want, "\n"))
	}
	e.heard = nil
}

// expectAll is expect of what is told by both processes, whose order is open. want is
// sorted.
func (e *ear) expectAll(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	slices.Sort(e.heard)
	e.mu.Unlock()
	e.expect(t, want...)
}

func (e *ear) Deliver(p cluster.Publication, mine bool) {
	e.note("deliver %s %s %s %s %v %v", p.Channel.Name, p.Payload, p.Except, p.Name, p.Keep, mine)
}

func (e *ear) Watched(c cluster.Channel, s *cluster.Snapshot) {
	if s == nil {
		e.note("watched %s", c.Name)
		return
	}
	text := ""
	for _, m := range s.Members {
		text += " " + m.ID + m.IDJSON + m.Info
	}
	if s.Kept != nil {
		text += " " + string(s.Kept.Payload) + s.Kept.Name + s.Kept.Data
	}
	e.note("watched %s with %v%s", c.Name, s.Occupied, text)
}
func (e *ear) Missing(cluster.Channel) { e.note("missing") }
func (e *ear) Edge(d cluster.Edge)     { e.note("edge %s %d %s", d.Channel.Name, d.Kind, d.Member.ID) }

func (e *ear) Decided(d cluster.Edge) {
	e.note("decided %s %d %s", d.Channel.Name, d.Kind, d.Member.ID)
}
func (e *ear) Seated(c cluster.Channel, id string, _ uint64) { e.note("seated %s %s", c.Name, id) }
func (e *ear) Unseated(cluster.Channel, string)              {}
func (e *ear) Counted(c cluster.Channel, n int, _ uint64)    { e.note("counted %s %d", c.Name, n) }
func (e *ear) Terminate(app, id string)                      { e.note("terminate %s %s", app, id) }
func (e *ear) Degraded(bool)                                 { e.note("degraded") }
func (e *ear) Restate()                                      { e.note("restate") }

// greeting is what ends say first, as the wire has it.
type greeting struct {
	Verb   uint8
	Number int
}

func channel(name string) cluster.Channel { return cluster.Channel{App: "1", Name: name} }

func user(id string) cluster.Member {
	return cluster.Member{ID: id, IDJSON: `"` + id + `"`, Info: "{}"}
}

// two are a predecessor and its successor.
type two struct {
	hub            *local.Hub
	old            *pair.Adapter
	next           *local.Adapter
	atOld, atNext  ear
	served, isLost chan struct{}
}

// run runs a test with a pair in a bubble of its own time.
func run(t *testing.T, test func(t *testing.T, p *two)) {
	synctest.Test(t, func(t *testing.T) {
		p := &two{hub: local.NewHub(), served: make(chan struct{}), isLost: make(chan struct{})}
		p.next = p.hub.NewAdapter()
		if err := p.next.Start(t.Context(), &p.atNext); err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		host := pair.NewHost(there, p.hub, &p.atNext)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(p.served)
			if err := host.Serve(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}()
		var err error
		if p.old, err = pair.Dial(t.Context(), here, func() { close(p.isLost) }); err != nil {
			t.Fatal(err)
		}
		if err := p.old.Start(t.Context(), &p.atOld); err != nil {
			t.Fatal(err)
		}
		test(t, p)
		_ = p.old.Close(context.Background())
		<-p.served
		cancel()
		_ = p.next.Close(context.Background())
		synctest.Wait()
	})
}

func TestEachHearsWhatTheOtherDoes(t *testing.T) {
	run(t, func(t *testing.T, p *two) {
		c := channel("presence-cache-x")
		p.old.Inherit(c, cluster.Inherited{
			Subscriptions: 2, Members: []cluster.Member{user("a"), user("b")},
			Kept: &cluster.Kept{Payload: []byte("payload"), Name: `"event"`, Data: `"data"`, For: time.Minute},
		})
		p.old.Watch(c, true)
		p.old.Watch(channel("x"), false)
		p.old.Watch(channel("presence-empty"), true)
		if _, err := p.old.Channel(t.Context(), c); !errors.Is(err, cluster.ErrDegraded) {
			t.Errorf("a query before everything is inherited: got %v", err)
		}
		if err := p.old.Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.atNext.expect(t) // nobody decides again what was decided
		p.atOld.expect(t, "seated presence-cache-x a", "seated presence-cache-x b",
			`watched presence-cache-x with true a"a"{} b"b"{} payload"event""data"`, "watched x", "watched presence-empty with false")

		p.next.Seat(c, user("c"))
		p.atNext.expect(t, "decided presence-cache-x 3 c", "seated presence-cache-x c")
		p.atOld.expect(t, "edge presence-cache-x 3 c")
		p.old.Seat(c, user("d"))
		p.atNext.expect(t, "decided presence-cache-x 3 d")
		p.atOld.expect(t, "edge presence-cache-x 3 d", "seated presence-cache-x d")

		p.next.Watch(channel("y"), false)
		p.old.Publish(cluster.Publication{Channel: channel("y"), Payload: []byte("from old"), Except: "1.1"})
		p.atNext.expect(t, "watched y", "deliver y from old 1.1  0s false")
		p.next.Publish(cluster.Publication{Channel: channel("x"), Payload: []byte("from next")})
		p.old.Publish(cluster.Publication{Channel: c, Payload: []byte("kept"), Keep: time.Minute, Name: "n"})
		p.atOld.expect(t, "deliver x from next   0s false", "deliver presence-cache-x kept  n 1m0s true")
		p.old.Unwatch(channel("x"))
		if err := p.old.Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.next.Publish(cluster.Publication{Channel: channel("x"), Payload: []byte("from next")})
		p.atOld.expect(t)

		p.old.Terminate("1", "a")
		p.atNext.expect(t, "terminate 1 a")
		p.next.Terminate("1", "b")
		p.atOld.expect(t, "terminate 1 b")

		p.old.Hold(channel("x"), 3, true)
		p.atNext.expect(t, "decided x 1 ", "counted x 3")
		o, err := p.old.Channel(t.Context(), c)
		if err != nil || o.Users != 4 || o.Subscriptions != 2 || o.Kept == nil || string(o.Kept.Payload) != "kept" {
			t.Errorf("occupancy: got %+v, %v", o, err)
		}
		members, err := p.old.Members(t.Context(), c)
		if err != nil || len(members) != 4 || members[3] != user("d") {
			t.Errorf("members: got %v, %v", members, err)
		}
		rows, err := p.old.Channels(t.Context(), "1", "presence-", 10)
		if err != nil || len(rows) != 1 || rows[0].Name != c.Name {
			t.Errorf("channels: got %v, %v", rows, err)
		}
	})
}

func TestWhoMovesNeverLeaves(t *testing.T) {
	run(t, func(t *testing.T, p *two) {
		c := channel("presence-x")
		p.old.Inherit(c, cluster.Inherited{Subscriptions: 3, Members: []cluster.Member{user("a"), user("b"), user("c")}})
		if err := p.old.Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.next.Watch(c, true)
		p.atNext.expect(t, "watched presence-x with true"+` a"a"{} b"b"{} c"c"{}`)
		p.old.Unseat(c, "a")
		p.old.Unseat(c, "b")
		p.old.Unseat(c, "c")
		p.old.Hold(c, 0, false)
		time.Sleep(pair.Grace / 2)
		p.next.Seat(c, user("a")) // moved
		p.next.Hold(c, 1, false)
		p.old.Seat(c, user("b")) // came back where it was
		p.old.Hold(c, 1, false)
		p.atNext.expect(t, "seated presence-x a")
		time.Sleep(pair.Grace)
		p.atNext.expectAll(t, "decided presence-x 4 c", "edge presence-x 4 c")
		p.old.Unseat(c, "b")
		p.old.Hold(c, 0, true)
		_ = p.old.Close(t.Context())
		p.atNext.expect(t)
		<-p.served // it waits as long for those who were the last to go
		p.atNext.expect(t, "edge presence-x 4 b", "decided presence-x 4 b", "counted presence-x 1")
	})
}

func TestPredecessorThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := local.NewHub()
		next, at := hub.NewAdapter(), &ear{}
		if err := next.Start(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		served := make(chan error, 1)
		go func() { served <- pair.NewHost(there, hub, at).Serve(t.Context()) }()
		lost := make(chan struct{})
		old, err := pair.Dial(t.Context(), here, func() { close(lost) })
		if err != nil {
			t.Fatal(err)
		}
		_ = old.Start(t.Context(), &ear{})
		old.Seat(channel("presence-x"), user("a"))
		at.expect(t, "decided presence-x 3 a")
		_ = here.Close()
		<-lost
		if _, err := old.Channel(t.Context(), channel("x")); !errors.Is(err, cluster.ErrDegraded) {
			t.Errorf("a query afterwards: %v", err)
		}
		if err := old.Complete(t.Context()); err == nil {
			t.Error("everything was heard by nobody")
		}
		at.expect(t)
		begun := time.Now()
		if err := <-served; err != nil || time.Since(begun) != pair.Grace {
			t.Errorf("got %v after %v", err, time.Since(begun))
		}
		at.expect(t, "decided presence-x 4 a")
		_ = old.Close(t.Context())
		_ = next.Close(context.Background())
	})
}

func TestWhatWaitsToBeWrittenIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		go func() { // a successor that says hello and reads no more
			_ = gob.NewEncoder(there).Encode(greeting{1, pair.Version})
			_, _ = there.Read(make([]byte, 4096))
		}()
		lost := make(chan struct{})
		a, err := pair.Dial(t.Context(), here, func() { close(lost) })
		if err != nil {
			t.Fatal(err)
		}
		a.SetLimit(1000)
		_ = a.Start(t.Context(), &ear{})
		publish := func(n int) {
			a.Publish(cluster.Publication{Channel: channel("x"), Payload: bytes.Repeat([]byte("x"), n)})
		}
		publish(300) // is being written
		synctest.Wait()
		publish(400)
		publish(400)
		if s := a.Stats(); s.Dropped != 1 || s.Spooled != 1 {
			t.Errorf("got %+v, want one publication that waits and one that is dropped", s)
		}
		a.Seat(channel("x"), user(strings.Repeat("x", 800)))
		<-lost // a statement that is not heard would be wrong for ever
		_ = a.Close(t.Context())
		_ = there.Close()
	})
}

func TestKeptEventsBeyondTheLimitStayBehind(t *testing.T) {
	run(t, func(t *testing.T, p *two) {
		p.old.SetKeptLimit(1000)
		large := &cluster.Kept{Payload: make([]byte, 500), For: time.Minute}
		for i := range 3 {
			p.old.Inherit(channel(fmt.Sprint("cache-", i)), cluster.Inherited{Kept: large})
		}
		if err := p.old.Complete(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := p.old.LeftBehind(); got != 1 || len(p.hub.Names()) != 2 {
			t.Errorf("%d stay behind, %v came along", got, p.hub.Names())
		}
	})
}

func TestWhatWasPublishedSinceIsNewerThanWhatIsInherited(t *testing.T) {
	run(t, func(t *testing.T, p *two) {
		c := channel("cache-x")
		p.next.Publish(cluster.Publication{Channel: c, Payload: []byte("new"), Keep: time.Minute})
		p.old.Inherit(c, cluster.Inherited{Kept: &cluster.Kept{Payload: []byte("old"), For: time.Minute}})
		p.old.Watch(c, true)
		p.atOld.expect(t, "watched cache-x with false new")
	})
}

func TestEndsOfDifferentVersionsAreNoPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, said := range map[string]greeting{
			"another version": {1, pair.Version + 1},
			"no greeting":     {2, pair.Version},
		} {
			here, there := net.Pipe()
			go func() {
				_ = gob.NewEncoder(there).Encode(said)
				_, _ = there.Read(make([]byte, 4096))
			}()
			if _, err := pair.Dial(t.Context(), here, nil); err == nil {
				t.Errorf("%s: no error", name)
			}
			_ = there.Close()
		}
		here, there := net.Pipe()
		defer there.Close()
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("silence"))
		defer cancel()
		if _, err := pair.Dial(ctx, here, nil); err == nil || err.Error() != "silence" {
			t.Errorf("a silent successor: got %v", err)
		}
	})
}
