package redis

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// server is a redis-server of a test's own.
type server struct {
	t       testing.TB
	dir     string
	port    int
	args    []string
	command *exec.Cmd
}

// startServer starts redis-server on a free port of 127.0.0.1; it is killed with
// the test.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: t.TempDir(), args: args}
	t.Cleanup(s.stop)
	// The kernel chooses the port; somebody may take it before Redis does.
	for range 5 {
		s.port = freePort(t)
		if s.start() == nil {
			return s
		}
	}
	t.Fatalf("redis-server does not start:\n%s", s.log())
	return nil
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// start starts the server on its port and waits until it accepts connections.
func (s *server) start() error {
	args := append([]string{
		"--port", fmt.Sprint(s.port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--logfile", "log", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes",
	}, s.args...)
	s.command = exec.Command("redis-server", args...)
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		s.t.Fatalf("redis-server is needed, see scripts/setup: %v", err)
	}
	exited := make(chan struct{})
	go func(c *exec.Cmd) {
		_ = c.Wait()
		close(exited)
	}(s.command)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", s.address()); err == nil {
			return c.Close()
		}
		select {
		case <-exited:
			return fmt.Errorf("redis-server ended")
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.stop()
	return fmt.Errorf("redis-server is silent")
}

func (s *server) stop() {
	if s.command != nil && s.command.Process != nil {
		_ = s.command.Process.Kill()
	}
}

// kill ends the server and waits until its port is free.
func (s *server) kill() {
	s.stop()
	for {
		c, err := net.Dial("tcp", s.address())
		if err != nil {
			return
		}
		c.Close()
	}
}

func (s *server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(text)
}

// do runs one command.
func (s *server) do(words ...string) string {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	result := c.Do(context.Background(), c.B().Arbitrary(words...).Build())
	if err := result.Error(); err != nil && !rueidis.IsRedisNil(err) {
		s.t.Fatalf("%s: %v", strings.Join(words, " "), err)
	}
	return result.String()
}

func (s *server) client() rueidis.Client {
	s.t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.address()}, ForceSingleClient: true, DisableCache: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// info returns a number that INFO tells.
func (s *server) info(name string) int64 {
	s.t.Helper()
	_, rest, _ := strings.Cut(s.text("INFO"), name+":")
	value, _, _ := strings.Cut(rest, "\r")
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return n
}

// cpu returns the microseconds of CPU that Redis has used since it was started. On a
// busy host they say more than what it tells of a command, which has waits in it.
func (s *server) cpu() float64 {
	s.t.Helper()
	sum := 0.0
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		_, rest, _ := strings.Cut(s.text("INFO", "cpu"), name+":")
		value, _, _ := strings.Cut(rest, "\r")
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			s.t.Fatalf("%s: %v", name, err)
		}
		sum += seconds * 1e6
	}
	return sum
}

// text runs one command whose answer is text.
func (s *server) text(words ...string) string {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	text, err := c.Do(context.Background(), c.B().Arbitrary(words...).Build()).ToString()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// list runs one command whose answer is a list of texts.
func (s *server) list(words ...string) []string {
	s.t.Helper()
	c := s.client()
	defer c.Close()
	list, err := c.Do(context.Background(), c.B().Arbitrary(words...).Build()).AsStrSlice()
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}
