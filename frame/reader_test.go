package frame_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"resound/frame"
)

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa

	fin = 0x80
)

var mask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// client makes a client's frame. first is the opcode with the bits beside it.
func client(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// closing makes a client's close frame.
func closing(code int, reason string) []byte {
	return client(fin|opClose, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

// stream is what a client sends and what it means.
type stream struct {
	name, source string
	limit        uint32
	frames       [][]byte
	want         []string // events, and last the error if there is one
}

const protocolError = "error 1002 "

// streams is read whole, in pieces of several sizes, and as fuzz seeds.
var streams = []stream{
	{"the masked hello of the RFC", "RFC 6455 section 5.7", 100, [][]byte{
		{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58},
	}, []string{"text Hello"}},
	{"empty message", "RFC 6455 section 5.2", 0, [][]byte{client(fin|opText, "")}, []string{"text "}},
	{"binary need not be UTF-8", "RFC 6455 section 5.6", 100, [][]byte{client(fin|opBinary, "\xff\xfe")}, []string{"binary \xff\xfe"}},
	{"125 bytes, the longest 7-bit length", "RFC 6455 section 5.2", 200, [][]byte{client(fin|opText, repeat(125))}, []string{"text " + repeat(125)}},
	{"126 bytes, the shortest 16-bit length", "RFC 6455 section 5.2", 200, [][]byte{client(fin|opText, repeat(126))}, []string{"text " + repeat(126)}},
	{"65535 bytes, the longest 16-bit length", "RFC 6455 section 5.2", 1 << 17, [][]byte{client(fin|opText, repeat(65535))}, []string{"text " + repeat(65535)}},
	{"65536 bytes, the shortest 64-bit length", "RFC 6455 section 5.2", 1 << 17, [][]byte{client(fin|opText, repeat(65536))}, []string{"text " + repeat(65536)}},
	{
		"16-bit length that fits 7 bits", "RFC 6455 section 5.2", 200,
		[][]byte{{0x81, 0xfe, 0, 125}},
		[]string{protocolError + "length not in its shortest form"},
	},
	{
		"64-bit length that fits 16 bits", "RFC 6455 section 5.2", 1 << 17,
		[][]byte{{0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff}},
		[]string{protocolError + "length not in its shortest form"},
	},
	{
		"64-bit length with the most significant bit", "RFC 6455 section 5.2", 1 << 17,
		[][]byte{{0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0}},
		[]string{protocolError + "length not in its shortest form"},
	},
	{
		"length of 63 bits is too much, not malformed", "RFC 6455 section 7.4.1", 1 << 31,
		[][]byte{{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		[]string{tooBig},
	},

	{"first reserved bit", "RFC 6455 section 5.2", 100, [][]byte{client(fin|0x40|opText, "")}, []string{protocolError + "reserved bits must be zero"}},
	{"second reserved bit", "RFC 6455 section 5.2", 100, [][]byte{client(fin|0x20|opText, "")}, []string{protocolError + "reserved bits must be zero"}},
	{"third reserved bit on a ping", "RFC 6455 section 5.2", 100, [][]byte{client(fin|0x10|opPing, "")}, []string{protocolError + "reserved bits must be zero"}},
	{"opcode 3", "RFC 6455 section 5.2", 100, [][]byte{client(fin|3, "")}, []string{protocolError + "reserved opcode"}},
	{"opcode 7", "RFC 6455 section 5.2", 100, [][]byte{client(fin|7, "")}, []string{protocolError + "reserved opcode"}},
	{"opcode 11", "RFC 6455 section 5.2", 100, [][]byte{client(fin|11, "")}, []string{protocolError + "reserved opcode"}},
	{"opcode 15", "RFC 6455 section 5.2", 100, [][]byte{client(fin|15, "")}, []string{protocolError + "reserved opcode"}},
	{"unmasked", "RFC 6455 section 5.1", 100, [][]byte{{0x81, 0x01, 'a'}}, []string{protocolError + "frames from a client must be masked"}},
	{"unmasked is seen in two bytes", "RFC 6455 section 5.1", 100, [][]byte{{0x81, 0x7f}}, []string{protocolError + "frames from a client must be masked"}},

	{"ping of 125 bytes", "RFC 6455 section 5.5", 0, [][]byte{client(fin|opPing, repeat(125))}, []string{"ping " + repeat(125)}},
	{"ping of 126 bytes", "RFC 6455 section 5.5", 1000, [][]byte{{fin | opPing, 0xfe}}, []string{protocolError + "control frames carry at most 125 bytes"}},
	{"close with a 64-bit length", "RFC 6455 section 5.5", 1000, [][]byte{{fin | opClose, 0xff}}, []string{protocolError + "control frames carry at most 125 bytes"}},
	{"fragmented ping", "RFC 6455 section 5.5", 100, [][]byte{client(opPing, "a")}, []string{protocolError + "control frames must not be fragmented"}},
	{"fragmented close", "RFC 6455 section 5.5", 100, [][]byte{client(opClose, "")}, []string{protocolError + "control frames must not be fragmented"}},
	{"unasked pong", "RFC 6455 section 5.5.3", 0, [][]byte{client(fin|opPong, "x")}, []string{"pong x"}},

	{"two fragments", "RFC 6455 section 5.4", 100, [][]byte{client(opText, "Hel"), client(fin|opContinuation, "lo")}, []string{"text Hello"}},
	{"fragments that are empty", "RFC 6455 section 5.4", 100, [][]byte{
		client(opText, ""), client(opContinuation, ""), client(opContinuation, "a"), client(fin|opContinuation, ""),
	}, []string{"text a"}},
	{"fragments of a binary message", "RFC 6455 section 5.4", 100, [][]byte{client(opBinary, "\xff"), client(fin|opContinuation, "\xfe")}, []string{"binary \xff\xfe"}},
	{"control frames between fragments", "RFC 6455 section 5.4", 100, [][]byte{
		client(opText, "Hel"), client(fin|opPing, "p"), client(fin|opPong, ""), client(fin|opContinuation, "lo"), client(fin|opText, "next"),
	}, []string{"ping p", "pong ", "text Hello", "text next"}},
	{"close between fragments", "RFC 6455 section 5.4", 100, [][]byte{client(opText, "Hel"), closing(1000, "")}, []string{"close 1000 "}},
	{"continuation of nothing", "RFC 6455 section 5.4", 100, [][]byte{client(fin|opContinuation, "a")}, []string{protocolError + "continuation without a message"}},
	{"continuation after a message ended", "RFC 6455 section 5.4", 100, [][]byte{
		client(opText, "a"), client(fin|opContinuation, "b"), client(opContinuation, "c"),
	}, []string{"text ab", protocolError + "continuation without a message"}},
	{"message inside a message", "RFC 6455 section 5.4", 100, [][]byte{
		client(opText, "a"), client(fin|opText, "b"),
	}, []string{protocolError + "new message inside a fragmented one"}},

	{"exactly the limit", "Reader.MaxMessageBytes", 5, [][]byte{client(fin|opText, "12345")}, []string{"text 12345"}},
	{"one byte over the limit, by the header alone", "Reader.MaxMessageBytes", 5, [][]byte{{0x81, 0x86}}, []string{tooBig}},
	{"over the limit by an extended header alone", "Reader.MaxMessageBytes", 200, [][]byte{{0x81, 0xfe, 0, 201}}, []string{tooBig}},
	{"fragments exactly the limit", "Reader.MaxMessageBytes", 5, [][]byte{client(opText, "123"), client(fin|opContinuation, "45")}, []string{"text 12345"}},
	{"fragments over the limit in sum", "Reader.MaxMessageBytes", 5, [][]byte{client(opText, "123"), {0x80, 0x83}}, []string{tooBig}},
	{"a full message leaves room for empty fragments", "Reader.MaxMessageBytes", 5, [][]byte{client(opText, "12345"), client(fin|opContinuation, "")}, []string{"text 12345"}},
	{"the limit counts each message anew", "Reader.MaxMessageBytes", 3, [][]byte{
		client(opText, "12"), client(fin|opContinuation, "3"), client(fin|opText, "456"),
	}, []string{"text 123", "text 456"}},
	{"control frames do not count against the limit", "RFC 6455 section 5.5", 1, [][]byte{client(fin|opPing, "12345")}, []string{"ping 12345"}},

	{"text of every length of rune", "RFC 6455 section 8.1", 100, [][]byte{client(fin|opText, "aé€😀")}, []string{"text aé€😀"}},
	{"overlong encoding", "RFC 3629 section 3", 100, [][]byte{client(fin|opText, "\xc0\xaf")}, []string{invalidUTF8}},
	{"surrogate", "RFC 3629 section 3", 100, [][]byte{client(fin|opText, "\xed\xa0\x80")}, []string{invalidUTF8}},
	{"beyond the last code point", "RFC 3629 section 3", 100, [][]byte{client(fin|opText, "\xf4\x90\x80\x80")}, []string{invalidUTF8}},
	{"rune cut at the end", "RFC 6455 section 8.1", 100, [][]byte{client(fin|opText, "a\xe2\x82")}, []string{invalidUTF8}},
	{"rune cut by fragments is whole again", "RFC 6455 section 5.6", 100, [][]byte{
		client(opText, "\xf0\x9f"), client(opContinuation, "\x98"), client(fin|opContinuation, "\x80"),
	}, []string{"text 😀"}},
	{"rune cut by fragments and never finished", "RFC 6455 section 8.1", 100, [][]byte{
		client(opText, "\xf0\x9f"), client(fin|opContinuation, "x"),
	}, []string{invalidUTF8}},

	{"close without a body", "RFC 6455 section 7.1.5", 0, [][]byte{client(fin|opClose, "")}, []string{"close 1005 "}},
	{"close with one byte", "RFC 6455 section 5.5.1", 0, [][]byte{client(fin|opClose, "\x03")}, []string{protocolError + "malformed close frame"}},
	{"close with a reason", "RFC 6455 section 5.5.1", 0, [][]byte{closing(1001, "going é")}, []string{"close 1001 going é"}},
	{"close with the longest reason", "RFC 6455 section 5.5", 0, [][]byte{closing(1000, repeat(123))}, []string{"close 1000 " + repeat(123)}},
	{"close with a reason that is not UTF-8", "RFC 6455 section 7.1.6", 0, [][]byte{closing(1000, "\xff")}, []string{"error 1007 close reason is not valid UTF-8"}},
	{"nothing is read after a close", "RFC 6455 section 5.5.1", 100, [][]byte{closing(1000, ""), client(fin|opText, "late")}, []string{"close 1000 "}},
}

const (
	tooBig      = "error 1009 Maximum message size exceeded"
	invalidUTF8 = "error 1007 text is not valid UTF-8"
)

func repeat(n int) string { return strings.Repeat("*", n) }

// read drives a Reader as a connection does: a header as soon as there may be
// one, then the frame once it is complete. The stream comes in pieces.
func read(limit uint32, pieces [][]byte) (events []string) {
	r := frame.Reader{MaxMessageBytes: limit}
	var buf []byte
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			h, ok, fail := r.Header(buf[:min(len(buf), frame.MaxHeaderBytes)])
			if fail != nil {
				return append(events, fmt.Sprintf("error %d %s", fail.Code, fail.Reason))
			}
			if !ok || len(buf) < h.Total {
				break
			}
			e, fail := r.Frame(h, buf[h.Size:h.Total])
			if fail != nil {
				return append(events, fmt.Sprintf("error %d %s", fail.Code, fail.Reason))
			}
			switch e.Kind {
			case frame.None:
			case frame.Message:
				kind := "binary "
				if e.Text {
					kind = "text "
				}
				events = append(events, kind+string(e.Payload))
			case frame.Ping:
				events = append(events, "ping "+string(e.Payload))
			case frame.Pong:
				events = append(events, "pong "+string(e.Payload))
			case frame.Close:
				return append(events, fmt.Sprintf("close %d %s", e.Code, e.Payload))
			}
			buf = buf[h.Total:]
		}
	}
	return events
}

// pieces cuts b into pieces of n bytes. It copies b.
func pieces(b []byte, n int) [][]byte {
	return slices.Collect(slices.Chunk(bytes.Clone(b), n))
}

func TestReader(t *testing.T) {
	for _, row := range streams {
		t.Run(row.name, func(t *testing.T) {
			whole := bytes.Join(row.frames, nil)
			for _, n := range []int{len(whole), 1, 2, 3, 7, 14, 1000} {
				if got := read(row.limit, pieces(whole, n)); !slices.Equal(got, row.want) {
					t.Errorf("in pieces of %d bytes: got %.200q, want %.200q (%s)", n, got, row.want, row.source)
				}
			}
		})
	}
}

// TestCloseCodes goes through all 65,536 codes a close frame can hold.
//
// RFC 6455 sections 7.4.1 and 7.4.2.
func TestCloseCodes(t *testing.T) {
	valid := func(code int) bool {
		switch {
		case code >= 3000 && code <= 4999:
			return true
		case code >= 1000 && code <= 1003, code >= 1007 && code <= 1011:
			return true
		}
		return false // 1004, 1005, 1006 and 1015 are never sent; the rest is undefined
	}
	for code := range 1 << 16 {
		want := protocolError + "malformed close frame"
		if valid(code) {
			want = fmt.Sprintf("close %d x", code)
		}
		if got := read(0, [][]byte{closing(code, "x")}); !slices.Equal(got, []string{want}) {
			t.Errorf("code %d: got %q, want %q", code, got, want)
		}
	}
}

func TestBuffered(t *testing.T) {
	r := frame.Reader{MaxMessageBytes: 100}
	for i, step := range []struct {
		frame []byte
		want  int
	}{
		{client(opText, "abc"), 3},
		{client(fin|opPing, "xyz"), 3},
		{client(opContinuation, "de"), 5},
		{client(fin|opContinuation, "f"), 0},
		{client(fin|opText, "abc"), 0},
	} {
		h, ok, fail := r.Header(step.frame)
		if !ok || fail != nil {
			t.Fatalf("frame %d: %v %v", i, ok, fail)
		}
		if _, fail := r.Frame(h, step.frame[h.Size:h.Total]); fail != nil {
			t.Fatalf("frame %d: %v", i, fail)
		}
		if got := r.Buffered(); got != step.want {
			t.Errorf("after frame %d: got %d bytes, want %d", i, got, step.want)
		}
	}
}

// TestFragmentsAreCopied holds a fragment's bytes against their later reuse.
func TestFragmentsAreCopied(t *testing.T) {
	r := frame.Reader{MaxMessageBytes: 100}
	var got frame.Event
	for _, f := range [][]byte{client(opText, "Hel"), client(fin|opContinuation, "lo")} {
		h, _, _ := r.Header(f)
		got, _ = r.Frame(h, f[h.Size:h.Total])
		clear(f)
	}
	if string(got.Payload) != "Hello" {
		t.Errorf("got %q, want %q", got.Payload, "Hello")
	}
}

// FuzzHeader compares Header with gobwas/ws, which reads a header from a stream
// and judges it afterwards, and checks that more bytes never change a verdict.
func FuzzHeader(f *testing.F) {
	for _, row := range streams {
		for _, b := range row.frames {
			f.Add(b[:min(len(b), frame.MaxHeaderBytes)], row.limit, false)
			f.Add(b[:min(len(b), frame.MaxHeaderBytes)], row.limit, true)
		}
	}
	f.Fuzz(func(t *testing.T, view []byte, limit uint32, fragmented bool) {
		r := frame.Reader{MaxMessageBytes: limit}
		state := ws.StateServerSide
		if fragmented {
			first := client(opText, "")
			h, _, _ := r.Header(first)
			_, _ = r.Frame(h, first[h.Size:])
			state = state.Set(ws.StateFragmented)
		}

		view = view[:min(len(view), frame.MaxHeaderBytes)]
		got, ok, fail := r.Header(view)
		if ok && fail != nil {
			t.Fatalf("both a header and %v", fail)
		}
		decided := false
		for n := range len(view) {
			h, hOK, hFail := r.Header(view[:n])
			if decided && !hOK && hFail == nil {
				t.Fatalf("%d bytes take back a verdict", n)
			}
			if hOK || hFail != nil {
				decided = true
				if h != got || hOK != ok || hFail != fail {
					t.Fatalf("%d bytes: %+v %v %v; %d bytes: %+v %v %v", n, h, hOK, hFail, len(view), got, ok, fail)
				}
			}
		}

		want, err := ws.ReadHeader(bytes.NewReader(view))
		if err != nil {
			if ok {
				t.Fatalf("got %+v, gobwas/ws %v", got, err)
			}
			return
		}
		length := int(view[1] & 0x7f)
		shortest := length < 126 || length == 126 && want.Length >= 126 || length == 127 && want.Length >= 1<<16
		legal := ws.CheckHeader(want, state) == nil && shortest && (want.OpCode.IsControl() || want.Length <= int64(limit))
		if ok != legal {
			t.Fatalf("got %v %v, want accepted %v: %+v", ok, fail, legal, want)
		}
		if ok && (got.Size != ws.HeaderSize(want) || int64(got.Total) != int64(got.Size)+want.Length) {
			t.Fatalf("got %d of %d bytes, want %d of %d", got.Size, got.Total, ws.HeaderSize(want), int64(ws.HeaderSize(want))+want.Length)
		}
	})
}

// FuzzReaderSplits checks that a stream means the same however it is cut. Each
// byte of cuts is the length of a piece, over and over; 0 is 256.
func FuzzReaderSplits(f *testing.F) {
	for _, row := range streams {
		if whole := bytes.Join(row.frames, nil); len(whole) < 1000 {
			f.Add(whole, []byte{1}, row.limit)
			f.Add(whole, []byte{2, 7, 1}, row.limit)
		}
	}
	f.Fuzz(func(t *testing.T, whole, cuts []byte, limit uint32) {
		if len(cuts) == 0 {
			return
		}
		limit %= 1 << 20
		want := read(limit, pieces(whole, max(1, len(whole))))
		var cut [][]byte
		for rest, i := bytes.Clone(whole), 0; len(rest) > 0; i++ {
			n := int(cuts[i%len(cuts)])
			if n == 0 {
				n = 256
			}
			n = min(n, len(rest))
			cut = append(cut, rest[:n])
			rest = rest[n:]
		}
		if got := read(limit, cut); !slices.Equal(got, want) {
			t.Fatalf("cut: %.300q, whole: %.300q", got, want)
		}
	})
}
