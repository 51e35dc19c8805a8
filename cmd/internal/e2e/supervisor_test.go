package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// supervisor is a supervisord with the program of scripts/supervisor.
type supervisor struct {
	*process
	config string
}

// startSupervisor starts one for the server of a project, a folder with a .env.
func startSupervisor(t *testing.T, project string) *supervisor {
	t.Helper()
	path, err := exec.LookPath("supervisord")
	if err != nil {
		skipWithout(t, []string{"supervisord (Debian package supervisor)"})
	}
	text, err := os.ReadFile(filepath.Join(scripts, "supervisor", "resound.conf"))
	if err != nil {
		t.Fatal(err)
	}
	program := string(text)
	for _, change := range []struct{ from, to string }{
		{"/var/www/app\n", project + "\n"},
		{"/usr/local/bin/resound", binary},
		{"user=www-data\n", ""}, // whoever runs the test
		{"/var/log/supervisor/resound.log", filepath.Join(project, "resound.log")},
	} {
		if !strings.Contains(program, change.from) {
			t.Fatalf("got no %q in the program, want it", change.from)
		}
		program = strings.ReplaceAll(program, change.from, change.to)
	}
	dir := filepath.Dir(socketPath(t))
	config := fmt.Sprintf(`[supervisord]
nodaemon=true
logfile=%[1]s/supervisord.log
pidfile=%[1]s/supervisord.pid
childlogdir=%[1]s
[unix_http_server]
file=%[1]s/s.sock
[supervisorctl]
serverurl=unix://%[1]s/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
%[2]s`, dir, program)
	s := &supervisor{config: filepath.Join(dir, "supervisord.conf")}
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.process = launch(t, exec.Command(path, "-c", s.config))
	t.Cleanup(func() {
		// Supervisor gives its programs groups of their own: it has to end them itself.
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		<-s.done
	})
	return s
}

// ctl runs supervisorctl and returns what it printed. Its exit code says whether
// programs run, not whether the command worked.
func (s *supervisor) ctl(t *testing.T, args ...string) string {
	t.Helper()
	p := launch(t, exec.Command("supervisorctl", append([]string{"-c", s.config}, args...)...))
	p.wait(t)
	return p.out.String()
}

// expectState waits until Supervisor says so of the program.
func (s *supervisor) expectState(t *testing.T, state string) {
	t.Helper()
	eventually(t, "supervisorctl says "+state, func() bool { return strings.Contains(s.ctl(t, "status", "resound"), state) })
}

func TestSupervisorRunsTheServer(t *testing.T) {
	t.Parallel()
	project := write(t, ".env", fmt.Sprintf("REVERB_APP_ID=%s\nREVERB_APP_KEY=%s\nREVERB_APP_SECRET=%s\nREVERB_SERVER_HOST=127.0.0.1\nREVERB_SERVER_PORT=0\nRESOUND_CONTROL=%s\nRESOUND_DRAIN_TIMEOUT=2\n",
		testApp.id, testApp.key, testApp.secret, socketPath(t)))
	super := startSupervisor(t, project)
	log := filepath.Join(project, "resound.log")
	// serving waits for the n-th server of the log.
	serving := func(n int) *server {
		t.Helper()
		s := &server{}
		eventually(t, fmt.Sprintf("server %d listens", n), func() bool {
			text, _ := os.ReadFile(log) // not there yet
			found := regexp.MustCompile(`Starting server on 127\.0\.0\.1:(\d+)`).FindAllStringSubmatch(string(text), -1)
			if len(found) < n {
				return false
			}
			_, err := fmt.Sscan(found[n-1][1], &s.port)
			return err == nil
		})
		s.expectUp(t)
		return s
	}
	first := serving(1)
	super.expectState(t, "RUNNING")
	k := open(t, first)

	// A stop is a drain, and ends with it.
	if got := super.ctl(t, "stop", "resound"); !strings.Contains(got, "resound: stopped") {
		t.Errorf("supervisorctl stop: got %q", got)
	}
	k.expectClose(t, 4200)
	super.expectState(t, "STOPPED")
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "Gracefully terminating connections.") {
		t.Errorf("got %v and %s in the log, want the drain", err, text)
	}

	super.ctl(t, "start", "resound")
	k = open(t, serving(2))
	super.ctl(t, "restart", "resound")
	k.expectClose(t, 4200)
	third := serving(3)
	super.expectState(t, "RUNNING")

	// One that ends of itself comes back, whatever its exit code was.
	run(t, project, nil, 0, "stop")
	eventually(t, "the server that stopped is gone", func() bool { return third.status("/up") == 0 })
	serving(4)
}
