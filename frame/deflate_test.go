package frame_test

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"testing"

	"resound/frame"
)

func TestOffersOfCompression(t *testing.T) {
	const accepted = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, row := range []struct{ name, offers, want string }{
		{"as browsers offer", "permessage-deflate; client_max_window_bits", accepted},
		{"bare", "permessage-deflate", accepted},
		{"in capitals", "PerMessage-Deflate", accepted},
		{"without context takeover", "permessage-deflate; client_no_context_takeover; server_no_context_takeover", accepted},
		{"with a window of the client's", "permessage-deflate; client_max_window_bits=10", accepted},
		{"with a quoted window", `permessage-deflate; client_max_window_bits="15"`, accepted},
		{"with the window we have", "permessage-deflate; server_max_window_bits=15", accepted + "; server_max_window_bits=15"},
		{"a smaller window, then none", "permessage-deflate; server_max_window_bits=10, permessage-deflate", accepted},
		{"behind another extension", "x-unknown; a=1, permessage-deflate", accepted},
		{"a smaller window", "permessage-deflate; server_max_window_bits=10", ""},
		{"a parameter nobody knows", "permessage-deflate; x", ""},
		{"a parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits", ""},
		{"a value where none belongs", "permessage-deflate; client_no_context_takeover=1", ""},
		{"a window of 7", "permessage-deflate; client_max_window_bits=7", ""},
		{"a window of 16", "permessage-deflate; client_max_window_bits=16", ""},
		{"a window of 08", "permessage-deflate; client_max_window_bits=08", ""},
		{"the server's window without bits", "permessage-deflate; server_max_window_bits", ""},
		{"a longer name", "permessage-deflate2", ""},
		{"nothing", "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			head := strings.Replace(request, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: "+row.offers+"\r\n\r\n", 1)
			req, rejection := frame.ParseRequest([]byte(head))
			if rejection != nil {
				t.Fatal(rejection)
			}
			_, got, _ := strings.Cut(string(frame.AppendAccept(nil, &req)), "Sec-WebSocket-Extensions: ")
			got, _, _ = strings.Cut(got, "\r\n")
			if got != row.want || req.Deflates() != (row.want != "") {
				t.Errorf("got %q, want %q", got, row.want)
			}
			req.DropOffers()
			if strings.Contains(string(frame.AppendAccept(nil, &req)), "Extensions") || req.Deflates() {
				t.Error("an offer that was dropped is accepted")
			}
		})
	}
}

func TestAppendDeflated(t *testing.T) {
	for _, row := range []struct {
		name, payload string
		want          bool
	}{
		{"shorter than it is worth", strings.Repeat("a", frame.MinDeflateBytes-1), false},
		{"just worth it", strings.Repeat("a", frame.MinDeflateBytes), true},
		{"what does not compress", noise(1000), false},
		{"large", strings.Repeat(`{"event":"news"}`, 10_000), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := frame.AppendDeflated([]byte("before"), []byte(row.payload))
			if ok != row.want {
				t.Fatalf("compressed: %t, want %t", ok, row.want)
			}
			rest, found := bytes.CutPrefix(got, []byte("before"))
			if !ok {
				if !found || len(rest) > 0 {
					t.Errorf("appended %q", rest)
				}
				return
			}
			if rest[0] != 0xc1 {
				t.Errorf("first byte %#x, want a final, compressed text", rest[0])
			}
			e, _ := frame.Next(rest)
			plain, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(e.Payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
			if err != nil || string(plain) != row.payload {
				t.Errorf("inflates to %d bytes, %v; want %d", len(plain), err, len(row.payload))
			}
		})
	}
}

// noise is not worth compressing, and the same every time.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return string(b)
}

// squeeze is what a client's library makes of a message.
func squeeze(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

func TestReaderInflates(t *testing.T) {
	const rsv1 = 0x40
	long := strings.Repeat("κόσμε ", 50)
	packed := squeeze(t, long)
	bomb := squeeze(t, strings.Repeat("\x00", 50_000_000))
	for _, row := range []struct {
		name   string
		frames [][]byte
		want   string
		code   int
	}{
		{"a message", [][]byte{client(fin|rsv1|opText, packed)}, long, 0},
		{"a message in fragments", [][]byte{client(rsv1|opText, packed[:9]), client(fin, packed[9:])}, long, 0},
		{"a message that is not compressed", [][]byte{client(fin|opText, "plain")}, "plain", 0},
		{"an empty message", [][]byte{client(fin|rsv1|opText, "\x00")}, "", 0},
		{"RFC 7692 section 7.2.3.1", [][]byte{client(fin|rsv1|opText, "\xf2\x48\xcd\xc9\xc9\x07\x00")}, "Hello", 0},
		{"RFC 7692 section 7.2.3.3, a block that is not compressed", [][]byte{client(fin|rsv1|opText, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00")}, "Hello", 0},
		{"RFC 7692 section 7.2.3.4, a last block", [][]byte{client(fin|rsv1|opText, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00")}, "Hello", 0},
		{"RFC 7692 section 7.2.3.5, two blocks", [][]byte{client(fin|rsv1|opText, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")}, "Hello", 0},
		{"as long as allowed, and not compressible", [][]byte{client(fin|rsv1|opBinary, squeeze(t, noise(1000)))}, noise(1000), 0},

		{"one byte too long", [][]byte{client(fin|rsv1|opText, squeeze(t, strings.Repeat("a", 1001)))}, "", frame.CloseTooBig},
		{"a bomb", [][]byte{client(fin|rsv1|opText, bomb[:900])}, "", frame.CloseTooBig},
		{"a bomb larger than the limit itself", [][]byte{client(fin|rsv1|opText, bomb)}, "", frame.CloseTooBig},
		{"no bytes at all", [][]byte{client(fin|rsv1|opText, "")}, "", frame.CloseInvalidUTF8},
		{"garbage", [][]byte{client(fin|rsv1|opText, "\xff\xff\xff")}, "", frame.CloseInvalidUTF8},
		{"a window reaching into the message before", [][]byte{client(fin|rsv1|opText, "\xf2\x00\x11\x00\x00")}, "", frame.CloseInvalidUTF8},
		{"cut short", [][]byte{client(fin|rsv1|opText, packed[:len(packed)/2])}, "", frame.CloseInvalidUTF8},
		{"what inflates is not UTF-8", [][]byte{client(fin|rsv1|opText, squeeze(t, "a\xff"))}, "", frame.CloseInvalidUTF8},
		{"a compressed ping", [][]byte{client(fin|rsv1|opPing, "")}, "", frame.CloseProtocolError},
		{"a compressed close", [][]byte{client(fin|rsv1|opClose, "")}, "", frame.CloseProtocolError},
		{"the bit on a later fragment", [][]byte{client(rsv1|opText, packed[:9]), client(fin|rsv1, packed[9:])}, "", frame.CloseProtocolError},
		{"another reserved bit", [][]byte{client(fin|rsv1|0x20|opText, packed)}, "", frame.CloseProtocolError},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := frame.Reader{MaxMessageBytes: 1000, Deflates: true}
			var e frame.Event
			var fail *frame.CloseError
			for _, f := range row.frames {
				var h frame.Header
				if h, _, fail = r.Header(f[:min(len(f), frame.MaxHeaderBytes)]); fail == nil {
					e, fail = r.Frame(h, f[h.Size:h.Total])
				}
				if fail != nil {
					break
				}
			}
			code := 0
			if fail != nil {
				code = fail.Code
			}
			if code != row.code || code == 0 && (e.Kind != frame.Message || string(e.Payload) != row.want) {
				t.Errorf("got %.100q and code %d, want %.100q and %d", e.Payload, code, row.want, row.code)
			}
		})
	}
	t.Run("a client that negotiated nothing", func(t *testing.T) {
		r := frame.Reader{MaxMessageBytes: 1000}
		if _, _, fail := r.Header(client(fin|rsv1|opText, packed)[:14]); fail == nil || fail.Code != frame.CloseProtocolError {
			t.Errorf("got %v, want 1002", fail)
		}
	})
}

// FuzzInflate: no payload makes the reader panic or give more than allowed.
func FuzzInflate(f *testing.F) {
	f.Add([]byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), []byte(""))
	f.Add([]byte("\xff"), []byte("\x00"))
	f.Add([]byte(squeeze(f, strings.Repeat("a", 5000))), []byte(""))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		if len(first) > 2000 || len(second) > 2000 {
			return
		}
		r := frame.Reader{MaxMessageBytes: 1000, Deflates: true}
		for _, part := range [][]byte{client(0x40|opBinary, string(first)), client(fin, string(second))} {
			h, ok, fail := r.Header(part[:min(len(part), frame.MaxHeaderBytes)])
			if fail != nil {
				return
			}
			if !ok {
				t.Fatal("a header is not enough of itself")
			}
			if e, fail := r.Frame(h, part[h.Size:h.Total]); fail == nil && len(e.Payload) > 1000 {
				t.Fatalf("%d bytes, of 1000 allowed", len(e.Payload))
			}
		}
	})
}
