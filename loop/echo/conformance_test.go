package echo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"resound/loop"
	"resound/loop/echo"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// gnet keeps its worker pool for the life of the process.
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"),
		goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*goWorker).run.func1"),
	)
}

// conformanceCase is what a client sends after the handshake and what it gets.
// The numbers are those of the sections of this suite: 1 framing, 2 pings and
// pongs, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8, 7 closing, 9 limits,
// 10 masks.
type conformanceCase struct {
	number, section, name string

	send []byte
	want []byte // what comes back before the close frame

	// code is that of the close frame with which the server ends the connection
	// by itself. 0: it does not, and the client closes.
	code int
}

// TestRFC6455 runs every case whole and cut into single bytes.
func TestRFC6455(t *testing.T) {
	e, addr := serve(t)
	cases := slices.Concat(framingCases(), controlCases(), reservedCases(), fragmentCases(), textCases(), closeCases(), limitCases(), maskCases())
	numbers := map[string]bool{}
	for _, row := range cases {
		if numbers[row.number] {
			t.Errorf("there are two cases %s", row.number)
		}
		numbers[row.number] = true
		t.Run(row.number+" "+row.name, func(t *testing.T) {
			row.run(t, e, addr, len(row.send))
			if len(row.send) <= 1000 {
				row.run(t, e, addr, 1)
			}
			if t.Failed() {
				t.Logf("RFC 6455 section %s", row.section)
			}
		})
	}
}

// TestRFC6455CutInTwo cuts one stream with every kind of frame at every byte.
func TestRFC6455CutInTwo(t *testing.T) {
	e, addr := serve(t)
	long := string(bytes.Repeat([]byte("x"), 130))
	row := conformanceCase{
		send: slices.Concat(frame(fin|text, "hello"), frame(text, "κ"), frame(fin|ping, "p"), frame(0, "ό"), frame(fin|pong, ""), frame(fin, "σ"),
			frame(fin|bin, long), frame(fin|ping, "")),
		want: slices.Concat(answer(text, "hello"), answer(pong, "p"), answer(text, "κόσ"), answer(bin, long), answer(pong, "")),
	}
	for cut := 1; cut < len(row.send); cut++ {
		row.run(t, e, addr, cut)
		if t.Failed() {
			t.Fatalf("cut at byte %d", cut)
		}
	}
}

func serve(t *testing.T) (*loop.Engine, string) {
	t.Helper()
	e, err := echo.New(loop.Options{Addr: "127.0.0.1:0", Reactors: 1})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run() }()
	select {
	case <-e.Ready():
	case err := <-ended:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if got := e.Stats().Panics; got != 0 {
			t.Errorf("%d panics", got)
		}
		if err := e.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return e, e.Addr().String()
}

// run sends the case in pieces, the reactor reading each before the next is sent.
func (row conformanceCase) run(t *testing.T, e *loop.Engine, addr string, piece int) {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	shake(t, c)
	received := make(chan []byte, 1)
	go func() {
		got, _ := io.ReadAll(c) // a reset is an end, too
		received <- got
	}()
	stream := row.send
	if row.code == 0 {
		stream = append(slices.Clip(stream), closing(1000, "")...)
	}
	for p := range slices.Chunk(stream, max(1, piece)) {
		if _, err := c.Write(p); err != nil {
			break // the server has closed; what came back says whether it should have
		}
		if piece < len(stream) {
			turnAround(e)
		}
	}
	got := <-received
	want, code := row.want, row.code
	if code == 0 {
		code = 1000
	}
	rest, ok := bytes.CutPrefix(got, want)
	if !ok || !isClose(rest, code) {
		t.Errorf("in pieces of %d: got %.200q, want %.200q and a close with %d", piece, got, want, code)
	}
}

// turnAround waits until the reactor has looked at its sockets after now.
func turnAround(e *loop.Engine) {
	r := e.Reactors()[0]
	for range 2 {
		r.Post(nil)
		for r.Pending() > 0 {
			runtime.Gosched()
		}
	}
}

// isClose reports whether b is one close frame with the code and a reason in
// UTF-8. Code 1005 is a frame without a body.
func isClose(b []byte, code int) bool {
	if len(b) < 2 || b[0] != fin|closes || int(b[1]) != len(b)-2 {
		return false
	}
	if code == 1005 {
		return len(b) == 2
	}
	return len(b) >= 4 && int(binary.BigEndian.Uint16(b[2:])) == code && utf8.Valid(b[4:])
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// The first byte of frames: opcodes and the bit of the last fragment. They are
// written out here, and not taken from the code under test.
const (
	fin    = 0x80
	text   = 0x1
	bin    = 0x2
	closes = 0x8
	ping   = 0x9
	pong   = 0xa
)

// frame is one of a client.
func frame(first byte, payload string) []byte {
	return maskedFrame(first, payload, [4]byte{0x37, 0xfa, 0x21, 0x3d})
}

func maskedFrame(first byte, payload string, mask [4]byte) []byte {
	b := header([]byte{first}, 0x80, len(payload))
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return b
}

// answer is a whole frame of the server.
func answer(op byte, payload string) []byte {
	return append(header([]byte{fin | op}, 0, len(payload)), payload...)
}

func header(b []byte, maskBit byte, n int) []byte {
	switch {
	case n < 126:
		return append(b, maskBit|byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
}

func closing(code uint16, reason string) []byte {
	return frame(fin|closes, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}
