package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// session is the use of one client, from connecting until Redis is lost.
type session struct {
	client  rueidis.Client
	ctx     context.Context // ends with the session
	cancel  context.CancelCauseFunc
	timeout time.Duration
	publish string // PUBLISH or SPUBLISH
	group   sync.WaitGroup

	// register has a value when this node must register anew.
	register chan struct{}
}

// fail ends the session. The first reason counts.
func (s *session) fail(err error) { s.cancel(err) }

func (s *session) spawn(work func()) {
	s.group.Go(work)
}

// askRegister makes the lease keeper register anew.
func (s *session) askRegister() {
	select {
	case s.register <- struct{}{}:
	default:
	}
}

// connect builds up a session: a client, and scripts in every server.
func (a *Adapter) connect(ctx context.Context) (*session, error) {
	client, err := newClient(ctx, a.options.client(), a.options.Timeout)
	if err != nil {
		return nil, err
	}
	s := &session{client: client, timeout: a.options.Timeout, publish: "PUBLISH", register: make(chan struct{}, 1)}
	if a.options.Mode == Cluster {
		s.publish = "SPUBLISH"
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	if err := s.loadScripts(); err != nil {
		s.fail(err)
		client.Close()
		return nil, err
	}
	return s, nil
}

// newClient bounds rueidis.NewClient, which takes no context.
func newClient(ctx context.Context, o rueidis.ClientOption, timeout time.Duration) (rueidis.Client, error) {
	type made struct {
		client rueidis.Client
		err    error
	}
	done := make(chan made, 1)
	go func() {
		client, err := rueidis.NewClient(o)
		done <- made{client, err}
	}()
	timer := time.NewTimer(2 * timeout)
	defer timer.Stop()
	var err error
	select {
	case m := <-done:
		return m.client, m.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = fmt.Errorf("no connection within %v", 2*timeout)
	}
	go func() {
		if m := <-done; m.err == nil {
			m.client.Close()
		}
	}()
	return nil, err
}

// loadScripts puts the scripts into every master. A replica that becomes master
// later gets them by eval and lane.send.
func (s *session) loadScripts() error {
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	var failure error
	loaded := 0
	for _, server := range s.client.Nodes() {
		commands := make(rueidis.Commands, 0, len(allScripts))
		for _, p := range allScripts {
			commands = append(commands, server.B().ScriptLoad().Script(p.source).Build())
		}
		ok := true
		for _, result := range server.DoMulti(ctx, commands...) {
			if err := result.Error(); err != nil {
				ok, failure = false, err
			}
		}
		if ok {
			loaded++
		}
	}
	if loaded > 0 {
		return nil // replicas may refuse
	}
	return failure
}

// run keeps the adapter connected until ctx ends. first is nil when Redis was
// away at the start.
func (a *Adapter) run(ctx context.Context, first *session) {
	defer close(a.finished)
	for s := first; ; s = nil {
		if s == nil {
			a.awaitOthers()
		}
		for attempt := 0; s == nil; attempt++ {
			if !a.backOff(ctx, attempt) {
				return
			}
			var err error
			if s, err = a.join(ctx); err != nil {
				a.options.Logger.Debug("redis is still away", "error", err)
				continue
			}
			a.counters.reconnect.Add(1)
			a.options.Logger.Info("redis is back")
			a.accept(s)
			a.degraded.Store(false)
			a.deliverer.Degraded(false)
			a.stating <- struct{}{}
			s.spawn(a.restate)
			if a.closing.Load() {
				a.leaveLate(ctx, s)
			}
		}
		err := a.serve(s)
		a.leave(s)
		if ctx.Err() != nil {
			return
		}
		a.options.Logger.Error("redis is lost: this node goes on alone", "error", err)
		a.degraded.Store(true)
		a.deliverer.Degraded(true)
	}
}

// leaveLate makes up for a Leave that found no session because this one was just
// about to begin. Did it find this one, and fail, another node ends what was stated.
func (a *Adapter) leaveLate(ctx context.Context, s *session) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := a.askLease(ctx, s, "bequeath", ""); err != nil {
		a.options.Logger.Debug("the lease was not given back", "error", err)
	}
}

// backOff waits before an attempt to connect.
func (a *Adapter) backOff(ctx context.Context, attempt int) bool {
	d := a.options.MaxBackoff
	if attempt < 10 {
		d = min(d, 100*time.Millisecond<<attempt)
	}
	timer := time.NewTimer(spread(d * 2 / 3))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// join connects and registers under a new incarnation.
func (a *Adapter) join(ctx context.Context) (*session, error) {
	s, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err = a.bus.open(s); err == nil {
		err = a.registerAnew(s)
	}
	if err != nil {
		s.fail(err)
		a.bus.close()
		s.client.Close()
		return nil, err
	}
	return s, nil
}

// serve runs a session until it ends and returns why.
func (a *Adapter) serve(s *session) error {
	s.spawn(func() { a.keepLease(s) })
	s.spawn(func() { a.cleanUp(s) })
	s.spawn(func() { a.keepDescribed(s) })
	s.spawn(func() { a.journal.run(s) })
	s.spawn(func() { a.bus.run(s) })
	for i := range a.flushers {
		s.spawn(func() { a.flushers[i].run(s) })
	}
	for i := range a.lanes {
		s.spawn(func() { a.lanes[i].run(s) })
	}
	<-s.ctx.Done()
	s.group.Wait()
	return context.Cause(s.ctx)
}

// accept begins to take statements.
func (a *Adapter) accept(s *session) {
	a.session.Store(s)
	a.accepting.Store(!a.closing.Load())
}

// leave ends a session that serve has returned from. From then on nothing is
// answered.
func (a *Adapter) leave(s *session) {
	a.session.Store(nil)
	a.forget()
	a.bus.close()
	s.client.Close()
}

// forget drops all statements and what was to be told about them. The epoch ends when
// the queues are empty, so that whoever takes from them has what is of its epoch.
func (a *Adapter) forget() {
	a.accepting.Store(false)
	a.restated.Store(false)
	for i := range a.flushers {
		a.flushers[i].clear()
	}
	a.bus.clear()
	a.epoch.Add(1)
	for i := range a.stripes {
		a.clear(&a.stripes[i])
	}
}
