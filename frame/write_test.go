package frame_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"resound/frame"
)

// lengths stand at both sides of every border between length forms.
//
// RFC 6455 section 5.2.
var lengths = []struct {
	payload int
	header  string // hex
}{
	{0, "8100"},
	{1, "8101"},
	{125, "817d"},
	{126, "817e007e"},
	{127, "817e007f"},
	{65535, "817effff"},
	{65536, "817f0000000000010000"},
	{65537, "817f0000000000010001"},
}

func TestAppendText(t *testing.T) {
	for _, row := range lengths {
		t.Run(fmt.Sprint(row.payload), func(t *testing.T) {
			payload := repeat(row.payload)
			got := frame.AppendText([]byte("before"), []byte(payload))
			if want := "before" + unhex(t, row.header) + payload; string(got) != want {
				t.Errorf("got %.40q, want %.40q", got, want)
			}
		})
	}
}

func TestSeal(t *testing.T) {
	for _, row := range lengths {
		t.Run(fmt.Sprint(row.payload), func(t *testing.T) {
			payload := repeat(row.payload)
			buf := append(bytes.Repeat([]byte{0xee}, frame.HeaderRoom), payload...)
			got := frame.Seal(buf)
			if want := unhex(t, row.header) + payload; string(got) != want {
				t.Errorf("got %.40q, want %.40q", got, want)
			}
			if &got[len(got)-1] != &buf[len(buf)-1] {
				t.Error("the frame is a copy of the buffer")
			}
			if back := frame.Payload(got); string(back) != payload {
				t.Errorf("the payload came back as %.40q", back)
			}
		})
	}
}

func TestAppendClose(t *testing.T) {
	euro := "€" // 3 bytes
	for _, row := range []struct {
		name   string
		code   int
		reason string
		want   string // body
	}{
		{"without a status", frame.CloseNoStatus, "dropped", ""},
		{"without a reason", 1000, "", "\x03\xe8"},
		{"Pusher's own code", 4001, "App key x not in this cluster", "\x0f\xa1App key x not in this cluster"},
		{"longest reason", 1000, repeat(123), "\x03\xe8" + repeat(123)},
		{"reason one byte too long", 1000, repeat(124), "\x03\xe8" + repeat(123)},
		{"cut before a rune that does not fit", 1000, repeat(121) + euro, "\x03\xe8" + repeat(121)},
		{"cut after a rune that just fits", 1000, repeat(120) + euro + "x", "\x03\xe8" + repeat(120) + euro},
		{"cut between runes", 1000, strings.Repeat(euro, 50), "\x03\xe8" + strings.Repeat(euro, 41)},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := frame.AppendClose([]byte("before"), row.code, row.reason)
			want := "before\x88" + string(rune(len(row.want))) + row.want
			if string(got) != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestAppendControlCutsThePayload(t *testing.T) {
	for _, row := range []struct {
		name   string
		append func(dst, payload []byte) []byte
		first  byte
	}{
		{"ping", frame.AppendPing, 0x89},
		{"pong", frame.AppendPong, 0x8a},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, n := range []int{0, 1, 125, 126, 1000} {
				kept := min(n, 125)
				want := append([]byte{row.first, byte(kept)}, repeat(kept)...)
				if got := row.append(nil, []byte(repeat(n))); !bytes.Equal(got, want) {
					t.Errorf("%d bytes: got %q, want %q", n, got, want)
				}
			}
		})
	}
}

// FuzzRoundTrip has gobwas/ws read what is written here, and the other way round.
func FuzzRoundTrip(f *testing.F) {
	for _, row := range lengths {
		f.Add([]byte(repeat(row.payload)), uint32(row.payload), 1000+row.payload%12)
	}
	f.Add([]byte("\xff"), uint32(1), 4999)
	f.Fuzz(func(t *testing.T, payload []byte, key uint32, code int) {
		sealed := frame.Seal(append(make([]byte, frame.HeaderRoom), payload...))
		small := payload[:min(len(payload), 125)]
		for _, row := range []struct {
			written []byte
			op      ws.OpCode
			want    []byte
		}{
			{frame.AppendText(nil, payload), ws.OpText, payload},
			{frame.AppendBinary(nil, payload), ws.OpBinary, payload},
			{frame.AppendPing(nil, payload), ws.OpPing, small},
			{frame.AppendPong(nil, payload), ws.OpPong, small},
			{sealed, ws.OpText, payload},
		} {
			in := bytes.NewReader(row.written)
			got, err := readWhole(in)
			if err != nil {
				t.Fatal(err)
			}
			if err := ws.CheckHeader(got.Header, ws.StateClientSide); err != nil {
				t.Fatal(err)
			}
			if got.Header.OpCode != row.op || !got.Header.Fin || !bytes.Equal(got.Payload, row.want) || in.Len() != 0 {
				t.Fatalf("got %+v and %d bytes more, want %v with %d bytes", got.Header, in.Len(), row.op, len(row.want))
			}
		}

		closed, err := readWhole(bytes.NewReader(frame.AppendClose(nil, code&0xffff, string(payload))))
		if err != nil {
			t.Fatal(err)
		}
		if code&0xffff != frame.CloseNoStatus {
			gotCode, reason := ws.ParseCloseFrameData(closed.Payload)
			if int(gotCode) != code&0xffff || !bytes.HasPrefix(payload, []byte(reason)) {
				t.Fatalf("got %d %q, want %d and the beginning of %q", gotCode, reason, code&0xffff, payload)
			}
			if utf8.Valid(payload) && !utf8.ValidString(reason) {
				t.Fatalf("the reason was cut inside a character: %q", reason)
			}
		}

		var wire bytes.Buffer
		fromClient := ws.MaskFrameWith(ws.NewBinaryFrame(bytes.Clone(payload)), [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)})
		if err := ws.WriteFrame(&wire, fromClient); err != nil {
			t.Fatal(err)
		}
		got := read(uint32(len(payload)), [][]byte{wire.Bytes()})
		if len(got) != 1 || got[0] != "binary "+string(payload) {
			t.Fatalf("got %.200q, want %.200q", got, payload)
		}
	})
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readWhole reads a frame of a server that is trusted with its length.
func readWhole(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
