package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// supervisor is the socket on which systemd listens to a unit of Type=notify.
type supervisor struct{ conn *net.UnixConn }

func listenAsSystemd(t *testing.T) (s supervisor, path string) {
	t.Helper()
	path = filepath.Join(filepath.Dir(socketPath(t)), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return supervisor{conn}, path
}

// expect reads the next notification, which must begin with the lines.
func (s supervisor) expect(t *testing.T, lines ...string) {
	t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 1024)
	n, err := s.conn.Read(buf)
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
	s, path := listenAsSystemd(t)
	c := startCommanded(t, startOptions{restarts: true, env: map[string]string{"NOTIFY_SOCKET": path, "RESOUND_DRAIN_TIMEOUT": "1"}})
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
