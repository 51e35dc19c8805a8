package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// systemd is the socket on which systemd hears of a service.
type systemd struct{ *net.UnixConn }

func listenAsSystemd(t *testing.T) (s systemd, env map[string]string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return systemd{c}, map[string]string{"NOTIFY_SOCKET": path}
}

// hear waits for a message with this line and returns it.
func (s systemd) hear(t *testing.T, line string) string {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for text := make([]byte, 4096); ; {
		n, err := s.Read(text)
		if err != nil {
			t.Fatalf("waiting for %s: %v", line, err)
		}
		if got := string(text[:n]); strings.Contains("\n"+got+"\n", "\n"+line+"\n") {
			return got
		}
	}
}

// heard returns the messages that are there.
func (s systemd) heard(t *testing.T) (all []string) {
	t.Helper()
	raw, err := s.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 4096)
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := syscall.Recvfrom(int(fd), text, syscall.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			all = append(all, string(text[:n]))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// expect reads the next notification, which must begin with the lines.
func (s systemd) expect(t *testing.T, lines ...string) {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := s.Read(buf)
	if err != nil {
		t.Fatalf("want %q: %v", lines, err)
	}
	if got := string(buf[:n]); !strings.HasPrefix(got, strings.Join(lines, "\n")) {
		t.Fatalf("systemd is told %q, want %q", got, lines)
	}
}

// TestSystemdIsToldOfEveryStage starts, reloads, restarts and stops a server as the
// unit in scripts/systemd does.
func TestSystemdIsToldOfEveryStage(t *testing.T) {
	t.Parallel()
	s, env := listenAsSystemd(t)
	env["RESOUND_DRAIN_TIMEOUT"] = "1"
	c := startCommanded(t, startOptions{restarts: true, env: env})
	pid := c.cmd.Process.Pid
	s.expect(t, "READY=1", fmt.Sprintf("MAINPID=%d", pid))

	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "RELOADING=1", "MONOTONIC_USEC=")
	s.expect(t, "READY=1")

	var done struct{ PID int }
	c.runJSON(t, &done, "restart")
	s.expect(t, "READY=1", fmt.Sprintf("MAINPID=%d", done.PID))
	eventually(t, "the old process ends", func() bool { return !runs(pid) })

	if err := syscall.Kill(done.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "STOPPING=1") // and nothing before it: the old process did not say so
	eventually(t, "the new process ends", func() bool { return !runs(done.PID) })
}

func TestSystemdHearsThatTheServerWorks(t *testing.T) {
	t.Parallel()
	notify, env := listenAsSystemd(t)
	env["WATCHDOG_USEC"] = "2000000"
	s := start(t, startOptions{env: env, watched: true})
	ready := notify.hear(t, "READY=1")
	if want := "MAINPID=" + strconv.Itoa(s.cmd.Process.Pid); !strings.Contains(ready, want) {
		t.Errorf("systemd heard %q, want %s", ready, want)
	}
	open(t, s) // from here on an event loop is asked for its turn
	for range 5 {
		notify.hear(t, "WATCHDOG=1")
	}
	s.signal(t, syscall.SIGTERM)
	notify.hear(t, "STOPPING=1")
}

func TestSystemdHearsNothingOfAWatchdogThatItDoesNotHave(t *testing.T) {
	t.Parallel()
	notify, env := listenAsSystemd(t)
	s := start(t, startOptions{env: env})
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if all := notify.heard(t); slices.Contains(all, "WATCHDOG=1") || !slices.Contains(all, "STOPPING=1") {
		t.Errorf("systemd heard %q, want the end of it and no watchdog", all)
	}
}

func TestWatchdogIsToldByTheProcessThatTookOver(t *testing.T) {
	t.Parallel()
	notify, env := listenAsSystemd(t)
	env["WATCHDOG_USEC"] = "2000000"
	env["RESOUND_DRAIN_TIMEOUT"] = "0"
	c := startCommanded(t, startOptions{env: env, watched: true, restarts: true})
	notify.hear(t, "WATCHDOG=1")
	c.run(t, "restart")
	eventually(t, "the old process ends", func() bool { return !runs(c.cmd.Process.Pid) })
	notify.heard(t) // what the old one told
	notify.hear(t, "WATCHDOG=1")
}
