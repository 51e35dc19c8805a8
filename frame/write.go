package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// HeaderRoom is the space to leave before a payload that Seal will head.
const HeaderRoom = 10

// Seal makes a final text frame of buf[HeaderRoom:] by writing the header right
// before it, and returns the frame, which shares memory with buf. So a payload
// is built once, in place, whatever length it turns out to have.
//
// RFC 6455 section 5.1: a server does not mask.
func Seal(buf []byte) []byte {
	n := len(buf) - HeaderRoom
	var h [HeaderRoom]byte
	head := appendHeader(h[:0], ws.OpText, n)
	start := HeaderRoom - len(head)
	copy(buf[start:], head)
	return buf[start:]
}

// Payload returns the payload of a frame that Seal or AppendText made, as a view.
func Payload(frame []byte) []byte {
	switch frame[1] {
	case 126:
		return frame[4:]
	case 127:
		return frame[10:]
	}
	return frame[2:]
}

// AppendText appends a final text frame with the payload.
func AppendText(dst, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpText, len(payload)), payload...)
}

// AppendBinary appends a final binary frame with the payload.
func AppendBinary(dst, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpBinary, len(payload)), payload...)
}

// AppendPing appends a ping frame. payload is cut at 125 bytes.
func AppendPing(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPing, payload)
}

// AppendPong appends a pong frame. payload is cut at 125 bytes.
func AppendPong(dst, payload []byte) []byte {
	return appendControl(dst, ws.OpPong, payload)
}

// AppendClose appends a close frame. CloseNoStatus makes one without a body. The
// reason is cut at a character's end to fit a control frame.
//
// RFC 6455 section 5.5.1.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code == CloseNoStatus {
		return appendHeader(dst, ws.OpClose, 0)
	}
	if len(reason) > maxReasonBytes {
		end := maxReasonBytes
		for end > 0 && !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	dst = appendHeader(dst, ws.OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// appendHeader appends the header of a final, unmasked frame.
//
// RFC 6455 section 5.2: the length takes its shortest form.
func appendHeader(dst []byte, op ws.OpCode, n int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
}
