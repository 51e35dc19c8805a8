package floor

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"resound/bench/wire"
)

// request answers the HTTP request at the start of b and returns its length, or 0
// when it is incomplete or wrong.
func (t *thread) request(fd int, b []byte) int {
	end := wire.HeadBytes(b)
	if end == 0 {
		if len(b) > wire.MaxHeadBytes {
			t.drop(fd)
		}
		return 0
	}
	head := b[:end]
	if bytes.HasPrefix(head, []byte("GET ")) {
		key := wire.HeaderValue(head, "Sec-WebSocket-Key")
		if len(key) == 0 {
			t.drop(fd)
			return 0
		}
		t.conns[fd].stage = stageWebSocket
		t.write(fd, t.switching(key))
		return end
	}
	length, err := strconv.ParseUint(string(wire.HeaderValue(head, "Content-Length")), 10, 31)
	if !bytes.HasPrefix(head, []byte("POST ")) || err != nil || end+int(length) > maxRequestBytes {
		t.drop(fd)
		return 0
	}
	end += int(length)
	if len(b) < end {
		return 0
	}
	reason := "OK"
	status := t.trigger(b[len(head):end])
	if status != 200 {
		reason = "Refused"
	}
	t.answer = fmt.Appendf(t.answer[:0], "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", status, reason)
	t.write(fd, t.answer)
	return end
}

// switching returns the answer to an upgrade with key. The connections of a client
// process share their key, so the last answer is nearly always the next: the floor
// leaves no garbage behind that would count as memory of its connections.
func (t *thread) switching(key []byte) []byte {
	if string(key) != t.lastKey {
		t.lastKey = string(key)
		t.lastAnswer = append(t.lastAnswer[:0], "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
		t.lastAnswer = append(append(t.lastAnswer, wire.Accept(t.lastKey)...), "\r\n\r\n"...)
		t.lastAnswer = wire.AppendFrame(t.lastAnswer, wire.OpText, wire.AppendEstablished(nil, "1.1"))
	}
	return t.lastAnswer
}

// trigger publishes the event, or the events, of a body in the one form the generator
// writes, without checking anything, and returns the status of the answer.
func (t *thread) trigger(body []byte) int {
	events := 0
	for {
		name, rest := stringAfter(body, `"name":"`)
		if name == nil {
			break
		}
		channel, rest := stringAfter(rest, `"channel":"`)
		data, rest := stringAfter(rest, `"data":"`)
		if channel == nil || data == nil {
			return 400
		}
		body = rest
		events++
		if _, threads := t.server.channels.interest(string(channel)); threads == 0 {
			continue
		}
		// Reverb: key order event, data, channel.
		payload := fmt.Appendf(nil, `{"event":"%s","data":"%s","channel":"%s"}`, name, data, channel)
		if !t.server.deliver(string(channel), wire.AppendFrame(nil, wire.OpText, payload)) {
			return 503
		}
	}
	if events == 0 {
		return 400
	}
	return 200
}

// stringAfter returns the JSON string, still escaped, that follows a key in b, and
// what is behind it; nil when there is none.
func stringAfter(b []byte, key string) (value, rest []byte) {
	_, b, found := bytes.Cut(b, []byte(key))
	if !found {
		return nil, nil
	}
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[:i:i], b[i+1:]
		}
	}
	return nil, nil
}

// maskedHead is the longest header of a client's frame.
const maskedHead = 14

// frame handles the WebSocket frame at the start of b and returns its length, or 0
// when it is incomplete or wrong.
//
// RFC 6455 section 5.1: a client masks its frames.
func (t *thread) frame(fd int, b []byte) int {
	if len(b) < 2 {
		return 0
	}
	head, length := 2, uint64(b[1]&0x7F)
	switch length {
	case 126:
		if head = 4; len(b) < head {
			return 0
		}
		length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if head = 10; len(b) < head {
			return 0
		}
		length = binary.BigEndian.Uint64(b[2:])
	}
	opcode := b[0] & 0x0F
	if b[1]&0x80 == 0 || opcode == wire.OpClose || length > maxRequestBytes-maskedHead {
		t.drop(fd)
		return 0
	}
	end := head + 4 + int(length)
	if len(b) < end {
		return 0
	}
	mask, payload := b[head:head+4], b[head+4:end]
	for i := range payload {
		payload[i] ^= mask[i&3]
	}
	if opcode == wire.OpText && bytes.Contains(payload, []byte(`"pusher:subscribe"`)) {
		t.onSubscribe(fd, payload)
	}
	return end
}

// maxChannelBytes bounds a channel's name.
const maxChannelBytes = 200

func (t *thread) onSubscribe(fd int, payload []byte) {
	name, _ := stringAfter(payload, `"channel":"`)
	if name == nil {
		return
	}
	if len(name) > maxChannelBytes {
		t.drop(fd)
		return
	}
	t.subscribe(fd, name)
	t.answer = wire.AppendFrame(t.answer[:0], wire.OpText, wire.AppendSubscribed(nil, string(name)))
	t.write(fd, t.answer)
}
