package process

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// roleVariable makes the test binary play a process instead of running tests.
const roleVariable = "BENCH_PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "parent":
		// Start a child that would sleep for long, say its pid, and wait to be killed.
		child, err := NewChildren().Start(Command{Path: "/bin/sleep", Args: []string{"600"}})
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(os.Stdout, strings.Repeat("p", child.PID)+"\n")
		select {}
	case "stubborn":
		// End neither on SIGTERM (the shell ignores it) nor on end of input.
		cmd := exec.Command("/bin/sh")
		_ = unix.Exec("/bin/sh", append(cmd.Args, "-c", "trap '' TERM; echo ready; exec sleep 600"), os.Environ())
	}
	goleak.VerifyTestMain(m)
}

func startRole(t *testing.T, c *Children, role string) *Child {
	t.Helper()
	child, err := c.Start(Command{Path: os.Args[0], Env: append(os.Environ(), roleVariable+"="+role)})
	if err != nil {
		t.Fatal(err)
	}
	return child
}

// alive reports whether a process with pid exists.
func alive(pid int) bool { return unix.Kill(pid, 0) == nil }

func TestChildren(t *testing.T) {
	t.Run("close kills a child that ignores everything else", func(t *testing.T) {
		c := NewChildren()
		defer c.Close()
		child := startRole(t, c, "stubborn")
		if _, err := io.ReadFull(child.Stdout, make([]byte, len("ready\n"))); err != nil {
			t.Fatal(err)
		}
		if !alive(child.PID) {
			t.Fatal("got a dead child before close, want it alive")
		}
		c.Close()
		if alive(child.PID) {
			t.Error("got a live child after close, want it gone")
		}
		if _, err := c.Start(Command{Path: "/bin/true"}); err == nil {
			t.Error("got a child started after close, want an error")
		}
	})
	t.Run("stop lets a child end by itself", func(t *testing.T) {
		c := NewChildren()
		defer c.Close()
		child, err := c.Start(Command{Path: "/bin/sleep", Args: []string{"600"}})
		if err != nil {
			t.Fatal(err)
		}
		child.Stop(time.Minute)
		select {
		case <-child.Exited():
		default:
			t.Error("got a running child after stop, want it gone")
		}
	})
	t.Run("a child dies with its parent", func(t *testing.T) {
		c := NewChildren()
		defer c.Close()
		parent := startRole(t, c, "parent")
		pid := 0
		for b := make([]byte, 1); ; pid++ {
			if _, err := parent.Stdout.Read(b); err != nil {
				t.Fatal(err)
			}
			if b[0] == '\n' {
				break
			}
		}
		if !alive(pid) {
			t.Fatal("got a dead grandchild before the parent's end, want it alive")
		}
		parent.Stop(0)
		// It is orphaned, so its end cannot be waited for: poll until it is gone or
		// is waiting for an init that never reaps.
		deadline := time.Now().Add(10 * time.Second)
		for alive(pid) && !zombie(pid) {
			if time.Now().After(deadline) {
				t.Fatal("got a live grandchild after the parent's end, want it gone")
			}
			time.Sleep(time.Millisecond) // nothing reports the end of an orphan
		}
	})
	t.Run("a program that does not exist is an error", func(t *testing.T) {
		c := NewChildren()
		defer c.Close()
		if _, err := c.Start(Command{Path: "/nowhere/at/all"}); err == nil {
			t.Error("got a child, want an error")
		}
	})
}

func zombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestReadCPU(t *testing.T) {
	self := []int{os.Getpid()}
	hostBefore, err := HostBusy()
	if err != nil {
		t.Fatal(err)
	}
	before, err := ReadCPU(self)
	if err != nil {
		t.Fatal(err)
	}
	for start := Nanos(); Nanos()-start < int64(60*time.Millisecond); {
	}
	after, err := ReadCPU(self)
	if err != nil {
		t.Fatal(err)
	}
	used := after.Sub(before)
	if used.Total < 10*time.Millisecond || used.Total > 10*time.Second {
		t.Errorf("got %v for 60 ms of spinning, want at least 10 ms", used.Total)
	}
	if used.User+used.System == 0 {
		t.Error("got no user or system time for 60 ms of spinning")
	}
	if host, err := HostBusy(); err != nil || host <= hostBefore {
		t.Errorf("got the host busy for %v %v after %v and 60 ms of spinning, want more", host, err, hostBefore)
	}
	if _, err := ReadCPU([]int{1 << 30}); err == nil {
		t.Error("got a reading of a process that does not exist, want an error")
	}
}

func TestMemory(t *testing.T) {
	rss, err := ResidentBytes([]int{os.Getpid(), os.Getpid()})
	if err != nil || rss < 2<<20 {
		t.Errorf("got %d bytes %v for this process twice, want 2 MB or more", rss, err)
	}
	if slab, err := SlabBytes(); err != nil || slab <= 0 {
		t.Errorf("got %d bytes %v in slabs, want more than 0", slab, err)
	}
	if k, err := ReadKernel(); err != nil || k.Slab <= 0 || k.Pages <= 0 || k.Available <= 0 {
		t.Errorf("got %+v %v, want slabs, page tables and what is available", k, err)
	}
	if caches, err := SlabCaches(); err != nil && !os.IsPermission(err) || err == nil && caches["TCP"] <= 0 {
		t.Errorf("got %d bytes %v for TCP sockets, want more than 0", caches["TCP"], err)
	}
}

func TestSockets(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	sockets, err := ReadSockets()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := SocketInodes(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range sockets {
		if mine[s.Inode] {
			found[fmt.Sprintf("%v %v %v", s.Local, s.Remote, s.Listening)] = true
		}
	}
	for _, want := range []string{
		fmt.Sprintf("%v 0.0.0.0:0 true", listener.Addr()),
		fmt.Sprintf("%v %v false", server.LocalAddr(), server.RemoteAddr()),
		fmt.Sprintf("%v %v false", client.LocalAddr(), client.RemoteAddr()),
	} {
		if !found[want] {
			t.Errorf("got %v, want %s among them", found, want)
		}
	}
	for _, bad := range []string{"", "0: 0100007F:1F90", "0: 0100007F 00000000:0000 0A 0 0 0 0 0 1", "0: 1:1 00000000:0000 0A 0 0 0 0 0 1"} {
		if s, err := parseSocket([]byte(bad)); err == nil {
			t.Errorf("got %+v from line %q, want an error", s, bad)
		}
	}
}

func TestReadMachine(t *testing.T) {
	m := ReadMachine()
	if m.Cores < 1 || m.Kernel == "unknown" || m.Go == "" {
		t.Errorf("got %+v, want cores, kernel and Go version", m)
	}
}

func TestSleepUntil(t *testing.T) {
	at := Nanos() + int64(5*time.Millisecond)
	SleepUntil(at)
	if now := Nanos(); now < at {
		t.Errorf("got back %v before the time", time.Duration(at-now))
	}
	SleepUntil(at) // in the past: at once
}

func TestOpen(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := Descriptors(self)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if after, err := Descriptors(append(self, self...)); err != nil || after < 2*before+2 {
		t.Errorf("got %d descriptors %v of this process twice after one more, want %d or more", after, err, 2*before+2)
	}
	if threads, err := Threads(self); err != nil || threads < 1 {
		t.Errorf("got %d threads %v, want 1 or more", threads, err)
	}
	if _, err := Descriptors([]int{1 << 30}); err == nil {
		t.Error("got descriptors of a process that does not exist, want an error")
	}
}
