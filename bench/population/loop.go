package population

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

const (
	// wakeIndex marks the mailbox's descriptor among the connections' indexes.
	wakeIndex = -1

	// batchEvents is how many ready connections one wait returns at most.
	batchEvents = 4096

	// readBufferBytes is the beginning of the longest frame, and what one read takes.
	readBufferBytes = wire.MaxFrameBytes + 256<<10
)

// run is the loop: it waits for ready connections, reads each once, runs what was
// posted, and wakes the calls whose condition holds.
func (p *Population) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer p.end()
	events := make([]unix.EpollEvent, batchEvents)
	for !p.closing {
		n, err := waitReady(p.epollFD, events, p.due.timeout())
		if err != nil {
			p.totals.noteError(fmt.Sprintf("wait for connections: %v", err))
			return
		}
		for i := range events[:n] {
			if events[i].Fd == wakeIndex {
				p.runMailbox()
				continue
			}
			p.onReady(events[i].Fd)
		}
		p.runDue()
		p.wakeWaiters()
	}
}

// waitReady asks without blocking first: while deliveries stream in there is
// nearly always something, and then the scheduler need not be told of a block.
// epoll_wait itself is not on every architecture; without a mask epoll_pwait is it.
func waitReady(epollFD int, events []unix.EpollEvent, timeout int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epollFD),
		uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno == 0 && n > 0 {
		return int(n), nil
	}
	for {
		n, err := unix.EpollWait(epollFD, events, timeout)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (p *Population) runMailbox() {
	p.mu.Lock()
	posted := p.mailbox
	p.mailbox = nil
	var count [8]byte
	_, _ = unix.Read(p.wakeFD, count[:])
	p.mu.Unlock()
	for _, f := range posted {
		f()
	}
}

func (p *Population) wakeWaiters() {
	kept := p.waiters[:0]
	for _, w := range p.waiters {
		if finished, err := w.finished(); finished {
			w.result <- err
			continue
		}
		kept = append(kept, w)
	}
	clear(p.waiters[len(kept):])
	p.waiters = kept
}

// end closes all descriptors.
func (p *Population) end() {
	for i := range p.conns {
		if c := &p.conns[i]; c.stage.open() {
			p.closeConn(c)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = unix.Close(p.epollFD)
	_ = unix.Close(p.wakeFD)
	close(p.done)
}

// closeConn closes with a reset, which leaves no port in TIME_WAIT behind: runs
// that connect ten thousand times a second would have none left.
func (p *Population) closeConn(c *conn) {
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(int(c.fd))
	c.stage = stageEnded
}
