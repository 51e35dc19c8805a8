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
	benchEvents      = 20 // of one broadcast
	benchFrameBytes  = 160
	// recordOverhead is what TLS 1.3 adds to a frame in a record of its own.
	recordOverhead = 5 + 1 + 16
)

// BenchmarkTLS compares the event loops with the usual server that has a goroutine
// for each connection, in processes of their own and in one run: resident bytes of
// an idle connection, deliveries a second and CPU of the server for each, when one
// event after the other goes to everybody.
func BenchmarkTLS(b *testing.B) {
	for _, kind := range []string{"goroutines", "loop", "goroutines", "loop"} {
		b.Run(kind, func(b *testing.B) {
			s := startBenchServer(b, kind)
			empty := s.rss(b)
			c := dialBench(b, s.addr)
			s.command(b, "settle")
			loaded := s.rss(b)
			s.command(b, "broadcast 1") // warm up
			c.read(b, 1)
			cpu := s.cpu(b)
			b.ResetTimer()
			for range b.N {
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					s.command(b, "broadcast "+strconv.Itoa(benchEvents))
				}()
				c.read(b, benchEvents)
				<-sent
			}
			b.StopTimer()
			b.ReportMetric(float64(loaded-empty)/benchConnections, "B/conn")
			deliveries := float64(b.N * benchEvents * benchConnections)
			b.ReportMetric(deliveries/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64((s.cpu(b)-cpu).Microseconds())/deliveries, "server-us/delivery")
		})
	}
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

// command sends one and waits until it is carried out.
func (s *benchServer) command(b *testing.B, text string) {
	_, _ = fmt.Fprintln(s.in, text)
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
	epoll int
	conns []net.Conn
}

func dialBench(b *testing.B, addr string) *benchClients {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	c := &benchClients{epoll: epoll}
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

// read waits until every connection has had its share of events in whole. Servers
// that put frames together send fewer bytes, which counts as their advantage: it
// is the plaintext that is delivered.
func (c *benchClients) read(b *testing.B, events int) {
	least := len(c.conns) * events * benchFrameBytes
	buf := make([]byte, 64<<10)
	var ready [256]unix.EpollEvent
	for got := 0; got < least; {
		n, err := unix.EpollWait(c.epoll, ready[:], 5000)
		if n == 0 || err != nil && err != unix.EINTR {
			b.Fatalf("%d of %d bytes: %v", got, least, err)
		}
		for _, e := range ready[:max(n, 0)] {
			if n, _ := unix.Read(int(e.Fd), buf); n > 0 {
				got += n - recordOverhead*max(1, n/(benchFrameBytes+recordOverhead))
			}
		}
	}
}

// serveBench is the main function of a server process.
func serveBench(kind string) {
	runtime.GOMAXPROCS(4)
	var broadcastAll func(events int)
	switch kind {
	case "loop":
		broadcastAll = serveLoop()
	default:
		broadcastAll = serveGoroutines()
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		name, argument, _ := strings.Cut(in.Text(), " ")
		if name == "settle" {
			debug.FreeOSMemory()
		} else if n, err := strconv.Atoi(argument); err == nil {
			broadcastAll(n)
		}
		fmt.Println("done")
	}
}

func benchFrame() []byte {
	f := frame.AppendText(nil, make([]byte, benchFrameBytes-4))
	if len(f) != benchFrameBytes {
		panic(len(f))
	}
	return f
}

// benchHandler sends to its connections, one event after the other: a flush lies
// between two.
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

func serveLoop() func(events int) {
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
	return func(events int) {
		for range events {
			writes := e.Stats().Writes
			for _, r := range e.Reactors() {
				r.Post(f)
			}
			for e.Stats().Writes < writes+benchConnections {
				time.Sleep(50 * time.Microsecond)
			}
		}
	}
}

func serveGoroutines() func(events int) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS())
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	var mu sync.Mutex
	var queues []chan []byte
	var written sync.WaitGroup
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
				// A second goroutine writes: one client that does not read must not
				// keep the others waiting.
				go func() {
					for f := range queue {
						_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
						_, _ = c.Write(f)
						written.Done()
					}
				}()
				_, _ = io.Copy(io.Discard, in)
			}()
		}
	}()
	f := benchFrame()
	return func(events int) {
		for range events {
			written.Add(len(queues))
			for _, queue := range queues {
				queue <- f
			}
			written.Wait()
		}
	}
}
