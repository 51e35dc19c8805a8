package frame

import (
	"bytes"
	"compress/flate"
	"io"
	"sync"

	"github.com/gobwas/ws"
)

// MinDeflateBytes is the length below which compressing a payload is not worth
// the client's trouble.
const MinDeflateBytes = 128

// deflateName is the only extension there is.
const deflateName = "permessage-deflate"

// deflateAnswer accepts an offer. Neither side keeps a window between messages:
// one compressed frame then serves every connection, and a connection costs no
// memory.
//
// RFC 7692 sections 7.1.1.1 and 7.1.1.2: the server may ask for both unasked.
const deflateAnswer = "Sec-WebSocket-Extensions: " + deflateName + "; server_no_context_takeover; client_no_context_takeover"

// offer is what of the client's offers can be accepted.
type offer uint8

const (
	noOffer offer = iota
	plainOffer
	windowOffer // it wants to hear that the server's window has 15 bits
)

// readOffers takes the first acceptable offer of a Sec-WebSocket-Extensions value.
//
// RFC 7692 section 7.1: an offer with a parameter that is unknown, repeated or
// malformed is declined, and the next one is looked at.
func readOffers(value []byte) offer {
	for len(value) > 0 {
		var one []byte
		one, value, _ = bytes.Cut(value, comma)
		if o := readOffer(one); o != noOffer {
			return o
		}
	}
	return noOffer
}

func readOffer(one []byte) offer {
	name, rest, _ := bytes.Cut(one, semicolon)
	if !equalFold(bytes.Trim(name, " \t"), deflateName) {
		return noOffer
	}
	accepted := plainOffer
	seen := 0
	for len(rest) > 0 {
		var parameter []byte
		parameter, rest, _ = bytes.Cut(rest, semicolon)
		key, value, valued := bytes.Cut(parameter, equals)
		key, value = bytes.Trim(key, " \t"), bytes.Trim(bytes.Trim(value, " \t"), `"`)
		bit := 0
		switch {
		case equalFold(key, "server_no_context_takeover") && !valued:
			bit = 1
		case equalFold(key, "client_no_context_takeover") && !valued:
			bit = 2
		case equalFold(key, "client_max_window_bits") && (!valued || isWindow(value)):
			bit = 4 // any window of the client's can be read
		case equalFold(key, "server_max_window_bits") && string(value) == "15":
			bit, accepted = 8, windowOffer // a smaller one cannot be written
		}
		if bit == 0 || seen&bit != 0 {
			return noOffer
		}
		seen |= bit
	}
	return accepted
}

var (
	semicolon = []byte(";")
	equals    = []byte("=")
)

// isWindow reports whether b is 8 to 15.
func isWindow(b []byte) bool {
	return len(b) == 1 && (b[0] == '8' || b[0] == '9') || len(b) == 2 && b[0] == '1' && '0' <= b[1] && b[1] <= '5'
}

// AppendDeflated appends a final text frame whose payload is compressed. ok is
// false, and nothing is appended, when that would not make it shorter.
//
// RFC 7692 section 7.2.1.
func AppendDeflated(dst, payload []byte) (out []byte, ok bool) {
	if len(payload) < MinDeflateBytes {
		return dst, false
	}
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.writer.Reset(&d.out)
	// Writing to memory does not fail.
	_, _ = d.writer.Write(payload)
	_ = d.writer.Flush()
	short := bytes.TrimSuffix(d.out.Bytes(), flushTail)
	if len(short) >= len(payload) {
		return dst, false
	}
	start := len(dst)
	dst = appendHeader(dst, ws.OpText, len(short))
	dst[start] |= rsv1
	return append(dst, short...), true
}

// rsv1 marks the first frame of a compressed message.
const rsv1 = 0x40

// flushTail ends what a flush writes, and is left out of messages.
var flushTail = []byte{0, 0, 0xff, 0xff}

// deflater makes compressed payloads, each on its own. The fastest level: events
// are short, and every one is compressed while somebody waits.
type deflater struct {
	out    bytes.Buffer
	writer *flate.Writer
}

// A deflater is half a megabyte: they are shared.
var deflaters = sync.Pool{New: func() any {
	d := &deflater{}
	d.writer, _ = flate.NewWriter(&d.out, flate.BestSpeed) // the level exists
	return d
}}

// inflater reads compressed payloads.
type inflater struct {
	in     tailed
	reader io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	i := &inflater{}
	i.reader = flate.NewReader(&i.in)
	return i
}}

// inflate returns what a compressed payload stands for, at most limit bytes.
//
// RFC 7692 section 7.2.2.
func inflate(payload []byte, limit uint32) ([]byte, *CloseError) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.in = tailed{payload, inflateTail}
	defer func() { i.in = tailed{} }()
	if err := i.reader.(flate.Resetter).Reset(&i.in, nil); err != nil {
		return nil, errDeflated
	}
	var out bytes.Buffer
	n, err := out.ReadFrom(io.LimitReader(i.reader, int64(limit)+1))
	switch {
	case n > int64(limit): // Whatever it would have become.
		return nil, errTooBig
	case err != nil:
		return nil, errDeflated
	}
	return out.Bytes(), nil
}

// inflateTail is what the sender left out, and an empty last block.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// tailed reads a payload and what follows it. It reads bytes one by one, too:
// otherwise a buffer would be put around it.
type tailed struct {
	payload []byte
	tail    string
}

func (t *tailed) Read(b []byte) (int, error) {
	n := copy(b, t.payload)
	t.payload = t.payload[n:]
	if n == 0 {
		n = copy(b, t.tail)
		t.tail = t.tail[n:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (t *tailed) ReadByte() (byte, error) {
	var b [1]byte
	_, err := t.Read(b[:])
	return b[0], err
}
