package loop_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"resound/frame"
	"resound/loop"
)

// benchServerEnv makes the test binary one of the servers of BenchmarkTLS.
const benchServerEnv = "RESOUND_TLS_SERVER"

const (
	benchConnections = 3000
	benchRounds      = 20  // broadcasts in a row, in one measurement
	benchQueue       = 16  // events that may wait for a connection of the other server
	benchFrameBytes  = 160 // of an event
)

// BenchmarkTLS compares the event loops with the usual server that has a goroutine
// reading and one writing for each connection. Both are processes of their own,
// with their connections open all the time. One measurement after the other, in
// pairs: b.N of them, whose medians are reported; every ratio is the loops' figure
// divided by the other's of the same pair. A broadcast begins when the last client
// has the one before in whole, as what clients wait for is the last of them.
//
//	go test ./loop -run - -bench BenchmarkTLS -benchtime 15x
func BenchmarkTLS(b *testing.B) {
	servers := []*benchServer{startBenchServer(b, "loop"), startBenchServer(b, "goroutines")}
	var bytes [2]float64
	for i, s := range servers {
		before := s.rss(b)
		s.dial(b)
		s.command(b, "settle")
		bytes[i] = float64(s.rss(b)-before) / benchConnections
	}
	for _, row := range []struct {
		name   string
		events int // of one broadcast, all posted before the first is written
	}{
		{"one event after the other", 1},
		{"eight events at a time", 8},
	} {
		b.Run(row.name, func(b *testing.B) {
			var got [2][]benchResult
			for i := range servers {
				servers[i].measure(b, row.events) // warm up
			}
			for b.Loop() {
				first := len(got[0]) % 2 // neither is always the one that goes first
				for i := range servers {
					i ^= first
					got[i] = append(got[i], servers[i].measure(b, row.events))
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, m := range []struct {
				unit string
				of   func(benchResult) float64
			}{
				{"deliveries/s", func(r benchResult) float64 { return r.rate }},
				{"us/delivery", func(r benchResult) float64 { return r.server }},
				{"cores", func(r benchResult) float64 { return r.cores }},
			} {
				var ratios []float64
				for i := range got[0] {
					ratios = append(ratios, m.of(got[0][i])/m.of(got[1][i]))
				}
				for i, name := range []string{"loop", "other"} {
					var all []float64
					for _, r := range got[i] {
						all = append(all, m.of(r))
					}
					b.ReportMetric(median(all), name+"-"+m.unit)
				}
				if m.unit != "cores" {
					b.ReportMetric(median(ratios), "ratio-"+m.unit)
				}
			}
			b.ReportMetric(bytes[0], "loop-B/conn")
			b.ReportMetric(bytes[1], "other-B/conn")
			b.ReportMetric(bytes[0]/bytes[1], "ratio-B/conn")
		})
	}
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}

// benchResult is one measurement.
type benchResult struct {
	rate   float64 // deliveries a second
	server float64 // microseconds of the server's CPU for one
	cores  float64 // that the server and the clients kept busy
}

// benchServer is a server process and its clients.
type benchServer struct {
	cmd     *exec.Cmd
	in      io.Writer
	out     *bufio.Reader
	addr    string
	readers []*benchReader
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
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// command sends one and waits until it is under way.
func (s *benchServer) command(b *testing.B, text string) {
	_, _ = fmt.Fprintln(s.in, text)
	s.line(b)
}

func (s *benchServer) rss(b *testing.B) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// cpuTime is what a process, 0 for this one, has used of all CPUs.
func cpuTime(b *testing.B, pid int) time.Duration {
	clock := int32(unix.CLOCK_PROCESS_CPUTIME_ID)
	if pid != 0 {
		clock = int32(^pid)<<3 | unix.CLOCK_PROCESS_CPUTIME_ID
	}
	var used unix.Timespec
	if err := unix.ClockGettime(clock, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Nano())
}

// measure has events broadcast, benchRounds times.
func (s *benchServer) measure(b *testing.B, events int) benchResult {
	server, clients, start := cpuTime(b, s.cmd.Process.Pid), cpuTime(b, 0), time.Now()
	for range benchRounds {
		s.command(b, "broadcast "+strconv.Itoa(events))
		s.await(b, events)
	}
	took := time.Since(start)
	server, clients = cpuTime(b, s.cmd.Process.Pid)-server, cpuTime(b, 0)-clients
	deliveries := float64(benchRounds * events * benchConnections)
	return benchResult{
		rate:   deliveries / took.Seconds(),
		server: float64(server) / float64(time.Microsecond) / deliveries,
		cores:  float64(server+clients) / float64(took),
	}
}

// await waits until every connection has had its events.
func (s *benchServer) await(b *testing.B, events int) {
	for _, r := range s.readers {
		r.events <- events
	}
	for _, r := range s.readers {
		if err := <-r.done; err != nil {
			b.Fatal(err)
		}
	}
}

// benchReader is a thread with half of the clients. It counts what arrives without
// decrypting it, and goes from one client to the next in an order that has nothing
// to do with the server's: it sleeps a few times for a broadcast. Clients on other
// hosts cost the server no CPU; waking one thread for each delivery was a third of
// what the event loops used, and less for who hardly lets it sleep.
type benchReader struct {
	conns  []benchClient
	events chan int
	done   chan error
}

type benchClient struct {
	fd   int
	head [5]byte // of the record that begins
	have int     // bytes of head
	skip int     // bytes of the record that are still to come
}

func (s *benchServer) dial(b *testing.B) {
	conns := make([]benchClient, benchConnections)
	b.Cleanup(func() {
		for _, c := range conns {
			_ = unix.Close(c.fd)
		}
	})
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	for i := range conns {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			var err error
			if conns[i], err = dialBench(s.addr); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	mixed := slices.Clone(conns)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	for of := range slices.Chunk(mixed, benchConnections/2) {
		r := &benchReader{conns: of, events: make(chan int), done: make(chan error)}
		s.readers = append(s.readers, r)
		b.Cleanup(func() { close(r.events) })
		go r.run()
	}
}

func dialBench(addr string) (c benchClient, err error) {
	c.fd = -1
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		return c, err
	}
	defer raw.Close()
	o := clientTLS()
	o.MinVersion = tls.VersionTLS13
	o.InsecureSkipVerify = true // the server process made a certificate of its own
	secure := tls.Client(raw, o)
	if _, err := io.WriteString(secure, handshake); err != nil {
		return c, err
	}
	for answer := bufio.NewReader(secure); ; {
		line, err := answer.ReadString('\n')
		if err != nil {
			return c, err
		}
		if line == "\r\n" {
			break
		}
	}
	// A descriptor of its own: the runtime watches its own for ever, and would wake
	// a thread for whatever arrives.
	socket, err := raw.(*net.TCPConn).SyscallConn()
	if err != nil {
		return c, err
	}
	controlErr := socket.Control(func(fd uintptr) { c.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	return c, errors.Join(controlErr, err)
}

func (r *benchReader) run() {
	runtime.LockOSThread()
	buf := make([]byte, 64<<10)
	for events := range r.events {
		var err error
		for i := range r.conns {
			if err = r.conns[i].read(events*benchFrameBytes, buf); err != nil {
				break
			}
		}
		r.done <- err
	}
}

// read waits for that many bytes of plaintext.
func (c *benchClient) read(bytes int, buf []byte) error {
	for bytes > 0 {
		// Raw, as the server's writes are: it never sleeps.
		n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)))
		switch {
		case errno == unix.EAGAIN:
			ready, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, 10_000)
			if ready == 0 || err != nil && err != unix.EINTR {
				return fmt.Errorf("waiting for %d bytes: %w", bytes, err)
			}
		case errno != 0 || n == 0:
			return errors.New("the server closed a connection")
		default:
			bytes -= c.plaintext(buf[:n])
		}
	}
	return nil
}

// plaintext is how many bytes of plaintext begin in b.
//
// RFC 8446 section 5.2: a record has a header of 5 bytes; a tag of 16 and the type
// are encrypted with the content.
func (c *benchClient) plaintext(b []byte) (bytes int) {
	for len(b) > 0 {
		if n := min(c.skip, len(b)); n > 0 {
			b, c.skip = b[n:], c.skip-n
			continue
		}
		n := copy(c.head[c.have:], b)
		b, c.have = b[n:], c.have+n
		if c.have == len(c.head) {
			c.have, c.skip = 0, int(c.head[3])<<8+int(c.head[4])
			bytes += c.skip - 16 - 1
		}
	}
	return bytes
}

// serveBench is the main function of a server process. Both may use as many
// processors as "resound start" would, docs/adr/0005-processors.md.
func serveBench(kind string) {
	runtime.GOMAXPROCS(4)
	var broadcast func(frame []byte)
	switch kind {
	case "loop":
		broadcast = serveLoop()
	default:
		broadcast = serveGoroutines()
	}
	f := frame.AppendText(nil, make([]byte, benchFrameBytes-4))
	if len(f) != benchFrameBytes {
		panic(len(f))
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		name, argument, _ := strings.Cut(in.Text(), " ")
		if name == "settle" {
			debug.FreeOSMemory()
		} else if n, err := strconv.Atoi(argument); err == nil {
			for range n {
				broadcast(f)
			}
		}
		fmt.Println("done")
	}
}

// benchHandler sends every event to its connections.
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

func serveLoop() (broadcast func(frame []byte)) {
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
	return func(frame []byte) {
		for _, r := range e.Reactors() {
			r.Post(frame)
		}
	}
}

// serveGoroutines does what matters to those who wait as the event loops do: a
// client that does not read keeps nobody waiting and is let go, and what waits for
// a client leaves in one write.
func serveGoroutines() (broadcast func(frame []byte)) {
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
				head, err := readHead(in)
				if err != nil {
					return
				}
				request, rejection := frame.ParseRequest(head)
				if rejection != nil {
					panic(rejection)
				}
				_, _ = c.Write(frame.AppendAccept(nil, &request))
				queue := make(chan []byte, benchQueue)
				mu.Lock()
				queues = append(queues, queue)
				mu.Unlock()
				go writeQueue(c, queue)
				_, _ = io.Copy(io.Discard, in)
			}()
		}
	}()
	return func(frame []byte) {
		for _, queue := range queues {
			select {
			case queue <- frame:
			default:
				panic("a client that reads was taken for one that does not")
			}
		}
	}
}

// writeQueue is a goroutine of a connection.
func writeQueue(c net.Conn, queue chan []byte) {
	var gathered []byte
	for f := range queue {
		if len(queue) > 0 {
			gathered = append(gathered[:0], f...)
			for range len(queue) {
				gathered = append(gathered, <-queue...)
			}
			f = gathered
		}
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(f); err != nil {
			_ = c.Close()
			return
		}
	}
}
