//go:build invariants

package loop_test

import (
	"runtime"
	"testing"

	"resound/loop"
)

func TestReactorsAreCalledOnTheirOwnThread(t *testing.T) {
	_, s, addr := startScript(t, loop.Options{}, nil)
	open(t, addr, "a")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() {
		if recover() == nil {
			t.Error("another goroutine's Send went unnoticed")
		}
	}()
	s.Send(0, []byte("x"))
}

func TestReceivedBytesAreSpoiledAfterTheirTurn(t *testing.T) {
	var kept []byte
	_, s, addr := startScript(t, loop.Options{}, func(s *script) {
		s.onMessage = func(_ string, payload []byte) { kept = payload }
	})
	client := open(t, addr, "a")
	send(t, client, masked(0x1, true, "hello"))
	send(t, client, masked(0x9, true, ""))
	receive(t, client, 0xa, "")
	s.do(t, func() {
		if string(kept) == "hello" {
			t.Error("a view that was kept still reads what was received")
		}
	})
}
