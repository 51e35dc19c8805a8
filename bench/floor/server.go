package floor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// Options describes a bare server.
type Options struct {
	Threads      int    // Zero means one.
	Channel      string // named in the event frames
	PayloadBytes int    // of each event's data; Zero means 100.
}

const defaultPayloadBytes = 100

// Publication is a run of events for every connection.
type Publication struct {
	First  uint32 `json:"first"`  // number of the first event
	Events int    `json:"events"` // how many, with consecutive numbers
	Nanos  int64  `json:"nanos"`  // when they were sent, for their stamps
	Packed bool   `json:"packed"` // all in one write, instead of a write each
}

// Server is a running bare server. Its methods are safe for concurrent use.
type Server struct {
	port    int
	options Options
	threads []*thread
}

// Listen starts the threads on a free port of 127.0.0.1. The caller closes it.
func Listen(o Options) (*Server, error) {
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.PayloadBytes == 0 {
		o.PayloadBytes = defaultPayloadBytes
	}
	if o.Threads < 1 {
		return nil, fmt.Errorf("%d threads, want 1 or more", o.Threads)
	}
	if err := wire.CheckPayloadBytes(o.PayloadBytes); err != nil {
		return nil, err
	}
	s := &Server{options: o}
	for range o.Threads {
		t, err := newThread(o.Channel, s.port)
		if err != nil {
			s.Close()
			return nil, err
		}
		s.port = t.port
		s.threads = append(s.threads, t)
		go t.run()
	}
	return s, nil
}

// Port returns the port the threads share.
func (s *Server) Port() int { return s.port }

// Publish hands p to every thread and does not wait for the writes.
func (s *Server) Publish(p Publication) {
	var writes [][]byte
	var packed []byte
	for i := range p.Events {
		stamp := wire.Stamp{Sequence: p.First + uint32(i), SentNanos: p.Nanos}
		data := wire.AppendStamped(nil, stamp, s.options.PayloadBytes)
		frame := wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, s.options.Channel, data))
		writes = append(writes, frame)
		packed = append(packed, frame...)
	}
	if p.Packed {
		writes = [][]byte{packed}
	}
	for _, t := range s.threads {
		t.post(writes)
	}
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
