package e2e

import (
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
