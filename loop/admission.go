package loop

import (
	"time"

	"resound/frame"
)

// lateHandshakesPerSecond is how many handshakes a reactor takes while it is
// late, so that a node that stays late can still be reached.
const lateHandshakesPerSecond = 20

// lag is how long the oldest item posted to the reactor has waited for its end.
func (r *Reactor) lag(now time.Time) time.Duration {
	since, waits := r.mailSince, r.mailAt < len(r.mail)
	if !waits {
		since, waits = r.mailbox.oldest()
	}
	if !waits {
		return 0
	}
	return now.Sub(since)
}

// admits decides about a new handshake: a reactor that is late with its mail has
// enough connections for now. Storms alone do not make it late: what is posted
// has its turns among theirs, see trafficSlice.
func (r *Reactor) admits() bool {
	limit := r.engine.options.MaxLag
	if limit < 0 {
		return true
	}
	now := r.engine.options.Now()
	return r.lag(now) <= limit || r.late.take(now, lateHandshakesPerSecond)
}

// putOff accepts a handshake only to tell the client by a close code when to come
// back, for the sake of the reactor or because of its address. An HTTP status would
// not reach it: browsers do not show it to scripts, and pusher-js then waits 15 s.
// docs/adr/0009-storms.md
func (r *Reactor) putOff(c *conn) {
	o := &r.engine.options
	r.stats.putOff.Add(1)
	_, _ = c.tcp.Discard(-1)
	var buf [384]byte
	answer := frame.AppendAccept(buf[:0], &r.request)
	r.out.push(&c.out, r.out.keep(frame.AppendClose(answer, o.LateCode, o.LateReason)))
	r.linger(c)
}

// bucket gives out tokens at a rate, and at most a second's worth at once. The
// zero value is full.
type bucket struct {
	tokens float64
	at     time.Time // when tokens was true
}

func (b *bucket) take(now time.Time, perSecond float64) bool {
	b.tokens = min(perSecond, b.tokens+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
