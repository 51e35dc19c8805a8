package wire

import (
	"bytes"
	"testing"
)

func TestUnmask(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 60_000} {
		want := bytes.Repeat([]byte("a"), size)
		frame := AppendMasked(nil, OpText, want, 0x01020304)
		got, rest, ok := Unmask(append(bytes.Clone(frame), "next"...))
		if !ok || !bytes.Equal(got, want) || string(rest) != "next" {
			t.Errorf("got %d bytes, rest %q, %v, want the %d bytes and what follows", len(got), rest, ok, size)
		}
		if _, _, ok := Unmask(frame[:len(frame)-1]); ok {
			t.Errorf("got a frame of %d bytes without its end, want none", size)
		}
	}
	for name, b := range map[string][]byte{
		"a frame without a mask": AppendFrame(nil, OpText, []byte("abcdef")),
		"a length in 8 bytes":    AppendMasked(nil, OpText, make([]byte, 70_000), 1),
	} {
		if _, _, ok := Unmask(b); ok {
			t.Errorf("got %s taken, want it refused", name)
		}
	}
}
