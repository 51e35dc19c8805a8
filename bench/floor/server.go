package floor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"resound/bench/wire"
)

// Options describes a bare server.
type Options struct {
	Threads      int    // Zero means one.
	Channel      string // of the publications
	PayloadBytes int    // of their events' data. Zero means 100.
	Packed       bool   // write all that has arrived for a connection with one write(2)
}

const defaultPayloadBytes = 100

// Publication is a run of events for every subscriber of Options.Channel.
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
	if o.Threads < 1 || o.Threads > maxThreads {
		return nil, fmt.Errorf("%d threads, want 1 to %d", o.Threads, maxThreads)
	}
	if err := wire.CheckPayloadBytes(o.PayloadBytes); err != nil {
		return nil, err
	}
	s := &Server{options: o}
	threads := &interest{threads: make(map[string]uint64)}
	for number := range o.Threads {
		t, err := newThread(number, s.port, o, threads)
		if err != nil {
			for _, t := range s.threads {
				t.closeDescriptors()
			}
			return nil, err
		}
		s.port = t.port
		s.threads = append(s.threads, t)
	}
	for _, t := range s.threads {
		t.all = s.threads
		go t.run()
	}
	return s, nil
}

// Port returns the port the threads share.
func (s *Server) Port() int { return s.port }

// Publish hands p to every thread and does not wait for the writes.
func (s *Server) Publish(p Publication) {
	var mail []waiting
	for i := range p.Events {
		stamp := wire.Stamp{Sequence: p.First + uint32(i), SentNanos: p.Nanos}
		data := wire.AppendStamped(nil, stamp, s.options.PayloadBytes)
		frame := wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, s.options.Channel, data))
		if p.Packed && i > 0 {
			mail[0].frames = append(mail[0].frames, frame...)
			continue
		}
		mail = append(mail, waiting{s.options.Channel, frame})
	}
	for _, t := range s.threads {
		t.post(mail...)
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
