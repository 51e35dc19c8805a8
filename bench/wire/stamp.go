package wire

import (
	"bytes"
	"fmt"
)

// Stamp is what the generator writes into the data of each event:
//
//	+------+---------------+---+----------------------------+---+---------+
//	| ~rb~ | 8 hex: number | ~ | 16 hex: nanoseconds sent   | ~ | xxx ... |
//	+------+---------------+---+----------------------------+---+---------+
//	 0      4               12  13                           29  30
//
// None of its bytes is escaped in JSON, so it looks the same in the request and
// in every frame made from it, wherever the server puts the data field.
type Stamp struct {
	Sequence  uint32 // 1 for the first event of a population
	SentNanos int64  // on the host's monotonic clock
}

// StampBytes is the length of an encoded Stamp, hence of the shortest event data.
const StampBytes = 30

// MaxPayloadBytes is the longest event data the generator makes. Frames with it
// stay below MaxFrameBytes.
const MaxPayloadBytes = 64 << 10

const stampMark = "~rb~"

// CheckPayloadBytes reports a size of event data that cannot be made.
func CheckPayloadBytes(size int) error {
	if size < StampBytes || size > MaxPayloadBytes {
		return fmt.Errorf("payload of %d bytes is outside %d to %d", size, StampBytes, MaxPayloadBytes)
	}
	return nil
}

// AppendStamped appends event data of size bytes that carries s to dst. size is at
// least StampBytes.
func AppendStamped(dst []byte, s Stamp, size int) []byte {
	dst = append(dst, stampMark...)
	dst = appendHex(dst, uint64(s.Sequence), 8)
	dst = append(dst, '~')
	dst = appendHex(dst, uint64(s.SentNanos), 16)
	dst = append(dst, '~')
	for i := StampBytes; i < size; i++ {
		dst = append(dst, 'x')
	}
	return dst
}

// StampReader finds stamps in payloads. Frames of one server have the stamp at
// the same place, so it looks first where the last one was. Owned by one caller.
type StampReader struct {
	offset int
}

// Read returns the stamp inside payload, and false when there is none.
func (r *StampReader) Read(payload []byte) (Stamp, bool) {
	// Fast path: same place as before.
	if s, ok := stampAt(payload, r.offset); ok {
		return s, true
	}
	offset := bytes.Index(payload, []byte(stampMark))
	if offset < 0 {
		return Stamp{}, false
	}
	s, ok := stampAt(payload, offset)
	if ok {
		r.offset = offset
	}
	return s, ok
}

func stampAt(payload []byte, offset int) (Stamp, bool) {
	if len(payload) < offset+StampBytes {
		return Stamp{}, false
	}
	b := payload[offset : offset+StampBytes]
	if string(b[:4]) != stampMark || b[12] != '~' || b[29] != '~' {
		return Stamp{}, false
	}
	sequence, ok := parseHex(b[4:12])
	if !ok {
		return Stamp{}, false
	}
	sent, ok := parseHex(b[13:29])
	return Stamp{Sequence: uint32(sequence), SentNanos: int64(sent)}, ok
}

const hexDigits = "0123456789abcdef"

func appendHex(dst []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, hexDigits[v>>(4*i)&0xF])
	}
	return dst
}

func parseHex(b []byte) (uint64, bool) {
	var v uint64
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
