package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"resound/cmd/internal/config"
	"resound/cmd/internal/node"
)

const (
	// succeedEnv marks a process that takes over from the one that started it: the
	// descriptor on which that one waits for the number of listening sockets, the
	// descriptor that ends when that one does, the port, how many sockets of that one
	// listen on it, and the socket that leads to that one. The underscore keeps it apart
	// from configuration.
	succeedEnv = "_RESOUND_SUCCEED"

	// developmentEnv has the credentials of the development app of the process before
	// this one, which are nowhere else.
	developmentEnv = "_RESOUND_DEVELOPMENT"

	// successorTimeout is how long the new process may take to answer.
	successorTimeout = 30 * time.Second
)

// executable is the path of this program, which another file may have since the
// start: the kernel tells the new name of the old file.
var executable, errExecutable = os.Executable()

// predecessor is the process that this one takes over from.
type predecessor struct {
	port      int
	listeners int
	ready     *os.File
	link      net.Conn
	gone      chan struct{}
}

// findPredecessor returns nil when nobody started this process to take over.
func findPredecessor() (*predecessor, error) {
	text := os.Getenv(succeedEnv)
	if text == "" {
		return nil, nil
	}
	_ = os.Unsetenv(succeedEnv)
	var ready, alive, port, listeners, link int
	if _, err := fmt.Sscanf(text, "%d,%d,%d,%d,%d", &ready, &alive, &port, &listeners, &link); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", succeedEnv, text, err)
	}
	p := &predecessor{port: port, listeners: listeners, ready: os.NewFile(uintptr(ready), "ready"), gone: make(chan struct{})}
	end := os.NewFile(uintptr(alive), "alive")
	if p.ready == nil || end == nil {
		return nil, fmt.Errorf("%s=%q: no such descriptors", succeedEnv, text)
	}
	var err error
	if p.link, err = fileConn(os.NewFile(uintptr(link), "link")); err != nil {
		return nil, fmt.Errorf("%s=%q: %w", succeedEnv, text, err)
	}
	go func() {
		defer close(p.gone)
		_, _ = io.Copy(io.Discard, end) // ends when the other process does
		_ = end.Close()
	}()
	return p, nil
}

// fileConn makes a connection of a socket's file, which it closes.
func fileConn(f *os.File) (net.Conn, error) {
	defer f.Close()
	return net.FileConn(f)
}

// linkPair returns a connection and the socket at its other end.
func linkPair() (here net.Conn, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	there = os.NewFile(uintptr(fds[1]), "link")
	if here, err = fileConn(os.NewFile(uintptr(fds[0]), "link")); err != nil {
		_ = there.Close()
		return nil, nil, err
	}
	return here, there, nil
}

// tell says that this process answers.
func (p *predecessor) tell(listeners int) error {
	defer p.ready.Close()
	_, err := fmt.Fprintln(p.ready, listeners)
	return err
}

// inheritDevelopmentApp makes the development app that of the process before this
// one: its clients come back with the credentials that they have.
func inheritDevelopmentApp(cfg *config.Config) {
	was := strings.Fields(os.Getenv(developmentEnv))
	_ = os.Unsetenv(developmentEnv)
	if cfg.Development && len(was) == 3 {
		a := &cfg.Apps[0]
		a.ID, a.Key, a.Secret = was[0], was[1], was[2]
	}
}

// startSuccessor runs this program again, as it is on disk now, beside this
// process and returns once it answers on the port. development is the app that is
// there when nothing is configured, nil when something is.
func startSuccessor(ctx context.Context, port, listeners int, development *config.App) (s node.Successor, err error) {
	if errExecutable != nil {
		return s, errExecutable
	}
	ready, tell, err := os.Pipe()
	if err != nil {
		return s, err
	}
	defer ready.Close()
	alive, err := alivePipe()
	if err != nil {
		_ = tell.Close()
		return s, err
	}
	here, there, err := linkPair()
	if err != nil {
		_ = tell.Close()
		_ = alive.Close()
		return s, err
	}
	defer func() {
		if err != nil {
			_ = here.Close()
		}
	}()
	cmd := exec.Command(executable, os.Args[1:]...)
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name != daemonEnv && name != watchdogPIDEnv { // which is this process
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=3,4,%d,%d,5", succeedEnv, port, listeners))
	if a := development; a != nil {
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s %s %s", developmentEnv, a.ID, a.Key, a.Secret))
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{tell, alive, there}
	err = cmd.Start()
	_ = tell.Close()
	_ = alive.Close()
	_ = there.Close()
	if err != nil {
		return s, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.PID, s.Link = cmd.Process.Pid, here
	if s.Listeners, err = hear(ctx, ready); err == nil {
		return s, nil
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the new process ended while starting; its log says why")
	}
	_ = cmd.Process.Kill()
	<-ended
	return s, err
}

// kept holds what must stay open as long as this process lives.
var kept []*os.File

// alivePipe returns the end of a pipe that ends with this process.
func alivePipe() (alive *os.File, err error) {
	alive, held, err := os.Pipe()
	if err == nil {
		kept = append(kept, held)
	}
	return alive, err
}

// hear waits for what the new process tells.
func hear(ctx context.Context, ready *os.File) (listeners int, err error) {
	ctx, cancel := context.WithTimeout(ctx, successorTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ready.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(ready).ReadString('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, fmt.Errorf("the new process did not answer within %s", successorTimeout)
	case err != nil:
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line))
}
