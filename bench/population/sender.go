package population

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"resound/bench/process"
	"resound/bench/wire"
)

// senderTurn is how often a sender's events are written, all that are due together.
const senderTurn = 5_000_000 // nanoseconds

// maxSenderRate bounds what a sender writes at a time to some 15 kB.
const maxSenderRate = 20_000

// sender is a connection that sends client events at a steady rate.
type sender struct {
	conn  int32
	next  int64 // nanoseconds
	until int64 // as if events were sent up to here
	gap   int64 // between two events
	frame []byte
	sent  uint64
}

// Send makes connection i send perSecond client events a second to its channel, each
// with data of size bytes. Zero stops it and returns how many it sent. Of one that
// is lost the rest is not sent.
func (p *Population) Send(ctx context.Context, i, perSecond, size int) (sent uint64, err error) {
	if i < 0 || i >= p.options.Connections || perSecond < 0 || perSecond > maxSenderRate {
		return 0, fmt.Errorf("connection %d at %d events a second, want 0 to %d and 0 to %d", i, perSecond, p.options.Connections-1, maxSenderRate)
	}
	var lost error
	err = p.await(ctx, func() {
		kept := p.due.senders[:0]
		for _, s := range p.due.senders {
			if s.conn == int32(i) {
				sent = s.sent
				continue
			}
			kept = append(kept, s)
		}
		p.due.senders = kept
		if p.conns[i].stage != stageSubscribed {
			lost = errors.New("the sender has no subscription")
			return
		}
		if perSecond > 0 {
			now := process.Nanos()
			payload := wire.AppendClientEvent(nil, p.options.channel(i, 0), bytes.Repeat([]byte("x"), size))
			p.due.senders = append(p.due.senders, &sender{
				conn: int32(i), next: now, until: now, gap: 1_000_000_000 / int64(perSecond),
				frame: wire.AppendMasked(nil, wire.OpText, payload, p.mask.Uint32()),
			})
		}
	}, func() (bool, error) { return true, lost })
	return sent, err
}

// sendDue writes the events that are due by now.
func (p *Population) sendDue(s *sender, now int64) {
	if now < s.next {
		return
	}
	events := (now - s.until) / s.gap
	s.until += events * s.gap
	s.next = now + senderTurn
	c := &p.conns[s.conn]
	if events == 0 || c.stage != stageSubscribed {
		return
	}
	if err := p.write(c, bytes.Repeat(s.frame, int(events))); err != nil {
		p.fail(s.conn, fmt.Errorf("send client events: %w", err))
		return
	}
	s.sent += uint64(events)
}
