package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// errClosed is what Start returns after Close.
var errClosed = errors.New("no child is started after close")

// reapTimeout bounds the wait for a killed child to be gone.
const reapTimeout = 5 * time.Second

// Command says what to start.
type Command struct {
	Path   string
	Args   []string  // without the program's own name
	Env    []string  // nil means this process's
	Dir    string    // "" means this process's
	Stderr io.Writer // nil discards
}

// Child is one process. Its Stdin and Stdout are for one reader and one writer;
// the methods are safe for concurrent use.
type Child struct {
	PID    int
	Stdin  io.WriteCloser // closing it asks the generator's own children to end
	Stdout io.ReadCloser

	cmd    *exec.Cmd
	exited chan struct{}
}

// Exited is closed once the process is gone.
func (c *Child) Exited() <-chan struct{} { return c.exited }

// Stop asks the process to end by SIGTERM, kills it when it has not within grace,
// and returns once it is gone. A grace of zero kills at once.
func (c *Child) Stop(grace time.Duration) {
	if grace > 0 {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.exited:
			return
		case <-time.After(grace):
		}
	}
	_ = c.cmd.Process.Kill()
	select {
	case <-c.exited:
	case <-time.After(reapTimeout):
	}
}

// Children starts processes and ends them. Safe for concurrent use.
type Children struct {
	starts chan func()
	done   chan struct{} // closed when the launching thread has ended

	mu      sync.Mutex
	closed  bool
	running []*Child
}

// NewChildren returns an empty set, to be closed by the caller.
func NewChildren() *Children {
	c := &Children{starts: make(chan func()), done: make(chan struct{})}
	go c.launch()
	return c
}

// launch runs all starts on one thread that lives until Close: the kernel sends
// the parent-death signal when the thread that forked ends, not the process.
func (c *Children) launch() {
	defer close(c.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range c.starts {
		start()
	}
}

// Start starts a process that dies with this one.
func (c *Children) Start(command Command) (*Child, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	cmd := exec.Command(command.Path, command.Args...)
	cmd.Env, cmd.Dir, cmd.Stderr = command.Env, command.Dir, command.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	// A grandchild that keeps standard error open must not hold up the wait.
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// An own pipe: exec's would be closed by Wait with the last line unread.
	stdout, childStdout, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = childStdout
	failed := make(chan error)
	c.starts <- func() { failed <- cmd.Start() }
	err = <-failed
	_ = childStdout.Close()
	if err != nil {
		_ = stdout.Close()
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	child := &Child{PID: cmd.Process.Pid, Stdin: stdin, Stdout: stdout, cmd: cmd, exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(child.exited)
	}()
	c.running = append(c.running, child)
	return child, nil
}

// Close kills every child that still runs, waits until all are gone, and closes
// their pipes. Later calls do nothing.
func (c *Children) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	// All at once: one that holds twenty thousand sockets takes its time to end.
	for _, child := range c.running {
		_ = child.cmd.Process.Kill()
	}
	for _, child := range c.running {
		child.Stop(0)
		_ = child.Stdin.Close()
		_ = child.Stdout.Close()
	}
	close(c.starts)
	<-c.done
}
