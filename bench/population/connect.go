package population

import (
	"fmt"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// openMore begins connections until enough are under way. While they are, each
// that gets its subscription makes room for the next.
func (p *Population) openMore() {
	for p.inFlight < p.options.InFlight && p.totals.Failed == 0 {
		i, ok := p.next()
		if !ok {
			return
		}
		p.inFlight++
		if err := p.openConn(i); err != nil {
			p.fail(int32(i), err)
		}
	}
}

// next returns the connection to begin next. Those to begin again come last, so
// that what refused them has time to pass.
func (p *Population) next() (i int, ok bool) {
	switch left := len(p.again); {
	case p.opened < len(p.conns):
		p.opened++
		return p.opened - 1, true
	case left > 0:
		i = int(p.again[left-1])
		p.again = p.again[:left-1]
		p.conns[i].stage = stageIdle
		return i, true
	}
	return 0, false
}

// openConn creates the socket of connection i and begins its handshake.
func (p *Population) openConn(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	c := &p.conns[i]
	c.fd, c.stage = int32(fd), stageConnecting
	if source, ok := p.options.source(p.address, i); ok {
		// The kernel picks the port at connect, where it may share it between targets.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("defer the port: %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: source}); err != nil {
			return fmt.Errorf("bind to %v: %w", source, err)
		}
	}
	to := &unix.SockaddrInet4{Addr: p.address.Addr().As4(), Port: int(p.address.Port())}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect to %s: %w", p.address, err)
	}
	// Level-triggered, and for output too until the request is out.
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	// Fast path: on loopback the handshake is over when connect returns.
	switch err := p.write(c, p.upgrade); err {
	case nil:
		c.stage = stageUpgrading
	case unix.EAGAIN, unix.ENOTCONN:
		event.Events |= unix.EPOLLOUT
	default:
		return fmt.Errorf("send upgrade: %w", err)
	}
	if err := unix.EpollCtl(p.epollFD, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// onConnected sends the request once the TCP handshake is over.
func (p *Population) onConnected(i int32) {
	c := &p.conns[i]
	code, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err != nil {
		p.fail(i, fmt.Errorf("connect to %s: %w", p.address, err))
		return
	}
	if err := p.write(c, p.upgrade); err != nil {
		p.fail(i, fmt.Errorf("send upgrade: %w", err))
		return
	}
	c.stage = stageUpgrading
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: i}
	if err := unix.EpollCtl(p.epollFD, unix.EPOLL_CTL_MOD, int(c.fd), &event); err != nil {
		p.fail(i, fmt.Errorf("watch socket: %w", err))
	}
}

// onUpgraded checks the answer at the start of b and returns what follows it, or
// nil when the head is incomplete or wrong.
func (p *Population) onUpgraded(i int32, b []byte) (rest []byte, complete bool) {
	end := wire.HeadBytes(b)
	if end == 0 {
		if len(b) > wire.MaxHeadBytes {
			p.fail(i, fmt.Errorf("upgrade answer exceeds limit %d", wire.MaxHeadBytes))
		}
		return b, false
	}
	if err := wire.CheckSwitching(b[:end], p.accept); err != nil {
		p.fail(i, err)
		return nil, false
	}
	p.conns[i].stage = stageEstablished
	return b[end:], true
}

// onEstablished subscribes.
func (p *Population) onEstablished(i int32) {
	c := &p.conns[i]
	if err := p.write(c, p.options.appendSubscribe(nil, int(i), p.mask.Uint32())); err != nil {
		p.fail(i, fmt.Errorf("send subscribe: %w", err))
		return
	}
	c.stage = stageSubscribing
}

func (p *Population) onSubscribed(i int32) {
	p.conns[i].stage = stageSubscribed
	p.totals.Subscribed++
	p.inFlight--
	p.openMore()
}

// fail ends a connection and counts it as dropped, as failed, or as one to try
// again.
func (p *Population) fail(i int32, err error) {
	c := &p.conns[i]
	p.totals.noteError(err.Error())
	switch c.stage {
	case stageEnded:
		return
	case stageSubscribed:
		p.totals.Subscribed--
		p.totals.Dropped++
	default:
		p.inFlight--
		if p.totals.Retried < p.options.Retries {
			p.totals.Retried++
			p.again = append(p.again, i)
			p.post(p.openMore) // not here: it may be what called
		} else {
			p.totals.Failed++
		}
	}
	delete(p.tails, i)
	if c.stage == stageIdle {
		c.stage = stageEnded // there is no descriptor to close
		return
	}
	p.closeConn(c)
}

// write sends b whole. What the client sends is far smaller than a socket buffer,
// so a short write means a server that does not read.
func (p *Population) write(c *conn, b []byte) error {
	n, err := unix.Write(int(c.fd), b)
	if err == nil && n < len(b) {
		return fmt.Errorf("%d of %d bytes taken", n, len(b))
	}
	return err
}
