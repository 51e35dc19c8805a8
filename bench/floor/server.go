package floor

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// Options describes a bare server.
type Options struct {
	Threads      int    // Zero means one.
	Packed       bool   // what waits for a channel leaves in one write
	Channel      string // of publications that name none
	PayloadBytes int    // of each event's data in a Publication. Zero means 100.
}

const (
	defaultPayloadBytes = 100
	maxThreads          = 64
)

// Publication is a run of events on a channel, as the coordinator asks for it. Events
// also come by HTTP, with data of their own.
type Publication struct {
	First   uint32 `json:"first"`             // number of the first event
	Events  int    `json:"events"`            // how many, with consecutive numbers
	Nanos   int64  `json:"nanos"`             // when they were sent, for their stamps
	Packed  bool   `json:"packed"`            // all in one write, whether or not they had to wait
	Channel string `json:"channel,omitempty"` // "" means Options.Channel
}

// Counts is what a bare server could not do as it should.
type Counts struct {
	ShortWrites uint64 `json:"short_writes"` // continued once the socket took more
	Dropped     uint64 `json:"dropped"`      // connections that did not read
	Refused     uint64 `json:"refused"`      // publications that found a mailbox full
}

// Server is a running bare server. Its methods are safe for concurrent use.
type Server struct {
	port     int
	options  Options
	threads  []*thread
	channels channelTable

	shortWrites, dropped, refused atomic.Uint64
}

// Listen starts the threads on a free port of 127.0.0.1. The caller closes it.
func Listen(o Options) (*Server, error) {
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.PayloadBytes == 0 {
		o.PayloadBytes = defaultPayloadBytes
	}
	if o.Threads < 1 || o.Threads > maxThreads {
		return nil, fmt.Errorf("%d threads, want 1 to %d", o.Threads, maxThreads)
	}
	if err := wire.CheckPayloadBytes(o.PayloadBytes); err != nil {
		return nil, err
	}
	s := &Server{options: o, channels: channelTable{byName: make(map[string]*channel)}}
	for number := range o.Threads {
		t, err := newThread(s, number)
		if err != nil {
			for _, earlier := range s.threads {
				earlier.closeDescriptors()
			}
			return nil, err
		}
		s.port = t.port
		s.threads = append(s.threads, t)
	}
	for _, t := range s.threads {
		go t.run()
	}
	return s, nil
}

// Port returns the port the threads share.
func (s *Server) Port() int { return s.port }

// Counts returns what the server could not do so far.
func (s *Server) Counts() Counts {
	return Counts{ShortWrites: s.shortWrites.Load(), Dropped: s.dropped.Load(), Refused: s.refused.Load()}
}

// Publish hands p to every thread and does not wait for the writes.
func (s *Server) Publish(p Publication) {
	name := p.Channel
	if name == "" {
		name = s.options.Channel
	}
	var frames []byte
	for i := range p.Events {
		stamp := wire.Stamp{Sequence: p.First + uint32(i), SentNanos: p.Nanos}
		data := wire.AppendStamped(nil, stamp, s.options.PayloadBytes)
		frames = wire.AppendFrame(frames, wire.OpText, wire.AppendEvent(nil, name, data))
		if p.Packed && i+1 < p.Events {
			continue
		}
		s.deliver(name, frames)
		frames = nil
	}
}

// deliver posts frames to the threads that have a subscriber of the channel and
// reports whether all had room. It keeps frames.
func (s *Server) deliver(name string, frames []byte) bool {
	c, threads := s.channels.interest(name)
	taken := true
	for number, t := range s.threads {
		if threads>>number&1 == 1 && !t.post(publication{c, frames}) {
			s.refused.Add(1)
			taken = false
		}
	}
	return taken
}

// Close ends the threads and closes all connections.
func (s *Server) Close() {
	for _, t := range s.threads {
		t.close()
	}
}

// listen returns a nonblocking listening socket that shares port with others; port
// 0 means a free one.
func listen(port int) (fd, bound int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("create socket: %w", err)
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // inherited by what it accepts
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port})
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		_ = unix.Close(fd)
		return 0, 0, fmt.Errorf("listen on port %d: %w", port, err)
	}
	return fd, name.(*unix.SockaddrInet4).Port, nil
}
