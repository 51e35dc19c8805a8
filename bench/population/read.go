package population

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/bench/process"
	"resound/bench/wire"
)

// onReady handles one connection that epoll reported.
func (p *Population) onReady(i int32) {
	c := &p.conns[i]
	switch {
	case !c.stage.open():
	case c.stage == stageConnecting:
		p.onConnected(i)
	default:
		p.read(i)
	}
}

// read takes what has arrived with one read, whatever is left: a connection that
// has more is reported again.
func (p *Population) read(i int32) {
	c := &p.conns[i]
	kept := 0
	if len(p.tails) > 0 {
		kept = copy(p.buffer, p.tails[i])
		delete(p.tails, i)
	}
	room := p.buffer[kept:]
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		n = 0
	case errno != 0:
		p.fail(i, fmt.Errorf("read: %w", errno))
		return
	case n == 0:
		p.fail(i, io.ErrUnexpectedEOF)
		return
	}
	b := p.buffer[:kept+int(n)]
	if c.stage == stageUpgrading {
		var complete bool
		if b, complete = p.onUpgraded(i, b); !complete {
			p.keep(i, b)
			return
		}
	}
	p.readFrames(i, b)
}

// readFrames handles the frames in b and keeps the incomplete one at its end.
func (p *Population) readFrames(i int32, b []byte) {
	c := &p.conns[i]
	now := int64(0) // read once for all events of this read
	for len(b) > 0 && c.stage.open() {
		f, err := wire.Next(b)
		if err != nil {
			p.fail(i, err)
			return
		}
		if f.Bytes == 0 {
			p.keep(i, b)
			return
		}
		b = b[f.Bytes:]
		if f.Opcode != wire.OpText {
			p.onControl(i, f)
			continue
		}
		// Fast path: an event.
		if stamp, ok := p.stamps.Read(f.Payload); ok {
			if now == 0 {
				now = process.Nanos()
			}
			p.onEvent(i, stamp, f.Bytes, now)
			continue
		}
		p.onMessage(i, f.Payload)
	}
}

// keep saves the bytes of an incomplete head or frame until the next read.
func (p *Population) keep(i int32, b []byte) {
	if len(b) > 0 && p.conns[i].stage.open() {
		p.tails[i] = append([]byte(nil), b...)
	}
}

// onEvent counts an event.
func (p *Population) onEvent(i int32, stamp wire.Stamp, frameBytes int, now int64) {
	outcome, ours := p.ledger.observe(i, stamp.Sequence)
	switch {
	case !ours:
		p.totals.Misdelivered++
		return
	case outcome == wire.Duplicated:
		p.totals.Duplicated++
		return
	case outcome == wire.Reordered:
		p.totals.Reordered++
	}
	p.totals.Received++
	p.totals.noteFrame(frameBytes)
	micros := min(max((now-stamp.SentNanos)/1000, minLatencyMicros), maxLatencyMicros)
	_ = p.latencies.RecordValue(micros) // in range by the line above
}

// onMessage handles a text message that is no event of ours.
func (p *Population) onMessage(i int32, payload []byte) {
	c := &p.conns[i]
	if p.options.App != nil && c.stage == stageSubscribed && p.onPresence(i, payload) {
		return
	}
	switch kind := wire.Classify(payload); {
	case kind == wire.KindEstablished && c.stage == stageEstablished:
		p.onEstablished(i, payload)
	case kind == wire.KindSubscribed && c.stage == stageSubscribing:
		c.held++
		p.subscribeNext(i)
	case kind == wire.KindPing:
		p.totals.Pings++
		p.answer(i, wire.OpText, wire.Pong)
	case kind == wire.KindError:
		p.fail(i, fmt.Errorf("server said %.200q", payload))
	default:
		p.totals.Foreign++
	}
}

// onControl handles a frame that is no text.
//
// RFC 6455 section 5.5: a ping is answered with its payload.
func (p *Population) onControl(i int32, f wire.Frame) {
	switch f.Opcode {
	case wire.OpPing:
		p.totals.Pings++
		p.answer(i, wire.OpPong, f.Payload)
	case wire.OpPong:
	case wire.OpClose:
		p.fail(i, closeError(f.Payload))
	default:
		p.totals.Foreign++
	}
}

func (p *Population) answer(i int32, opcode byte, payload []byte) {
	if err := p.write(&p.conns[i], wire.AppendMasked(nil, opcode, payload, p.mask.Uint32())); err != nil {
		p.fail(i, fmt.Errorf("answer ping: %w", err))
	}
}

// closeError describes a close frame.
//
// RFC 6455 section 5.5.1: the code comes first, the reason behind it.
func closeError(payload []byte) error {
	if len(payload) < 2 {
		return errors.New("server closed without a code")
	}
	return fmt.Errorf("server closed with code %d reason %q", binary.BigEndian.Uint16(payload), payload[2:])
}
