package loop_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"resound/frame"
	"resound/loop"
)

// TestOthersAreServedDuringAFanOut has a client's message wait while a fan-out
// to 2,000 connections begins. It must be handled before the fan-out is over.
func TestOthersAreServedDuringAFanOut(t *testing.T) {
	const subscribers = 2000
	var before, during uint64 // writes; owned by the reactor
	var e *loop.Engine
	e, s, addr := startScript(t, loop.Options{}, func(s *script) {
		s.onMessage = func(name string, payload []byte) {
			during = e.Stats().Writes
			s.SendCopy(s.conns[name], frame.AppendText(nil, payload))
		}
	})
	clients := make([]net.Conn, subscribers)
	for i := range clients {
		clients[i] = open(t, addr, fmt.Sprint("subscriber-", i))
	}
	pinger := open(t, addr, "pinger")

	release := s.hold(t)
	s.Post(func() { before = e.Stats().Writes })
	s.Post(&broadcast{frame: frame.AppendText(nil, []byte("news")), pace: 10_000})
	send(t, pinger, masked(0x1, true, "ping"))
	release()

	for _, c := range clients {
		receive(t, c, ws.OpText, "news")
	}
	receive(t, pinger, ws.OpText, "news")
	receive(t, pinger, ws.OpText, "ping")
	s.do(t, func() {
		done, all := during-before, e.Stats().Writes-before
		if all < subscribers || done == 0 || done >= subscribers/2 {
			t.Errorf("the message was handled after %d of %d writes, want it after a slice of them", done, all)
		}
	})
}

// TestOrderOfOverlappingBroadcasts has two posters broadcast in small portions:
// every connection must get every frame, all in the same order.
func TestOrderOfOverlappingBroadcasts(t *testing.T) {
	const subscribers, posters, each = 300, 2, 60
	_, s, addr := startScript(t, loop.Options{}, nil)
	clients := make([]net.Conn, subscribers)
	for i := range clients {
		clients[i] = open(t, addr, fmt.Sprint("subscriber-", i))
	}
	var running sync.WaitGroup
	for p := range posters {
		running.Go(func() {
			for n := range each {
				payload := binary.BigEndian.AppendUint16([]byte{byte(p)}, uint16(n))
				s.Post(&broadcast{frame: frame.AppendBinary(nil, payload), pace: int32(7 + n%50)})
			}
		})
	}
	running.Wait()

	var want []string
	for i, c := range clients {
		var got []string
		var next [posters]uint16
		for range posters * each {
			f, err := readWhole(c)
			if err != nil {
				t.Fatalf("client %d after %d frames: %v", i, len(got), err)
			}
			got = append(got, string(f.Payload))
			p := f.Payload[0]
			if n := binary.BigEndian.Uint16(f.Payload[1:]); n != next[p] {
				t.Fatalf("client %d: got number %d of poster %d, want %d", i, n, p, next[p])
			}
			next[p]++
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("client %d has another order than client 0", i)
		}
	}
}

// TestFanOutOfManySlices posts at once what takes a reactor several turns to queue.
func TestFanOutOfManySlices(t *testing.T) {
	const subscribers, items = 20, 3000
	_, s, addr := startScript(t, loop.Options{}, nil)
	clients := make([]net.Conn, subscribers)
	for i := range clients {
		clients[i] = open(t, addr, fmt.Sprint("subscriber-", i))
	}
	release := s.hold(t)
	var want []byte
	for i := range items {
		f := frame.AppendBinary(nil, binary.BigEndian.AppendUint16(nil, uint16(i)))
		want = append(want, f...)
		s.Post(&broadcast{frame: f, pace: 100})
	}
	if got := s.PendingBytes(); got != int64(len(want)) {
		t.Errorf("%d bytes are pending, want those of all items, %d", got, len(want))
	}
	release()
	for i, c := range clients {
		got := make([]byte, len(want))
		if n, err := io.ReadFull(c, got); err != nil {
			t.Fatalf("client %d after %d of %d bytes: %v", i, n, len(want), err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("client %d got other frames than were posted", i)
		}
	}
	s.do(t, func() {})
	if got := s.Pending(); got > 1 { // the item above may not be counted off yet
		t.Errorf("%d items are pending", got)
	}
	if got := s.PendingBytes(); got != 0 {
		t.Errorf("%d bytes are pending once all is written", got)
	}
}

// TestWaitingFramesLeaveInOneWrite posts what is to be sent while the reactor is
// busy.
func TestWaitingFramesLeaveInOneWrite(t *testing.T) {
	const subscribers, items = 5, 8
	e, s, addr := startScript(t, loop.Options{}, nil)
	clients := make([]net.Conn, subscribers)
	for i := range clients {
		clients[i] = open(t, addr, fmt.Sprint("subscriber-", i))
	}
	release := s.hold(t)
	before := e.Stats()
	size := 0
	for i := range items {
		f := frame.AppendText(nil, fmt.Append(nil, "item ", i))
		size += len(f)
		s.Post(&broadcast{frame: f, pace: 100})
	}
	release()
	for _, c := range clients {
		for i := range items {
			receive(t, c, ws.OpText, fmt.Sprint("item ", i))
		}
	}
	s.do(t, func() {})
	after := e.Stats()
	if got := after.Writes - before.Writes; got != subscribers {
		t.Errorf("got %d writes for %d frames to each of %d connections, want one for each", got, items, subscribers)
	}
	if got := after.BytesOut - before.BytesOut; got != uint64(size*subscribers) {
		t.Errorf("got %d bytes, want %d", got, size*subscribers)
	}
}

// TestSlowReader has one of two clients read nothing.
func TestSlowReader(t *testing.T) {
	const maxOutbound = 64 << 10
	o, c := stopped(loop.Options{MaxOutboundBytes: maxOutbound, SlowCode: 4100, SlowReason: "too slow"})
	closed := make(chan string, 2)
	e, s, addr := startScript(t, o, func(s *script) {
		s.onClosed = func(name string) { closed <- name }
	})
	raw := connect(t, addr)
	if err := tcp(raw).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	upgrade(t, raw, "slow")
	slow, healthy := raw, open(t, addr, "healthy")

	payload := make([]byte, 4000)
	news := frame.AppendBinary(nil, payload)
	most := 0
	sent := 0
	for ended := false; !ended; {
		// In step with the healthy one, so that it is never late.
		s.do(t, func() {
			for name, conn := range s.conns {
				s.Send(conn, news)
				if name == "slow" {
					most = max(most, s.OutboundBytes(conn))
				}
			}
		})
		receive(t, healthy, ws.OpBinary, string(payload))
		if sent++; sent > 100_000 {
			t.Fatal("a client that reads nothing is never closed")
		}
		select {
		case name := <-closed:
			if name != "slow" {
				t.Fatalf("%s was closed", name)
			}
			ended = true
		default:
		}
	}
	if most <= maxOutbound || most > 2*maxOutbound {
		t.Errorf("up to %d bytes waited, want above %d, and not twice as much", most, maxOutbound)
	}
	if got := e.Stats(); got.Slow != 1 || got.Closes[4100] != 1 || got.Connections != 1 {
		t.Errorf("got %+v, want one closed as slow and one open", got)
	}

	// It wakes up in time to see why.
	for got := 0; ; got++ {
		f, err := readWhole(slow)
		if err != nil {
			t.Fatalf("after %d of %d frames: %v", got, sent, err)
		}
		if f.Header.OpCode == ws.OpBinary {
			continue
		}
		if code, reason := ws.ParseCloseFrameData(f.Payload); code != 4100 || reason != "too slow" {
			t.Errorf("got %x with %d %q, want close 4100", f.Header.OpCode, code, reason)
		}
		break
	}
	c.sweepAt(t, 5*time.Second, e, s)
	if got := e.Stats().Sockets; got != 1 {
		t.Errorf("got %d sockets, want only the healthy one", got)
	}
	echoes(t, healthy)
}

// TestOneLargeFrameIsNotSlow sends more than MaxOutboundBytes at once to a client
// that does read.
func TestOneLargeFrameIsNotSlow(t *testing.T) {
	e, s, addr := startScript(t, loop.Options{MaxOutboundBytes: 1000}, nil)
	client := open(t, addr, "a")
	payload := make([]byte, 1<<20)
	s.Post(&broadcast{frame: frame.AppendBinary(nil, payload), pace: 10})
	receive(t, client, ws.OpBinary, string(payload))
	echoes(t, client)
	if got := e.Stats().Slow; got != 0 {
		t.Errorf("%d connections were closed as slow", got)
	}
}

// TestMuchInOneTurnIsNotSlow queues more than MaxOutboundBytes before the turn
// ends. The reactor is late then, not the client.
func TestMuchInOneTurnIsNotSlow(t *testing.T) {
	const items = 100
	e, s, addr := startScript(t, loop.Options{MaxOutboundBytes: 8000}, nil)
	client := open(t, addr, "a")
	var want []byte
	before := e.Stats().Writes
	s.do(t, func() {
		for i := range items {
			f := frame.AppendBinary(nil, bytes.Repeat([]byte{byte(i)}, 1000))
			want = append(want, f...)
			s.Send(s.conns["a"], f)
			if got := s.OutboundBytes(s.conns["a"]); got > 8000 {
				t.Errorf("%d bytes wait after frame %d, want at most 8000", got, i)
			}
		}
	})
	got := make([]byte, len(want))
	if n, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d of %d bytes, %v", n, len(want), err)
	}
	echoes(t, client)
	if got := e.Stats(); got.Slow != 0 || got.Writes-before < items/10 || got.Writes-before > items/5 {
		t.Errorf("got %+v after %d writes, want one for about 8 frames", got, before)
	}
}

// TestWriteToABrokenConnection has one of two clients reset its connection while
// the reactor is busy, which then sends to both before it can know.
func TestWriteToABrokenConnection(t *testing.T) {
	closed := make(chan string, 2)
	e, s, addr := startScript(t, loop.Options{}, func(s *script) {
		s.onClosed = func(name string) { closed <- name }
	})
	broken, other := open(t, addr, "broken"), open(t, addr, "other")
	release := s.hold(t)
	s.Post(&broadcast{frame: frame.AppendText(nil, []byte("news")), pace: 10})
	if err := broken.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = broken.Close()
	release()
	receive(t, other, ws.OpText, "news")
	if got := wait(t, closed, "OnClosed"); got != "broken" {
		t.Errorf("%s was closed", got)
	}
	echoes(t, other)
	s.do(t, func() {})
	if got := e.Stats(); got.Broken != 1 || got.Sockets != 1 || got.Panics != 0 {
		t.Errorf("got %+v, want one broken and one left", got)
	}
}
