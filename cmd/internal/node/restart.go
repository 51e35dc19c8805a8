package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// handOverGrace is how long a process serves on when its port belongs to another
// one: connections that were on their way to it still arrive.
const handOverGrace = time.Second

// listeningTimeout is how long the sockets may take to listen once the node runs.
const listeningTimeout = 10 * time.Second

// Successor is a process that listens on the node's port too, and answers.
type Successor struct {
	PID       int
	Listeners int // sockets on each port

	// Link leads to it, see Options.PredecessorLink. It is the node's.
	Link net.Conn
}

// Restart implements control.Node: it starts another process of the binary as it
// is now, gives it the port once it answers, and stops. No connection is refused
// meanwhile; open ones are closed over the drain timeout and come back there. An
// error leaves everything as it was.
func (n *Node) Restart(ctx context.Context) (pid int, err error) {
	if n.options.Successor == nil {
		return 0, errors.New("this server cannot start another process")
	}
	if !n.restarting.TryLock() {
		return 0, errors.New("a restart is under way")
	}
	defer n.restarting.Unlock()
	switch {
	case n.gaveWay:
		return 0, errors.New("a restart is under way: this process is about to end")
	case n.options.Predecessor != nil && !n.tookOver.Load():
		return 0, errors.New("the process before this one has not ended yet")
	}
	n.log.Info("restarting")
	shared := n.config.Load().Server.ReusePort
	if !shared {
		// Before it knows what this process has it is to have no clients.
		if err := n.engine.Keep(); err != nil {
			n.log.Warn("the kernel gives connections to the new process before it is ready", "error", err)
		}
	}
	s, err := n.options.Successor(ctx, n.Addr().Port, n.engine.Listeners())
	if err != nil {
		n.log.Error("the restart failed, this process goes on", "error", err)
		if !shared {
			_ = n.engine.TakeOver() // its own sockets are all there are
		}
		return 0, err
	}
	n.pairWith(ctx, s.Link)
	n.handCustom(s.PID)
	if shared {
		n.log.Warn("other processes may share the port: connections that nobody has accepted when this process ends are reset")
	} else if err := n.engine.GiveWay(s.Listeners); err != nil {
		n.log.Warn("the kernel goes on to give connections to both processes: some may be reset when this one ends", "error", err)
	}
	n.gaveWay = true
	close(n.succeeded)
	n.log.Info("another process took over", "pid", s.PID)
	time.AfterFunc(handOverGrace, n.Stop)
	return s.PID, nil
}

// Listeners waits until every socket of the node listens, which Ready does not,
// and returns how many there are on each port.
func (n *Node) Listeners(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, listeningTimeout, fmt.Errorf("the sockets do not listen after %s", listeningTimeout))
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !n.engine.Listening() {
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-tick.C:
		}
	}
	return n.engine.Listeners(), nil
}

// takeOver waits for the predecessor to end, and goes on with what it left.
func (n *Node) takeOver() {
	select {
	case <-n.life.Done():
		return
	case <-n.options.Predecessor:
	}
	if err := n.engine.TakeOver(); err != nil {
		n.log.Error("take the port over", "error", err)
	}
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if err := n.webhooks.Load().restore(); err != nil {
		n.log.Error("webhooks of the process before", "error", err)
	}
	if n.heritage != nil {
		<-n.heritage.spent
	}
	n.tookOver.Store(true)
	n.log.Info("the process before has ended")
}
