package loop_test

import (
	"net"
	"testing"

	"github.com/gobwas/ws"

	"resound/loop"
)

func TestAddressIsTheKernelsToKeep(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			if l, err := net.Listen("tcp", addr); err != nil {
				t.Skipf("no such address here: %v", err)
			} else {
				_ = l.Close()
			}
			s := &script{conns: make(map[string]int32), names: make(map[int32]string)}
			e, err := loop.New(loop.Options{Addr: addr, Reactors: 1, NewHandler: func(r *loop.Reactor) loop.Handler {
				s.Reactor = r
				return s
			}})
			c := open(t, start(t, e, err), "a")
			s.do(t, func() {
				if got := s.KeptAddr(s.conns["a"]); got != nil {
					t.Errorf("the event loop still keeps %v: did its connection change?", got)
				}
				if got, want := s.ClientAddr(s.conns["a"]).String(), c.LocalAddr().String(); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
			echoes(t, c)
		})
	}
}

func TestFragmentedMessageIsHeldAsLongAsItLasts(t *testing.T) {
	_, s, addr := startScript(t, loop.Options{}, nil)
	held := func() (n int) {
		s.do(t, func() { n = s.Fragmented() })
		return n
	}
	a, b := open(t, addr, "a"), open(t, addr, "b")
	send(t, a, masked(0x1, false, "one "))
	send(t, b, masked(0x1, false, "lost"))
	send(t, a, masked(0x9, true, "between")) // the answer tells that what was before is read
	receive(t, a, ws.OpPong, "between")
	send(t, b, masked(0x9, true, ""))
	receive(t, b, ws.OpPong, "")
	if got, want := held(), 2; got != want {
		t.Errorf("got %d readers held, want %d", got, want)
	}
	send(t, a, masked(0x0, false, "two "))
	send(t, a, masked(0x0, true, "three"))
	receive(t, a, ws.OpText, "one two three")
	send(t, b, masked(0x8, true, "\x03\xe8"))
	receiveClose(t, b, 1000)
	if got, want := held(), 0; got != want {
		t.Errorf("got %d readers held, want %d", got, want)
	}
	echoes(t, a)
}
