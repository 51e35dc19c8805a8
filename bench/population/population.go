package population

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// errClosed is what the methods return once the population is closed.
var errClosed = errors.New("population is closed")

// Population is a set of connections, each with one subscription. Its methods
// are safe for concurrent use; everything below mailbox belongs to the loop.
type Population struct {
	wakeFD int // eventfd, readable when the mailbox has something
	done   chan struct{}

	mu      sync.Mutex
	mailbox []func()

	epollFD int
	closing bool
	options Options
	address netip.AddrPort
	upgrade []byte // the request, the same for all
	accept  string
	buffer  []byte

	conns    []conn
	tails    map[int32][]byte // bytes of an incomplete frame or head, by connection
	opened   int              // connections that were begun
	again    []int32          // of them, those to begin again
	inFlight int

	totals    Totals
	stamps    wire.StampReader
	latencies *hdrhistogram.Histogram
	mask      *rand.Rand
	waiters   []waiter
}

// waiter is a call that returns once finished says so.
type waiter struct {
	finished func() (bool, error)
	result   chan error // holds one
}

// Open starts a population without connecting it. The caller closes it.
func Open(o Options) (*Population, error) {
	o, address, err := o.validated()
	if err != nil {
		return nil, err
	}
	p := &Population{
		done:      make(chan struct{}),
		options:   o,
		address:   address,
		buffer:    make([]byte, readBufferBytes),
		conns:     make([]conn, o.Connections),
		tails:     make(map[int32][]byte),
		latencies: NewLatencies(),
		mask:      rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
	key := newKey(p.mask)
	p.accept = wire.Accept(key)
	p.upgrade = wire.AppendUpgrade(nil, o.Address, o.Path, key)
	if p.epollFD, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = unix.Close(p.epollFD)
		return nil, fmt.Errorf("create event descriptor: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeIndex}
	if err := unix.EpollCtl(p.epollFD, unix.EPOLL_CTL_ADD, p.wakeFD, &event); err != nil {
		_ = unix.Close(p.epollFD)
		_ = unix.Close(p.wakeFD)
		return nil, fmt.Errorf("watch event descriptor: %w", err)
	}
	go p.run()
	return p, nil
}

// Connect opens all connections and returns when each holds its subscription, or
// with an error as soon as one cannot.
func (p *Population) Connect(ctx context.Context) error {
	return p.await(ctx, p.openMore, func() (bool, error) {
		if p.totals.Failed+p.totals.Dropped > 0 {
			return true, fmt.Errorf("%d of %d connections failed, %d dropped: %q",
				p.totals.Failed, len(p.conns), p.totals.Dropped, p.totals.Errors)
		}
		return p.totals.Subscribed == len(p.conns), nil
	})
}

// Await returns when every connection has received as many distinct events since
// the start.
func (p *Population) Await(ctx context.Context, events uint64) error {
	want := events * uint64(p.options.Connections)
	return p.await(ctx, nil, func() (bool, error) {
		if p.totals.Dropped > 0 {
			return true, fmt.Errorf("%d dropped: %q", p.totals.Dropped, p.totals.Errors)
		}
		return p.totals.Received >= want, nil
	})
}

// Totals returns what was seen so far, and the latencies of the events received
// since the last call with reset.
func (p *Population) Totals(ctx context.Context, reset bool) (Totals, *hdrhistogram.Histogram, error) {
	var totals Totals
	var latencies *hdrhistogram.Histogram
	err := p.await(ctx, func() {
		totals = p.totals
		latencies = hdrhistogram.Import(p.latencies.Export())
		if reset {
			p.latencies.Reset()
		}
	}, func() (bool, error) { return true, nil })
	return totals, latencies, err
}

// Close resets all connections and returns when the loop has ended.
func (p *Population) Close() {
	p.post(func() { p.closing = true })
	<-p.done
}

// await runs begin on the loop, then waits until finished says so there.
func (p *Population) await(ctx context.Context, begin func(), finished func() (bool, error)) error {
	result := make(chan error, 1)
	p.post(func() {
		if begin != nil {
			begin()
		}
		p.waiters = append(p.waiters, waiter{finished, result})
	})
	select {
	case err := <-result:
		return err
	case <-p.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// post hands f to the loop.
func (p *Population) post(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mailbox = append(p.mailbox, f)
	if len(p.mailbox) == 1 && !p.ended() {
		_, _ = unix.Write(p.wakeFD, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

// ended reports whether the loop has closed its descriptors. Called with mu held,
// which the loop takes to close them.
func (p *Population) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
