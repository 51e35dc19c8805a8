package frame

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// MaxHeaderBytes is the longest header of a masked frame.
const MaxHeaderBytes = ws.MaxHeaderSize

// Reader turns the frames of one client into messages. Its zero value refuses
// every message that is not empty: set MaxMessageBytes. Owned by one connection.
type Reader struct {
	MaxMessageBytes uint32 // of a whole message, over all its fragments, inflated
	Deflates        bool   // the client may send compressed messages

	partial *partial // non-nil inside a fragmented message
}

type partial struct {
	text     bool
	deflated bool
	payload  []byte
	valid    int // bytes of a text known to be whole characters
}

// append adds a fragment. A text that can no longer become valid is refused
// without waiting for its end.
//
// RFC 6455 section 8.1.
func (p *partial) append(fragment []byte, last bool) *CloseError {
	p.payload = append(p.payload, fragment...)
	if !p.text || p.deflated {
		return nil
	}
	end := len(p.payload)
	if !last {
		end = wholeRunes(p.payload, p.valid)
	}
	if !utf8.Valid(p.payload[p.valid:end]) {
		return errTextUTF8
	}
	p.valid = end
	return nil
}

// wholeRunes returns where a character begins that the end of b cuts, len(b) if
// none is cut. Bytes before from are left out.
func wholeRunes(b []byte, from int) int {
	for i := len(b) - 1; i >= max(from, len(b)-utf8.UTFMax+1); i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				break
			}
			return i
		}
	}
	return len(b)
}

// Header is the parsed header of a frame.
type Header struct {
	frame ws.Header
	Size  int // bytes of the header itself
	Total int // bytes of header and body
}

// Header parses and checks the header at the start of view, which should hold
// up to MaxHeaderBytes. ok is false while more bytes are needed. An error means
// that the connection must be closed with it, whatever follows.
//
// RFC 6455 section 5.2.
func (r *Reader) Header(view []byte) (h Header, ok bool, err *CloseError) {
	if len(view) < 2 {
		return Header{}, false, nil
	}
	f := &h.frame
	f.Fin = view[0]&0x80 != 0
	f.Rsv = view[0] >> 4 & 7
	f.OpCode = ws.OpCode(view[0] & 15)
	f.Masked = view[1]&0x80 != 0
	f.Length = int64(view[1] & 0x7f)

	// What the first two bytes give away is refused without waiting for more.
	// Control frames with an extended length are caught here too.
	if err := r.check(f); err != nil {
		return Header{}, false, err
	}
	n := 2
	switch f.Length {
	case 126:
		if len(view) < 4 {
			return Header{}, false, nil
		}
		f.Length = int64(binary.BigEndian.Uint16(view[2:]))
		if f.Length < 126 {
			return Header{}, false, errLength
		}
		n = 4
	case 127:
		if len(view) < 10 {
			return Header{}, false, nil
		}
		length := binary.BigEndian.Uint64(view[2:])
		if length < 1<<16 || length >= 1<<63 {
			return Header{}, false, errLength
		}
		f.Length = int64(length)
		n = 10
	}
	if f.OpCode.IsData() && f.Length > r.room(f.Rsv != 0) {
		return Header{}, false, errTooBig
	}
	if len(view) < n+4 {
		return Header{}, false, nil
	}
	copy(f.Mask[:], view[n:])
	h.Size = n + 4
	h.Total = h.Size + int(f.Length)
	return h, true, nil
}

// room is how many bytes the message may still grow by. What does not compress
// becomes a little longer.
func (r *Reader) room(deflated bool) int64 {
	room := int64(r.MaxMessageBytes)
	if deflated || r.partial != nil && r.partial.deflated {
		room += room/1024 + 64
	}
	if r.partial != nil {
		room -= int64(len(r.partial.payload))
	}
	return room
}

func (r *Reader) check(f *ws.Header) *CloseError {
	state := ws.StateServerSide
	if r.partial != nil {
		state = state.Set(ws.StateFragmented)
	}
	h := *f
	if r.Deflates && (h.OpCode == ws.OpText || h.OpCode == ws.OpBinary) {
		h.Rsv &^= rsv1 >> 4 // RFC 7692 section 6.1: on the first frame of a message
	}
	switch ws.CheckHeader(h, state) {
	case nil:
		return nil
	case ws.ErrProtocolOpCodeReserved:
		return errOpcode
	case ws.ErrProtocolControlPayloadOverflow:
		return errControlSize
	case ws.ErrProtocolControlNotFinal:
		return errControlCut
	case ws.ErrProtocolNonZeroRsv:
		return errReservedBits
	case ws.ErrProtocolMaskRequired:
		return errUnmasked
	case ws.ErrProtocolContinuationExpected:
		return errInterleaved
	case ws.ErrProtocolContinuationUnexpected:
		return errContinuation
	default:
		return errHeader
	}
}

// Kind says what a frame completed.
type Kind uint8

const (
	None    Kind = iota // a fragment; the message goes on
	Message             // a whole text or binary message
	Ping
	Pong
	Close
)

// Event is what a frame means. Payload is a view, except for fragmented and
// compressed messages, where it belongs to the caller.
type Event struct {
	Kind    Kind
	Text    bool   // Message: text rather than binary
	Code    int    // Close: CloseNoStatus when the peer sent none
	Payload []byte // Message, Ping, Pong: the payload; Close: the reason
}

// Frame reads the body of a frame whose header Header returned. body is its
// Total - Size bytes and is unmasked in place: pass each body once.
//
// RFC 6455 sections 5.3 to 5.6 and 8.1.
func (r *Reader) Frame(h Header, body []byte) (Event, *CloseError) {
	f := &h.frame
	ws.Cipher(body, f.Mask, 0)
	switch f.OpCode {
	case ws.OpPing:
		return Event{Kind: Ping, Payload: body}, nil
	case ws.OpPong:
		return Event{Kind: Pong, Payload: body}, nil
	case ws.OpClose:
		code, reason, err := parseClose(body)
		if err != nil {
			return Event{}, err
		}
		return Event{Kind: Close, Code: code, Payload: reason}, nil
	case ws.OpContinuation:
		p := r.partial
		if err := p.append(body, f.Fin); err != nil {
			return Event{}, err
		}
		if !f.Fin {
			return Event{}, nil
		}
		r.partial = nil
		if p.deflated {
			return r.inflated(p.text, p.payload)
		}
		return Event{Kind: Message, Text: p.text, Payload: p.payload}, nil
	}
	text, deflated := f.OpCode == ws.OpText, f.Rsv != 0
	if f.Fin {
		if deflated {
			return r.inflated(text, body)
		}
		return message(text, body)
	}
	r.partial = &partial{text: text, deflated: deflated}
	return Event{}, r.partial.append(body, false)
}

// inflated is message for a compressed payload. What it returns belongs to the
// caller.
func (r *Reader) inflated(text bool, payload []byte) (Event, *CloseError) {
	payload, err := inflate(payload, r.MaxMessageBytes)
	if err != nil {
		return Event{}, err
	}
	return message(text, payload)
}

func message(text bool, payload []byte) (Event, *CloseError) {
	if text && !utf8.Valid(payload) {
		return Event{}, errTextUTF8
	}
	return Event{Kind: Message, Text: text, Payload: payload}, nil
}

// Fragmented reports whether a fragmented message is under way. A Reader in which
// none is holds nothing but its limit.
func (r *Reader) Fragmented() bool { return r.partial != nil }

// Buffered is the number of bytes held of an unfinished message.
func (r *Reader) Buffered() int {
	if r.partial == nil {
		return 0
	}
	return len(r.partial.payload)
}
