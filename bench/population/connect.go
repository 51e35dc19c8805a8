package population

import (
	"fmt"

	"golang.org/x/sys/unix"

	"resound/bench/process"
	"resound/bench/wire"
)

// openMore begins connections until enough are under way. While they are, each
// that gets its subscription makes room for the next.
func (p *Population) openMore() {
	for p.opened < len(p.conns) && p.inFlight < p.options.InFlight && p.totals.Failed == 0 {
		i := p.opened
		p.opened++
		p.inFlight++
		if err := p.openConn(i); err != nil {
			p.fail(int32(i), err)
		}
	}
}

// openConn creates the socket of connection i and begins its handshake.
func (p *Population) openConn(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("create socket: %w", err)
	}
	c := &p.conns[i]
	c.fd, c.stage, c.held = int32(fd), stageConnecting, 0
	c.began = uint32((process.Nanos() - p.started) / 1000)
	if source, ok := p.options.source(p.address, i); ok {
		// The kernel picks the port at connect, where it may share it between targets.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return fmt.Errorf("defer the port: %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: source}); err != nil {
			return fmt.Errorf("bind to %v: %w", source, err)
		}
	}
	// As browsers do. Without it a frame behind one that has no answer waits 40 ms.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return fmt.Errorf("set no delay: %w", err)
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

// onEstablished begins to subscribe.
func (p *Population) onEstablished(i int32, payload []byte) {
	if p.socketIDs != nil {
		id, ok := wire.SocketID(payload)
		if !ok {
			p.fail(i, fmt.Errorf("no socket id in %.200q", payload))
			return
		}
		p.socketIDs[i] = id
	}
	p.conns[i].stage = stageSubscribing
	p.subscribeNext(i)
}

// subscribeNext subscribes to the next channel, if there is one left.
func (p *Population) subscribeNext(i int32) {
	c := &p.conns[i]
	if int(c.held) == p.options.subscriptions(int(i)) {
		p.onSubscribed(i)
		return
	}
	channel := p.options.channel(int(i), int(c.held))
	if p.options.App != nil {
		p.sendSubscribeAs(i, channel, uint32(p.options.First)+uint32(i)+1)
		return
	}
	b := wire.AppendMasked(nil, wire.OpText, wire.AppendSubscribe(nil, channel), p.mask.Uint32())
	if err := p.write(c, b); err != nil {
		p.fail(i, fmt.Errorf("send subscribe: %w", err))
	}
}

// onSubscribed is called once a connection holds all its subscriptions.
func (p *Population) onSubscribed(i int32) {
	c := &p.conns[i]
	c.stage = stageSubscribed
	took := int64(uint32((process.Nanos()-p.started)/1000) - c.began)
	_ = p.connects.RecordValue(min(max(took, minLatencyMicros), maxLatencyMicros)) // in range
	p.totals.Subscribed++
	p.inFlight--
	p.openMore()
}

// fail ends a connection and counts it as failed, refused or dropped.
func (p *Population) fail(i int32, err error) {
	c := &p.conns[i]
	if c.stage == stageEnded {
		return
	}
	p.totals.noteError(err.Error())
	again := p.options.Retry > 0
	if c.stage == stageSubscribed {
		p.totals.Subscribed--
		p.totals.Dropped++
	} else {
		p.inFlight--
		if again {
			p.noteRefused(c)
		} else {
			p.totals.Failed++
		}
	}
	delete(p.tails, i)
	if c.stage.open() {
		p.closeConn(c)
	}
	c.stage = stageEnded
	if again {
		c.stage = stageIdle
		p.retryLater(i)
	}
}

func (p *Population) noteRefused(c *conn) {
	p.totals.Refused++
	switch c.refused {
	case 0:
		c.refused = 1
	case 1:
		c.refused = 2
		p.totals.RefusedAgain++
	}
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
