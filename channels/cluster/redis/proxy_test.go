package redis

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between an adapter and Redis and can be cut, stalled and slowed.
type proxy struct {
	listener net.Listener
	target   string
	group    sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // on mu
	conns   map[net.Conn]bool
	down    bool // accepts and closes at once
	stalled bool // passes nothing on
	mute    bool // passes no answers on
	closed  bool
	delay   time.Duration
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: make(map[net.Conn]bool)}
	p.changed.L = &p.mu
	p.group.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refused := p.down || p.closed
		p.mu.Unlock()
		if refused {
			in.Close()
			continue
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.mu.Unlock()
		p.group.Go(func() { p.pass(in, out, false) })
		p.group.Go(func() { p.pass(out, in, true) })
	}
}

func (p *proxy) pass(from, to net.Conn, answers bool) {
	defer p.drop(from, to)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		for (p.stalled || p.mute && answers) && !p.closed {
			p.changed.Wait()
		}
		delay := p.delay
		p.mu.Unlock()
		if delay > 0 {
			time.Sleep(delay) // a slow network
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

// cut closes every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// set changes how the proxy behaves.
func (p *proxy) set(change func(p *proxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
	p.changed.Broadcast()
}

func (p *proxy) close() {
	p.set(func(p *proxy) { p.closed = true })
	p.listener.Close()
	p.cut()
	p.group.Wait()
}
