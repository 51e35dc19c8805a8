package floor

import (
	"bytes"
	"math/bits"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// subscription is a descriptor and the generation it had when it subscribed. A
// descriptor that was closed since has another one: the subscription is gone, and
// is removed when the channel is walked next.
type subscription struct {
	fd         int32
	generation uint32
}

// subscribers are the connections of one thread in one channel.
type subscribers struct {
	list    []subscription
	pending []byte // frames to be written together at the end of the turn
}

// waiting is an event, or several, for the subscribers of a channel.
type waiting struct {
	channel string
	frames  []byte
}

var (
	channelField = []byte(`"channel":"`)
	dataField    = []byte(`"data":"`)
	accepted     = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
)

// textField returns the value of the JSON text that field begins, and what follows.
func textField(b, field []byte) (value, rest []byte, found bool) {
	_, b, found = bytes.Cut(b, field)
	if !found {
		return nil, nil, false
	}
	return bytes.Cut(b, []byte(`"`))
}

// onFrames answers the subscriptions in b, which holds whole frames.
func (t *thread) onFrames(fd int, b []byte) {
	for len(b) > 0 {
		payload, rest, ok := wire.Unmask(b)
		if !ok {
			t.drop(fd)
			return
		}
		b = rest
		channel, _, found := textField(payload, channelField)
		if !found {
			continue // a pong
		}
		t.subscribe(fd, channel)
		t.message = wire.AppendSubscribed(t.message[:0], string(channel))
		t.frame = wire.AppendFrame(t.frame[:0], wire.OpText, t.message)
		t.write(fd, t.frame)
	}
}

func (t *thread) subscribe(fd int, channel []byte) {
	s := t.channels[string(channel)]
	if s == nil {
		s = &subscribers{}
		t.channels[string(channel)] = s
		t.interest.add(string(channel), t.number)
	}
	s.list = append(s.list, subscription{int32(fd), t.generations[fd]})
}

// onRequests takes the events of the whole requests in b.
func (t *thread) onRequests(fd int, b []byte) {
	for len(b) > 0 {
		end := wire.HeadBytes(b)
		length, err := strconv.Atoi(string(wire.HeaderValue(b[:end], "Content-Length")))
		if err != nil || length < 0 || length > len(b)-end {
			t.drop(fd)
			return
		}
		t.write(fd, accepted)
		t.onEvents(b[end : end+length])
		b = b[end+length:]
	}
}

// onEvents delivers the events of a body, here and to the other threads.
func (t *thread) onEvents(body []byte) {
	for {
		channel, rest, found := textField(body, channelField)
		if !found {
			return
		}
		data, rest, found := textField(rest, dataField)
		if !found {
			return
		}
		body = rest
		t.message = wire.AppendEvent(t.message[:0], string(channel), data)
		t.frame = wire.AppendFrame(t.frame[:0], wire.OpText, t.message)
		for set := t.interest.of(channel); set != 0; set &= set - 1 {
			number := bits.TrailingZeros64(set)
			if number == t.number {
				t.deliver(t.channels[string(channel)], t.frame)
				continue
			}
			t.all[number].post(waiting{string(channel), bytes.Clone(t.frame)})
		}
	}
}

// deliver writes frames to all subscribers, at once or with what else the turn
// brings for them.
func (t *thread) deliver(s *subscribers, frames []byte) {
	switch {
	case s == nil:
	case t.packed:
		if len(s.pending) == 0 {
			t.unflushed = append(t.unflushed, s)
		}
		s.pending = append(s.pending, frames...)
	default:
		t.writeAll(s, frames)
	}
}

// flush writes what the turn has put together.
func (t *thread) flush() {
	for _, s := range t.unflushed {
		t.writeAll(s, s.pending)
		s.pending = s.pending[:0]
	}
	t.unflushed = t.unflushed[:0]
}

func (t *thread) writeAll(s *subscribers, b []byte) {
	// Backwards: a subscription that is gone is replaced by the last one.
	for i := len(s.list) - 1; i >= 0; i-- {
		fd := int(s.list[i].fd)
		if t.generations[fd] != s.list[i].generation {
			s.list[i] = s.list[len(s.list)-1]
			s.list = s.list[:len(s.list)-1]
			continue
		}
		t.write(fd, b)
	}
}

// write sends b with one write(2). A socket that does not take all of it is
// dropped: the generator then counts the loss, and the comparison is void.
func (t *thread) write(fd int, b []byte) {
	if t.stages[fd] == stageNone {
		return // dropped by the write before
	}
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 || int(n) != len(b) {
		t.drop(fd)
	}
}
