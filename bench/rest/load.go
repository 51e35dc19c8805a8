package rest

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
	"unsafe"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"resound/bench/process"
	"resound/bench/wire"
)

const (
	defaultConnections = 64

	// signedRequests are made before the clock starts and sent in turn. They have
	// distinct bodies, so no server gains by remembering the last one.
	signedRequests = 4096

	// loadChannels is over how many channels without a subscriber they go.
	loadChannels = 16

	// loadBufferBytes is what one connection may have received incompletely.
	loadBufferBytes = 8 << 10

	// pollInterval bounds how late the end of a run is noticed.
	pollInterval = 50 * time.Millisecond

	maxLatencyMicros = int64(time.Minute / time.Microsecond)
)

// Load is a set of keep-alive connections with one request under way on each.
type Load struct {
	target      Target
	address     netip.AddrPort
	epollFD     int
	connections []loadConn
	next        func(connection int) []byte
	started     int64 // nanoseconds, for the latencies of this run
	stopping    bool
	busy        int
	result      LoadResult
}

// LoadResult is what one run saw.
type LoadResult struct {
	Requests  uint64                  // answered
	Failed    uint64                  // answered with another status than 200
	Elapsed   time.Duration           // from the first request to the last answer
	Latencies *hdrhistogram.Histogram // microseconds
	Status    int                     // the first other status, 0 for none
}

type loadConn struct {
	fd     int
	sent   int64 // nanoseconds
	length int
	buffer []byte
}

// NewLoad connects. Zero connections means 64. The caller closes it.
func NewLoad(t Target, connections int) (*Load, error) {
	if connections == 0 {
		connections = defaultConnections
	}
	address, err := netip.ParseAddrPort(t.Address)
	if err != nil || !address.Addr().Is4() {
		return nil, fmt.Errorf("address %q is not IPv4:PORT", t.Address)
	}
	l := &Load{target: t, address: address}
	if l.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	for i := range connections {
		l.connections = append(l.connections, loadConn{fd: -1, buffer: make([]byte, loadBufferBytes)})
		if err := l.dial(i); err != nil {
			l.Close()
			return nil, err
		}
	}
	return l, nil
}

// Sign makes the requests of the next runs, for channels without a subscriber and
// with data of payloadBytes each. It takes some milliseconds; a server accepts them
// for ten minutes.
func (l *Load) Sign(payloadBytes int, now time.Time) {
	requests := make([][]byte, signedRequests)
	app := l.target.App
	for i := range requests {
		data := wire.AppendStamped(nil, wire.Stamp{Sequence: uint32(i + 1), SentNanos: now.UnixNano()}, payloadBytes)
		body := wire.AppendTriggerBody(nil, "bench-idle-"+strconv.Itoa(i%loadChannels), data)
		requests[i] = app.AppendPost(nil, l.target.Host, l.target.Prefix, app.EventsPath(), body, now.Unix())
	}
	sent := 0
	l.next = func(int) []byte {
		sent++
		return requests[sent%signedRequests]
	}
}

// Use makes next give the requests of the next runs, whole ones, each valid until it
// is called again. connection is that on which the request will be sent, from 0 on;
// the requests of one connection are answered in turn.
func (l *Load) Use(next func(connection int) []byte) { l.next = next }

// Run keeps every connection busy for about duration, then waits for the last
// answers, at most grace longer. Sign or Use must have been called.
func (l *Load) Run(duration, grace time.Duration) (LoadResult, error) {
	if l.next == nil {
		return LoadResult{}, errors.New("there are no requests to send")
	}
	l.result = LoadResult{Latencies: hdrhistogram.New(1, maxLatencyMicros, 2)}
	l.stopping = false
	l.started = process.Nanos()
	for i := range l.connections {
		if err := l.send(i); err != nil {
			return l.result, err
		}
	}
	events := make([]unix.EpollEvent, len(l.connections))
	for l.busy > 0 {
		n, err := unix.EpollWait(l.epollFD, events, int(pollInterval/time.Millisecond))
		if err != nil && err != unix.EINTR {
			return l.result, fmt.Errorf("wait for answers: %w", err)
		}
		elapsed := time.Duration(process.Nanos() - l.started)
		l.stopping = elapsed >= duration
		if elapsed > duration+grace {
			return l.result, fmt.Errorf("%d requests unanswered %v after the end", l.busy, grace)
		}
		for i := range events[:max(n, 0)] {
			if err := l.read(int(events[i].Fd)); err != nil {
				return l.result, err
			}
		}
	}
	l.result.Elapsed = time.Duration(process.Nanos() - l.started)
	return l.result, nil
}

// send sends the next request on connection i.
func (l *Load) send(i int) error {
	c := &l.connections[i]
	request := l.next(i)
	c.sent = process.Nanos()
	if n, err := unix.Write(c.fd, request); err != nil || n < len(request) {
		return fmt.Errorf("send request: %d of %d bytes: %w", n, len(request), err)
	}
	l.busy++
	return nil
}

// read takes what connection i received and goes on with the next request.
func (l *Load) read(i int) error {
	c := &l.connections[i]
	room := c.buffer[c.length:]
	if len(room) == 0 {
		return fmt.Errorf("response exceeds limit %d", loadBufferBytes)
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&room[0])), uintptr(len(room)))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return nil
	case errno != 0:
		return fmt.Errorf("read response: %w", errno)
	case n == 0:
		return errors.New("server closed the connection instead of answering")
	}
	c.length += int(n)
	response, err := wire.NextResponse(c.buffer[:c.length])
	if err != nil {
		return err
	}
	if response.Bytes == 0 {
		return nil
	}
	c.length = 0 // one request under way: nothing can be behind its answer
	l.onResponse(c, response)
	if response.Last {
		if err := l.dial(i); err != nil {
			return err
		}
	}
	if l.stopping {
		return nil
	}
	return l.send(i)
}

func (l *Load) onResponse(c *loadConn, response wire.Response) {
	l.busy--
	l.result.Requests++
	if response.Status != 200 {
		l.result.Failed++
		if l.result.Status == 0 {
			l.result.Status = response.Status
		}
	}
	micros := (process.Nanos() - c.sent) / 1000
	_ = l.result.Latencies.RecordValue(min(max(micros, 1), maxLatencyMicros)) // in range
}

// dial opens connection i, in place of an old one.
func (l *Load) dial(i int) error {
	c := &l.connections[i]
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.fd = -1
		return fmt.Errorf("create socket: %w", err)
	}
	c.fd = fd
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: l.address.Addr().As4(), Port: int(l.address.Port())}); err != nil {
		return fmt.Errorf("connect to %s: %w", l.target.Address, err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("make socket nonblocking: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if err := unix.EpollCtl(l.epollFD, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// Close closes all connections.
func (l *Load) Close() {
	for _, c := range l.connections {
		if c.fd >= 0 {
			_ = unix.Close(c.fd)
		}
	}
	_ = unix.Close(l.epollFD)
}
