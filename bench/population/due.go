package population

import (
	"time"

	"resound/bench/process"
)

// due is what the loop does at a time instead of for a descriptor.
type due struct {
	// Connections that try again, in the order in which they do: all wait equally.
	retries []retry
	senders []*sender
}

type retry struct {
	at   int64 // nanoseconds
	conn int32
}

// timeout returns how many milliseconds may pass before something is due, at least
// one, and -1 when nothing is.
func (d *due) timeout() int {
	next := int64(-1)
	if len(d.retries) > 0 {
		next = d.retries[0].at
	}
	for _, s := range d.senders {
		if next < 0 || s.next < next {
			next = s.next
		}
	}
	if next < 0 {
		return -1
	}
	return max(int(time.Duration(next-process.Nanos())/time.Millisecond), 0) + 1
}

// runDue does what is due.
func (p *Population) runDue() {
	if len(p.due.retries) == 0 && len(p.due.senders) == 0 {
		return
	}
	now := process.Nanos()
	for len(p.due.retries) > 0 && p.due.retries[0].at <= now {
		i := p.due.retries[0].conn
		p.due.retries = p.due.retries[1:]
		p.inFlight++
		if err := p.openConn(int(i)); err != nil {
			p.fail(i, err)
		}
	}
	for _, s := range p.due.senders {
		p.sendDue(s, now)
	}
}

// retryLater makes a connection that was refused or lost try again.
func (p *Population) retryLater(i int32) {
	p.due.retries = append(p.due.retries, retry{process.Nanos() + int64(p.options.Retry), i})
}
