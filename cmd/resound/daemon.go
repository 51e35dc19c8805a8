package main

import (
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
	// descriptor on which the parent waits for it to answer.
	daemonEnv = "RESOUND_DAEMON_READY"

	// daemonTimeout is how long the parent waits.
	daemonTimeout = 30 * time.Second
)

// daemonize starts this program again in a session of its own and returns once
// it answers, or with its failure. The log and the pid file lie in Laravel's
// storage/logs where there is one, else in the working directory.
func daemonize(out io.Writer, cfg *config.Config) error {
	dir := filepath.Join("storage", "logs")
	if s, err := os.Stat(dir); err != nil || !s.IsDir() {
		dir = "."
	}
	logName, pidName := filepath.Join(dir, "resound.log"), filepath.Join(dir, "resound.pid")
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
	if err := os.WriteFile(pidName, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o644); err != nil {
		_ = cmd.Process.Kill()
		return fmt.Errorf("pid file: %w", err)
	}
	fmt.Fprintf(out, "\n  INFO  Running in the background: pid %d, log %s, pid file %s.\n", cmd.Process.Pid, logName, pidName)
	if cfg.Development {
		fmt.Fprintf(out, "  WARN  No credentials are configured; those of this run are in %s.\n", logName)
	}
	return cmd.Process.Release()
}

// daemonReady tells a waiting parent that the server answers.
func daemonReady() error {
	fd, err := strconv.Atoi(os.Getenv(daemonEnv))
	if err != nil {
		return nil // not in the background
	}
	f := os.NewFile(uintptr(fd), "ready")
	if f == nil {
		return fmt.Errorf("descriptor %d is not open", fd)
	}
	defer f.Close()
	_, err = f.Write([]byte{1})
	return err
}
