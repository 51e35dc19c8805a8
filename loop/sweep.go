package loop

import (
	"time"

	"resound/frame"
)

// sweep looks at every connection whose deadline has come. It reads one array
// from end to end, which for half a million connections takes a third of a
// millisecond; timers of their own would cost each of them a hundred bytes.
func (r *Reactor) sweep() {
	r.now = r.engine.seconds()
	r.stats.lag.Store(r.engine.options.Now().UnixNano() - r.tickedAt.Load())
	for h, at := range r.deadlines {
		if at <= r.now {
			r.onDeadline(int32(h))
		}
	}
	r.out.trim()
	r.ticking.Store(false)
}

func (r *Reactor) onDeadline(h int32) {
	c := r.conns.At(h)
	defer func() {
		if p := recover(); p != nil {
			r.recovered(c, p)
		}
	}()
	r.deadlines[h] = never
	switch c.stage {
	case opening:
		if s := c.secure(); c.marks&expectant != 0 || s != nil && s.wire.mode != looped {
			r.destroy(c) // there is no language to tell it in
			return
		}
		r.reject(c, frame.RejectTimeout)
	case open:
		r.handler.OnDeadline(h)
	case closing, shut:
		r.deadlines[h] = r.now + 1
		if r.now >= uint32(c.need) {
			r.destroy(c)
		} else {
			r.shut(c)
		}
	}
}

// drain says how far a drain has come. It does not wait behind the mail.
type drain struct {
	code   int
	reason string
	left   float64 // share of the connections that may stay open, 0 to 1
	of     []int   // open connections of each reactor when the drain began
}

func (d *drain) run(r *Reactor) {
	if d.of[r.index] < 0 {
		d.of[r.index] = int(r.stats.connections.Load())
	}
	keep := int(d.left * float64(d.of[r.index]))
	for int(r.stats.connections.Load()) > keep {
		if r.drained >= r.conns.Cap() {
			r.drained = 0 // handles below were reused by late handshakes
		}
		r.Close(r.drained, d.code, d.reason)
		r.drained++
	}
}

// Drain refuses new handshakes from now on and closes the open connections with
// code, spread evenly over the time given, so that their clients do not all
// return in the same second. It returns once every connection is gone, or lingers
// no longer than a connection may.
func (e *Engine) Drain(code int, reason string, over time.Duration) {
	const step = 50 * time.Millisecond
	e.draining.Store(true)
	of := make([]int, len(e.reactors))
	for i := range of {
		of[i] = -1
	}
	steps := max(1, int(over/step))
	last := steps + int(closeTimeout*time.Second/step)
	t := time.NewTicker(step)
	defer t.Stop()
	for i := 1; i <= last && e.Stats().Sockets+e.Stats().Connections > 0; i++ {
		if i <= steps || e.Stats().Connections > 0 {
			left := max(0, float64(steps-i)/float64(steps))
			d := &drain{code: code, reason: reason, left: left, of: of}
			for _, r := range e.reactors {
				r.draining.Store(d)
				r.mailbox.again()
			}
		}
		<-t.C
	}
}
