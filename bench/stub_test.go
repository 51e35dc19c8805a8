package bench

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"resound/bench/floor"
	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/wire"
)

// roleVariable makes the test binary play the program: its hidden subcommands, and
// a server that can be spawned.
const roleVariable = "BENCH_TEST_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		if err := playRole(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	// For the children; the tests themselves no longer look at it.
	if err := os.Setenv(roleVariable, "yes"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func playRole(subcommand string, args []string) error {
	flags := flag.NewFlagSet(subcommand, flag.ExitOnError)
	var o floor.Options
	flags.IntVar(&o.Threads, "threads", 1, "")
	flags.StringVar(&o.Channel, "channel", "", "")
	flags.IntVar(&o.PayloadBytes, "payload", 0, "")
	flags.BoolVar(&o.Packed, "packed", false, "")
	secret := flags.String("secret", "", "")
	host, port := flags.String("host", "", ""), flags.Int("port", 0, "")
	flags.Int("workers", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch subcommand {
	case SubcommandClient:
		return population.Serve(os.Stdin, os.Stdout)
	case SubcommandFloor:
		return floor.Serve(os.Stdin, os.Stdout, o)
	case SubcommandFloorHTTP:
		return floor.ServeHTTP(os.Stdin, os.Stdout, *secret, o.Threads)
	case "start":
		if os.Getenv("REVERB_APP_KEY") == "" {
			return fmt.Errorf("no app in the environment")
		}
		listener, err := net.Listen("tcp4", net.JoinHostPort(*host, strconv.Itoa(*port)))
		if err != nil {
			return err
		}
		(&stub{listener: listener}).serve()
	}
	return fmt.Errorf("unknown subcommand %q", subcommand)
}

// stub is a server with one channel that every connection subscribes to. It can be
// told to deliver wrongly.
type stub struct {
	listener net.Listener
	deliver  func(events [][]byte) [][]byte // nil means as they are
	status   string                         // of triggers; "" means 200 OK

	mu          sync.Mutex
	subscribers []net.Conn
	all         []net.Conn
	serving     sync.WaitGroup
}

func startStub(t *testing.T, s *stub) string {
	t.Helper()
	var err error
	if s.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.serving.Go(s.serve)
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.mu.Lock()
		for _, conn := range s.all {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.serving.Wait()
	})
	return "ws://" + s.listener.Addr().String()
}

func (s *stub) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.all = append(s.all, conn)
		s.mu.Unlock()
		s.serving.Go(func() {
			defer conn.Close()
			s.serveConn(conn)
		})
	}
}

func (s *stub) serveConn(conn net.Conn) {
	buffer := make([]byte, 32<<10)
	for subscribed := false; ; {
		n, err := conn.Read(buffer)
		b := buffer[:n]
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(b, []byte("GET ")):
			answer := "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " +
				wire.Accept(string(wire.HeaderValue(b, "Sec-WebSocket-Key"))) + "\r\n\r\n"
			_, _ = conn.Write(wire.AppendFrame([]byte(answer), wire.OpText, wire.AppendEstablished(nil, "1.1")))
		case bytes.HasPrefix(b, []byte("POST ")):
			status := s.status
			if status == "" {
				status = "200 OK"
				s.broadcast(b[wire.HeadBytes(b):])
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 2\r\n\r\n{}")
		case !subscribed:
			subscribed = true
			_, _ = conn.Write(wire.AppendFrame(nil, wire.OpText, wire.AppendSubscribed(nil, "c")))
			s.mu.Lock()
			s.subscribers = append(s.subscribers, conn)
			s.mu.Unlock()
		}
	}
}

// broadcast sends the events of a trigger's body to all subscribers.
func (s *stub) broadcast(body []byte) {
	_, channel, _ := strings.Cut(string(body), `"channel":"`)
	channel, _, _ = strings.Cut(channel, `"`)
	var events [][]byte
	for _, rest := range strings.Split(string(body), `"data":"`)[1:] {
		data, _, _ := strings.Cut(rest, `"`)
		events = append(events, wire.AppendFrame(nil, wire.OpText, wire.AppendEvent(nil, channel, []byte(data))))
	}
	if s.deliver != nil {
		events = s.deliver(events)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.subscribers {
		_, _ = conn.Write(bytes.Join(events, nil))
	}
}

// testSettings measure little, of the server at target.
func testSettings(target string) Settings {
	return Settings{
		Target:      target,
		App:         wire.App{ID: "1", Key: "key", Secret: "secret"},
		PIDs:        []int{os.Getpid()},
		Self:        process.Command{Path: os.Args[0], Stderr: os.Stderr},
		FloorKind:   FloorGo,
		Connections: 50,
		Rounds:      2,
		Events:      16,
		Duration:    50 * time.Millisecond,
		Threads:     1,
		Timeout:     time.Minute,
	}
}
