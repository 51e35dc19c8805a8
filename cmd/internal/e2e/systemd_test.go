package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestSystemdIsToldOfEveryStage starts, reloads, restarts and stops a server as the
// unit in scripts/systemd does.
func TestSystemdIsToldOfEveryStage(t *testing.T) {
	t.Parallel()
	s, env := listenAsSystemd(t)
	c := startCommanded(t, startOptions{restarts: true, env: with(env, map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"})})
	pid := c.cmd.Process.Pid
	s.hear(t, fmt.Sprintf("READY=1\nMAINPID=%d", pid))

	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if got := s.hear(t, "RELOADING=1"); !strings.Contains(got, "\nMONOTONIC_USEC=") {
		t.Errorf("heard %q, without the time", got)
	}
	s.hear(t, "READY=1")

	var done struct{ PID int }
	c.runJSON(t, &done, "restart")
	s.hear(t, fmt.Sprintf("READY=1\nMAINPID=%d", done.PID))
	eventually(t, "the old process ends", func() bool { return !runs(pid) })
	// The service goes on.
	if told := s.heard(t); len(told) > 0 {
		t.Errorf("systemd is told %q when the old process ends", told)
	}

	if err := syscall.Kill(done.PID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.hear(t, "STOPPING=1")
	eventually(t, "the new process ends", func() bool { return !runs(done.PID) })
}
