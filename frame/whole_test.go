package frame

import (
	"bytes"
	"strings"
	"testing"
)

func TestWhole(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          *CloseError
	}{
		{"an empty message is a message", "", nil},
		{"a message of the limit is read", strings.Repeat("x", 10), nil},
		{"a message above the limit is too big", strings.Repeat("x", 11), errTooBig},
		{"text has to be UTF-8", "\xff", errTextUTF8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Reader{MaxMessageBytes: 10}
			e, err := r.Whole([]byte(tt.payload))
			if err != tt.want {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && (e.Kind != Message || !e.Text || string(e.Payload) != tt.payload) {
				t.Errorf("got %+v, want the text %q", e, tt.payload)
			}
		})
	}
}

func TestNextReadsWhatIsAppended(t *testing.T) {
	sealed := append(make([]byte, HeaderRoom), "sealed"...)
	var frames []byte
	frames = append(frames, Seal(sealed)...)
	frames = AppendText(frames, nil)
	frames = AppendBinary(frames, bytes.Repeat([]byte{1}, 126))
	frames = AppendText(frames, bytes.Repeat([]byte{'x'}, 1<<16))
	frames = AppendPing(frames, []byte("a"))
	frames = AppendPong(frames, []byte("b"))
	frames = AppendClose(frames, 4200, "bye")
	frames = AppendClose(frames, CloseNoStatus, "")
	for i, want := range []Event{
		{Kind: Message, Text: true, Payload: []byte("sealed")},
		{Kind: Message, Text: true},
		{Kind: Message, Payload: bytes.Repeat([]byte{1}, 126)},
		{Kind: Message, Text: true, Payload: bytes.Repeat([]byte{'x'}, 1<<16)},
		{Kind: Ping, Payload: []byte("a")},
		{Kind: Pong, Payload: []byte("b")},
		{Kind: Close, Code: 4200, Payload: []byte("bye")},
		{Kind: Close, Code: CloseNoStatus},
	} {
		var got Event
		got, frames = Next(frames)
		if got.Kind != want.Kind || got.Text != want.Text || got.Code != want.Code || !bytes.Equal(got.Payload, want.Payload) {
			t.Errorf("frame %d is %d %v %d with %d bytes, want %d %v %d with %d bytes",
				i, got.Kind, got.Text, got.Code, len(got.Payload), want.Kind, want.Text, want.Code, len(want.Payload))
		}
	}
	if len(frames) != 0 {
		t.Errorf("%d bytes are left, want none", len(frames))
	}
}
