package e2e

import (
	"bytes"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a child process. It is killed when the test ends, and by the kernel
// when the test binary dies first. Safe for concurrent use.
type process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when the process has ended
}

// launch starts cmd, its standard output and standard error in p.out unless cmd
// has its own.
func launch(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.out.changed = make(chan struct{})
	if cmd.Stdout == nil {
		cmd.Stdout = &p.out
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.out
	}
	// A group of its own, so that the children of the child can be killed with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// Output pipes that a grandchild holds do not keep Wait waiting.
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = time.Second
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // the exit code is in cmd.ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // ESRCH when it has ended
		<-p.done
		if t.Failed() {
			t.Logf("output of %s:\n%s", cmd.Path, p.out.String())
		}
	})
	return p
}

// signal sends sig to the process.
func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %v: %v", sig, err)
	}
}

// wait returns the exit code, or -1 for a process that a signal ended.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s still runs after %v; output:\n%s", p.cmd.Path, patience, p.out.String())
		return 0
	}
}

// expectOutput waits until the output matches and returns the submatches. It
// fails when the process ends without it.
func (p *process) expectOutput(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	for ended := false; ; {
		text, changed := p.out.read()
		if found := re.FindStringSubmatch(text); found != nil {
			return found
		}
		if ended {
			t.Fatalf("%s ended with %d without printing %q; output:\n%s", p.cmd.Path, p.cmd.ProcessState.ExitCode(), pattern, text)
		}
		select {
		case <-changed:
		case <-p.done:
			ended = true // all output is there now: look once more
		case <-deadline:
			t.Fatalf("%s did not print %q within %v; output:\n%s", p.cmd.Path, pattern, patience, text)
		}
	}
}

// output collects what a process prints. Safe for concurrent use.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed and replaced by each Write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
	return o.text.Write(p)
}

// read returns the text so far and a channel that is closed when there is more.
func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

func (o *output) String() string {
	text, _ := o.read()
	return text
}
