package loop

import (
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mailboxForTest(t *testing.T) (*mailbox, *net.UnixConn) {
	t.Helper()
	m, loopEnd, err := newMailbox(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.close()
		_ = loopEnd.Close()
	})
	return m, loopEnd.(*net.UnixConn)
}

// rings reads how often the bell rang since the last call, without waiting.
func rings(t *testing.T, loopEnd *net.UnixConn) int {
	t.Helper()
	raw, err := loopEnd.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var rangErr error
	if err := raw.Control(func(fd uintptr) {
		n, _, rangErr = unix.Recvfrom(int(fd), make([]byte, 64), unix.MSG_DONTWAIT)
	}); err != nil {
		t.Fatal(err)
	}
	if rangErr == unix.EAGAIN {
		return 0
	}
	if rangErr != nil {
		t.Fatal(rangErr)
	}
	return n
}

func TestMailboxRingsOncePerBurst(t *testing.T) {
	m, loopEnd := mailboxForTest(t)
	for i, step := range []struct {
		name  string
		do    func()
		rings int
	}{
		{"nothing was posted", func() {}, 0},
		{"the first item rings", func() { m.post(1) }, 1},
		{"those behind it do not", func() { m.post(2); m.post(3); m.again() }, 0},
		{"the first one after a take does", func() { m.take(nil); m.post(4); m.post(5) }, 1},
		{"asking for another turn rings", func() { m.take(nil); m.again(); m.again() }, 1},
		{"and a post then needs no ring", func() { m.post(6) }, 0},
		{"a turn that took nothing rings for another", func() { m.take(nil); m.again(); m.heard(); m.again() }, 2},
		{"nobody rings after the end", func() { m.take(nil); m.close(); m.post(7); m.again() }, 0},
	} {
		step.do()
		if got := rings(t, loopEnd); got != step.rings {
			t.Errorf("step %d: %s: got %d rings, want %d", i, step.name, got, step.rings)
		}
	}
}

func TestMailboxKeepsOrderAndCounts(t *testing.T) {
	m, _ := mailboxForTest(t)
	var spare []any
	next := 0
	for burst := range 10 {
		for i := range 10 * burst {
			m.post(next + i)
		}
		if got := m.pending.Load(); got != int64(10*burst) {
			t.Errorf("burst %d: %d are pending, want %d", burst, got, 10*burst)
		}
		items, _ := m.take(spare)
		for _, item := range items {
			if item != next {
				t.Fatalf("got item %v, want %d", item, next)
			}
			next++
		}
		if got := m.pending.Load(); got != int64(10*burst) {
			t.Errorf("burst %d: %d are pending after a take, want %d", burst, got, 10*burst)
		}
		m.finished(len(items))
		clear(items)
		spare = items
	}
	if got := m.pending.Load(); got != 0 {
		t.Errorf("%d are pending, want none", got)
	}
	if items, _ := m.take(nil); len(items) != 0 {
		t.Errorf("%v are left", items)
	}
}

func TestMailboxTakesNothingAfterClose(t *testing.T) {
	m, _ := mailboxForTest(t)
	m.post(1)
	m.close()
	m.close() // twice is harmless
	m.post(2)
	if items, _ := m.take(nil); len(items) != 1 || items[0] != 1 {
		t.Errorf("got %v, want only what came before", items)
	}
	if got := m.pending.Load(); got != 1 {
		t.Errorf("%d are pending, want 1", got)
	}
}

func TestMailboxKeepsTheOrderOfEachPoster(t *testing.T) {
	const posters, each = 4, 2000
	m, loopEnd := mailboxForTest(t)
	type item struct{ poster, n int }
	var running sync.WaitGroup
	for p := range posters {
		running.Go(func() {
			for n := range each {
				m.post(item{p, n})
			}
		})
	}
	var next [posters]int
	var mail []any
	buf := make([]byte, 64)
	for got := 0; got < posters*each; got += len(mail) {
		if _, err := loopEnd.Read(buf); err != nil { // blocks until somebody rings
			t.Fatal(err)
		}
		clear(mail)
		mail, _ = m.take(mail)
		for _, x := range mail {
			x := x.(item)
			if x.n != next[x.poster] {
				t.Fatalf("poster %d: got item %d, want %d", x.poster, x.n, next[x.poster])
			}
			next[x.poster]++
		}
	}
	running.Wait()
}
