package redis

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"resound/channels/cluster"
)

// A child is a node in a process of its own: it holds and seats, and prints a
// line for what it is told.
const (
	childAddress = "RESOUND_TEST_REDIS"
	childPrefix  = "RESOUND_TEST_PREFIX"
	childOwed    = "RESOUND_TEST_OWED" // when set, its edges must be told
)

func childOptions(address, prefix string) Options {
	return Options{Addresses: []string{address}, Prefix: prefix, Lease: 1500 * time.Millisecond, Timeout: time.Second, MaxBackoff: 100 * time.Millisecond}
}

func runChild(address string) {
	o := childOptions(address, os.Getenv(childPrefix))
	if os.Getenv(childOwed) != "" {
		o.Owed, o.HoldBack = func(cluster.Channel) bool { return true }, -1
	}
	a, err := New(o)
	if err != nil {
		fmt.Println("failed", err)
		return
	}
	c := named("presence-room")
	state := func() {
		a.Hold(c, 2, false)
		a.Seat(c, cluster.Member{ID: "child", IDJSON: "1", Info: "{}"})
	}
	d := &printer{listener: newListener(), state: state}
	if err := a.Start(context.Background(), d); err != nil {
		fmt.Println("failed", err)
		return
	}
	state()
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent is gone
}

type printer struct {
	*listener
	state func()
}

func (p *printer) Seated(cluster.Channel, string, uint64) { fmt.Println("seated") }

func (p *printer) Decided(e cluster.Edge) { fmt.Println("decided", e.Kind) }

func (p *printer) Restate() {
	fmt.Println("restate")
	p.state()
}

// child is a running one.
type child struct {
	t       *testing.T
	command *exec.Cmd
	lines   chan string
}

func startChild(t *testing.T, s *server, prefix string, environment ...string) *child {
	t.Helper()
	c := &child{t: t, command: exec.Command(os.Args[0]), lines: make(chan string, 100)}
	c.command.Env = append(os.Environ(), childAddress+"="+s.address(), childPrefix+"="+prefix)
	c.command.Env = append(c.command.Env, environment...)
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := c.command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(c.lines)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			c.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		_ = c.command.Process.Kill()
		<-read
		_ = c.command.Wait()
	})
	return c
}

// expect waits for a line that the child prints.
func (c *child) expect(line string) {
	c.t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case got, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the child ended before it printed %q", line)
			}
			if got == line {
				return
			}
			if strings.HasPrefix(got, "failed") {
				c.t.Fatal(got)
			}
		case <-late:
			c.t.Fatalf("the child does not print %q", line)
		}
	}
}

func (c *child) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.command.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// edges returns how many edges of a kind the listeners decided about c.
func edges(kind cluster.EdgeKind, listeners ...*listener) (n int) {
	for _, l := range listeners {
		l.mu.Lock()
		for _, e := range l.decided {
			if e.Kind == kind {
				n++
			}
		}
		l.mu.Unlock()
	}
	return n
}

// unlocked waits for a condition that takes locks itself.
func unlocked(t *testing.T, l *listener, what string, ok func() bool) {
	t.Helper()
	l.until(t, what, func() bool {
		l.mu.Unlock()
		defer l.mu.Lock()
		return ok()
	})
}

func TestAProcessThatIsKilledIsCleanedUpOnce(t *testing.T) {
	s := startServer(t)
	o := childOptions(s.address(), "killed")
	_, first := join(t, o)
	survivor, second := join(t, o)
	victim := startChild(t, s, "killed")
	victim.expect("seated")
	c := named("presence-room")
	if got, err := survivor.Channel(t.Context(), c); err != nil || got.Subscriptions != 2 || got.Users != 1 {
		t.Fatalf("before: got %+v, %v", got, err)
	}
	victim.signal(syscall.SIGKILL)
	unlocked(t, first, "removed and vacated", func() bool {
		return edges(cluster.MemberRemoved, first, second) == 1 && edges(cluster.Vacated, first, second) == 1
	})
	if got, err := survivor.Channel(t.Context(), c); err != nil || got.Subscriptions != 0 || got.Users != 0 {
		t.Errorf("after: got %+v, %v", got, err)
	}
}

func TestAProcessThatSleptOverItsLeaseIsFencedAndComesBack(t *testing.T) {
	s := startServer(t)
	o := childOptions(s.address(), "stopped")
	survivor, l := join(t, o)
	sleeper := startChild(t, s, "stopped")
	sleeper.expect("seated")
	c := named("presence-room")
	for round := 1; round <= 2; round++ {
		sleeper.signal(syscall.SIGSTOP)
		unlocked(t, l, "cleaned up", func() bool {
			return edges(cluster.MemberRemoved, l) == round && edges(cluster.Vacated, l) == round
		})
		sleeper.signal(syscall.SIGCONT)
		sleeper.expect("restate")
		sleeper.expect("seated")
		unlocked(t, l, "present again", func() bool {
			got, err := survivor.Channel(t.Context(), c)
			return err == nil && got.Subscriptions == 2 && got.Users == 1
		})
	}
}
