//go:build !race

package frame_test

import (
	"testing"

	"resound/frame"
)

func TestAllocations(t *testing.T) {
	message := client(fin|opText, repeat(100))
	// A mask of zeros leaves the payload alone, however often it is unmasked.
	clear(message[2:6])
	copy(message[6:], repeat(100))
	ping := client(fin|opPing, "ping")
	reader := frame.Reader{MaxMessageBytes: 1000}
	room := make([]byte, 0, 1000)
	sealed := make([]byte, frame.HeaderRoom+100)
	head := []byte(request)

	for _, row := range []struct {
		name string
		want float64
		run  func()
	}{
		{"reading an unfragmented message", 0, func() {
			h, _, _ := reader.Header(message)
			if e, fail := reader.Frame(h, message[h.Size:h.Total]); fail != nil || e.Kind != frame.Message {
				t.Fatal(e.Kind, fail)
			}
		}},
		{"reading a ping", 0, func() {
			h, _, _ := reader.Header(ping)
			if e, fail := reader.Frame(h, ping[h.Size:h.Total]); fail != nil || e.Kind != frame.Ping {
				t.Fatal(e.Kind, fail)
			}
		}},
		{"appending a text frame", 0, func() { frame.AppendText(room, message[6:]) }},
		{"appending a pong", 0, func() { frame.AppendPong(room, message[6:10]) }},
		{"appending a close frame", 0, func() { frame.AppendClose(room, 1000, "bye") }},
		{"sealing a payload", 0, func() { frame.Seal(sealed) }},
		{"parsing and accepting a handshake", 0, func() {
			req, rejection := frame.ParseRequest(head)
			if rejection != nil {
				t.Fatal(rejection)
			}
			frame.AppendAccept(room, &req)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, row.run); got != row.want {
				t.Errorf("got %v allocations, want %v", got, row.want)
			}
		})
	}
}
