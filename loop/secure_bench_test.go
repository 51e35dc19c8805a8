package loop_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"resound/frame"
	"resound/loop"
)

// benchServerEnv makes the test binary one of the servers of BenchmarkTLS.
const benchServerEnv = "RESOUND_TLS_SERVER"

const (
	benchConnections = 3000
	benchEvents      = 20 // of one round
	benchFrameBytes  = 160

	// recordHead and recordTail are what TLS 1.3 adds to the plaintext of a record.
	recordHead = 5
	recordTail = 1 + 16
)

// BenchmarkTLS compares the event loops with the usual server that has goroutines
// for each connection, in processes of their own and in one run: resident bytes of
// an idle connection, deliveries a second and CPU of the server for each. Events go
// to everybody: one when the one before has arrived everywhere, or with several
// under way, as when the application does not wait.
func BenchmarkTLS(b *testing.B) {
	for _, window := range []int{1, 8} {
		for _, kind := range []string{"goroutines", "loop", "goroutines", "loop"} {
			b.Run(fmt.Sprintf("window=%d/%s", window, kind), func(b *testing.B) { benchTLS(b, kind, window) })
		}
	}
}

func benchTLS(b *testing.B, kind string, window int) {
	s := startBenchServer(b, kind)
	empty := s.rss(b)
	c := dialBench(b, s.addr)
	s.settle(b)
	loaded := s.rss(b)
	c.run(b, s, 1, 1) // warm up
	cpu := s.cpu(b)
	b.ResetTimer()
	for range b.N {
		c.run(b, s, benchEvents, window)
	}
	b.StopTimer()
	b.ReportMetric(float64(loaded-empty)/benchConnections, "B/conn")
	deliveries := float64(b.N * benchEvents * benchConnections)
	b.ReportMetric(deliveries/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64((s.cpu(b)-cpu).Microseconds())/deliveries, "server-us/delivery")
}

// benchServer is a server process.
type benchServer struct {
	cmd  *exec.Cmd
	in   io.Writer
	out  *bufio.Reader
	addr string
}

func startBenchServer(b *testing.B, kind string) *benchServer {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), benchServerEnv+"="+kind)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	s := &benchServer{cmd: cmd, in: in, out: bufio.NewReader(out)}
	s.addr = s.line(b)
	return s
}

func (s *benchServer) line(b *testing.B) string {
	line, err := s.out.ReadString('\n')
	if err != nil {
		b.Error(err)
	}
	return strings.TrimSpace(line)
}

// settle has the server give back what it does not need.
func (s *benchServer) settle(b *testing.B) {
	_, _ = fmt.Fprintln(s.in, "settle")
	s.line(b)
}

func (s *benchServer) proc(b *testing.B, file string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, file))
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

func (s *benchServer) rss(b *testing.B) int {
	pages, err := strconv.Atoi(strings.Fields(s.proc(b, "statm"))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func (s *benchServer) cpu(b *testing.B) time.Duration {
	_, after, _ := strings.Cut(s.proc(b, "stat"), ") ")
	var ticks int
	for _, field := range strings.Fields(after)[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// benchClients count what arrives without decrypting it, so that they cost little
// beside the server.
type benchClients struct {
	epoll   int
	conns   []net.Conn
	records map[int32]*recordReader // by descriptor
}

// recordReader counts the plaintext in a stream of records.
type recordReader struct {
	head [recordHead]byte
	have int // bytes of head
	left int // of the record behind it
}

func (r *recordReader) read(b []byte) (plaintext int) {
	for len(b) > 0 {
		if r.left > 0 {
			n := min(r.left, len(b))
			r.left, b = r.left-n, b[n:]
			continue
		}
		n := copy(r.head[r.have:], b)
		b = b[n:]
		if r.have += n; r.have == recordHead {
			r.have, r.left = 0, int(r.head[3])<<8|int(r.head[4])
			plaintext += r.left - recordTail
		}
	}
	return plaintext
}

func dialBench(b *testing.B, addr string) *benchClients {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	c := &benchClients{epoll: epoll, records: make(map[int32]*recordReader)}
	b.Cleanup(func() {
		_ = unix.Close(epoll)
		for _, conn := range c.conns {
			_ = conn.Close()
		}
	})
	o := clientTLS()
	o.MinVersion = tls.VersionTLS13
	o.InsecureSkipVerify = true // the server process made a certificate of its own
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	for range benchConnections {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			raw, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			secure := tls.Client(raw, o)
			_, _ = io.WriteString(secure, handshake)
			answer := bufio.NewReader(secure)
			for {
				line, err := answer.ReadString('\n')
				if err != nil {
					b.Error(err)
					return
				}
				if line == "\r\n" {
					break
				}
			}
			mu.Lock()
			defer mu.Unlock()
			c.conns = append(c.conns, raw)
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	for i, conn := range c.conns {
		file, err := conn.(*net.TCPConn).File()
		if err != nil {
			b.Fatal(err)
		}
		c.conns[i] = wrapFile{conn, file}
		fd := int(file.Fd())
		c.records[int32(fd)] = &recordReader{}
		if err := unix.SetNonblock(fd, true); err != nil {
			b.Fatal(err)
		}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

type wrapFile struct {
	net.Conn
	file *os.File
}

func (w wrapFile) Close() error {
	_ = w.file.Close()
	return w.Conn.Close()
}

// run has the server send events to everybody, window of them under way at most, and
// reads until all have arrived.
func (c *benchClients) run(b *testing.B, s *benchServer, events, window int) {
	one := len(c.conns) * benchFrameBytes // of an event, to everybody
	buf := make([]byte, 64<<10)
	var ready [256]unix.EpollEvent
	for got, sent := 0, 0; got < events*one; {
		for sent < events && got >= (sent-window+1)*one {
			_, _ = fmt.Fprintln(s.in, "event")
			sent++
		}
		n, err := unix.EpollWait(c.epoll, ready[:], 5000)
		if n == 0 || err != nil && err != unix.EINTR {
			b.Fatalf("%d bytes of %d events to %d: %v", got, sent, len(c.conns), err)
		}
		for _, e := range ready[:max(n, 0)] {
			if n, _ := unix.Read(int(e.Fd), buf); n > 0 {
				got += c.records[e.Fd].read(buf[:n])
			}
		}
	}
}

// serveBench is the main function of a server process.
func serveBench(kind string) {
	runtime.GOMAXPROCS(4)
	var broadcast func()
	switch kind {
	case "loop":
		broadcast = serveLoop()
	default:
		broadcast = serveGoroutines()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "event" {
			broadcast()
			continue
		}
		debug.FreeOSMemory()
		fmt.Println("settled")
	}
}

func benchFrame() []byte {
	f := frame.AppendText(nil, make([]byte, benchFrameBytes-4))
	if len(f) != benchFrameBytes {
		panic(len(f))
	}
	return f
}

// benchHandler sends to its connections.
type benchHandler struct {
	*loop.Reactor
	conns []int32
}

func (h *benchHandler) OnOpen(conn int32, _ *frame.Request) { h.conns = append(h.conns, conn) }
func (h *benchHandler) OnMessage(int32, bool, []byte)       {}
func (h *benchHandler) OnControl(int32)                     {}
func (h *benchHandler) OnDeadline(int32)                    {}
func (h *benchHandler) OnClosed(int32)                      {}

func (h *benchHandler) OnMail(batch []any) int {
	f := batch[0].([]byte)
	for _, conn := range h.conns {
		h.Send(conn, f)
	}
	return 1
}

func serveLoop() (broadcast func()) {
	e, err := loop.New(loop.Options{
		Addr: "127.0.0.1:0", Reactors: 2, TLS: serverTLS(),
		NewHandler: func(r *loop.Reactor) loop.Handler { return &benchHandler{Reactor: r} },
	})
	if err != nil {
		panic(err)
	}
	go func() {
		if err := e.Run(); err != nil {
			panic(err)
		}
	}()
	<-e.Ready()
	fmt.Println(e.Addr())
	f := benchFrame()
	return func() {
		for _, r := range e.Reactors() {
			r.Post(f)
		}
	}
}

func serveGoroutines() (broadcast func()) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS())
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	var mu sync.Mutex
	var queues []chan []byte
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			go func() {
				in := bufio.NewReaderSize(c, 4096)
				var head []byte
				for !strings.HasSuffix(string(head), "\r\n\r\n") {
					one, err := in.ReadByte()
					if err != nil {
						return
					}
					head = append(head, one)
				}
				request, rejection := frame.ParseRequest(head)
				if rejection != nil {
					panic(rejection)
				}
				_, _ = c.Write(frame.AppendAccept(nil, &request))
				queue := make(chan []byte, 16)
				mu.Lock()
				queues = append(queues, queue)
				mu.Unlock()
				// A second goroutine writes, what waits in one write: one client that does
				// not read must not keep the others waiting.
				go func() {
					var buf []byte
					for f := range queue {
						if len(queue) > 0 {
							buf = append(buf[:0], f...)
							for len(queue) > 0 {
								buf = append(buf, <-queue...)
							}
							f = buf
						}
						_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
						_, _ = c.Write(f)
					}
				}()
				_, _ = io.Copy(io.Discard, in)
			}()
		}
	}()
	f := benchFrame()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		for _, queue := range queues {
			queue <- f
		}
	}
}
