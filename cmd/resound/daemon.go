package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"resound/cmd/internal/config"
)

const (
	// daemonEnv marks the process in the background; its value is the
	// descriptor on which the parent waits for it to answer. The underscore keeps
	// it apart from configuration.
	daemonEnv = "_RESOUND_READY_FD"

	// daemonTimeout is how long the parent waits.
	daemonTimeout = 30 * time.Second
)

// daemonize starts this program again in a session of its own and returns once
// it answers, or with its failure. The log and the pid file lie in Laravel's
// storage/logs where there is one, else in the working directory.
func daemonize(out io.Writer, cfg *config.Config) error {
	logName, pidName := daemonFiles()
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	defer log.Close()
	ready, child, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), daemonEnv+"=3")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{child}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = child.Close()

	if err := ready.SetReadDeadline(time.Now().Add(daemonTimeout)); err != nil {
		return err
	}
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = cmd.Process.Kill()
			return fmt.Errorf("the server did not answer within %s; see %s", daemonTimeout, logName)
		}
		_ = cmd.Wait()
		return fmt.Errorf("the server ended while starting; see %s", logName)
	}
	fmt.Fprintf(out, "\n  INFO  Running in the background: pid %d, log %s, pid file %s.\n", cmd.Process.Pid, logName, pidName)
	if cfg.Development {
		fmt.Fprintf(out, "  WARN  No credentials are configured; those of this run are in %s.\n", logName)
	}
	return cmd.Process.Release()
}

// daemonFiles names the log and the pid file of a server in the background.
func daemonFiles() (log, pid string) {
	dir := filepath.Join("storage", "logs")
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		dir = "."
	}
	return filepath.Join(dir, "resound.log"), filepath.Join(dir, "resound.pid")
}

// daemonReady writes the pid file of a server in the background and tells the
// waiting parent that it answers; one that took over from another has no parent
// that waits. end removes the file.
func daemonReady() (end func(), err error) {
	_, pidName := daemonFiles()
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := os.WriteFile(pidName, pid, 0o644); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	end = func() {
		if now, err := os.ReadFile(pidName); err == nil && bytes.Equal(now, pid) {
			_ = os.Remove(pidName) // it does not name a successor
		}
	}
	fd, err := strconv.Atoi(os.Getenv(daemonEnv))
	if err != nil {
		return end, nil
	}
	f := os.NewFile(uintptr(fd), "ready")
	if f == nil {
		return end, fmt.Errorf("descriptor %d is not open", fd)
	}
	defer f.Close()
	_, err = f.Write([]byte{1})
	return end, err
}
