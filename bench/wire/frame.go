package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes of the frames a client meets.
//
// RFC 6455 section 5.2.
const (
	OpText   = 0x1
	OpBinary = 0x2
	OpClose  = 0x8
	OpPing   = 0x9
	OpPong   = 0xA
)

// MaxFrameBytes is the longest frame, header included, that Next accepts. It
// bounds what one connection of a misbehaving server can make the client keep, and
// is enough for the roster of 20,000 members.
const MaxFrameBytes = 1 << 20

const (
	bitFin   = 0x80
	bitMask  = 0x80
	bitsRSV  = 0x70
	length16 = 126
	length64 = 127
)

// Errors of Next. They mean the server broke the protocol or negotiated
// something the client did not ask for; the connection is of no further use.
var (
	ErrMasked     = errors.New("server frame is masked")
	ErrReserved   = errors.New("server frame uses reserved bits without an extension")
	ErrFragmented = errors.New("server message is fragmented")
)

// Frame is one WebSocket frame. Valid as long as the bytes it was read from.
type Frame struct {
	Opcode  byte
	Payload []byte
	Bytes   int // header and payload; 0 means the frame is not complete yet
}

// Next reads the first frame of b. A Frame with Bytes 0 and no error means that
// b ends inside the frame: call again with the same bytes and more behind them.
// It looks at the header only. O(1).
//
// RFC 6455 section 5.1: a server must not mask.
func Next(b []byte) (Frame, error) {
	if len(b) < 2 {
		return Frame{}, nil
	}
	switch {
	case b[0]&bitsRSV != 0:
		return Frame{}, ErrReserved
	case b[1]&bitMask != 0:
		return Frame{}, ErrMasked
	case b[0]&bitFin == 0 || b[0]&0x0F == 0:
		return Frame{}, ErrFragmented
	}
	header, length := 2, int(b[1])
	switch length {
	case length16:
		if header = 4; len(b) < header {
			return Frame{}, nil
		}
		length = int(binary.BigEndian.Uint16(b[2:]))
	case length64:
		if header = 10; len(b) < header {
			return Frame{}, nil
		}
		// Compared before the conversion, so that no length can wrap around.
		if long := binary.BigEndian.Uint64(b[2:]); long > MaxFrameBytes {
			return Frame{}, fmt.Errorf("frame of %d bytes exceeds limit %d", long, MaxFrameBytes)
		}
		length = int(binary.BigEndian.Uint64(b[2:]))
	}
	total := header + length
	if total > MaxFrameBytes {
		return Frame{}, fmt.Errorf("frame of %d bytes exceeds limit %d", total, MaxFrameBytes)
	}
	if len(b) < total {
		return Frame{}, nil
	}
	return Frame{Opcode: b[0] & 0x0F, Payload: b[header:total], Bytes: total}, nil
}

// AppendFrame appends an unmasked frame, as a server sends it, to dst.
func AppendFrame(dst []byte, opcode byte, payload []byte) []byte {
	return append(appendHeader(dst, opcode, 0, len(payload)), payload...)
}

// AppendMasked appends a masked frame, as a client sends it, to dst.
//
// RFC 6455 section 5.3: a client masks every frame.
func AppendMasked(dst []byte, opcode byte, payload []byte, key uint32) []byte {
	dst = appendHeader(dst, opcode, bitMask, len(payload))
	mask := [4]byte(binary.BigEndian.AppendUint32(nil, key))
	dst = append(dst, mask[:]...)
	for i, c := range payload {
		dst = append(dst, c^mask[i&3])
	}
	return dst
}

// Unmask reads the first frame of b, which a client sent, and unmasks its payload
// in place. It reports false when b does not begin with a whole masked frame of at
// most 65,535 bytes.
//
// RFC 6455 section 5.3.
func Unmask(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < 6 || b[1]&bitMask == 0 {
		return nil, nil, false
	}
	header, length := 2, int(b[1]&^bitMask)
	switch length {
	case length16:
		header, length = 4, int(binary.BigEndian.Uint16(b[2:]))
	case length64:
		return nil, nil, false
	}
	if len(b) < header+4+length {
		return nil, nil, false
	}
	mask := b[header : header+4]
	payload = b[header+4 : header+4+length]
	for i := range payload {
		payload[i] ^= mask[i&3]
	}
	return payload, b[header+4+length:], true
}

func appendHeader(dst []byte, opcode, mask byte, length int) []byte {
	dst = append(dst, bitFin|opcode)
	switch {
	case length < length16:
		return append(dst, mask|byte(length))
	case length <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, mask|length16), uint16(length))
	default:
		return binary.BigEndian.AppendUint64(append(dst, mask|length64), uint64(length))
	}
}
