package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestScriptsEndWhatTheyStarted ends a script as a build server does that gives up,
// by a signal to the script alone, and wants its generator to be told.
func TestScriptsEndWhatTheyStarted(t *testing.T) {
	const fake = `#!/bin/sh
sleep 60 &
trap 'kill $!; echo told >"$HEARD"; exit 1' TERM
echo up >"$HEARD"
wait
`
	for _, name := range []string{"bench", "bench-million"} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			script, err := os.ReadFile(filepath.Join("../../scripts", name))
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{"scripts/" + name: string(script), "bin/resound-bench": fake} {
				path := filepath.Join(folder, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			heard := filepath.Join(folder, "heard")
			if err := syscall.Mkfifo(heard, 0o600); err != nil {
				t.Fatal(err)
			}
			pipe, err := os.OpenFile(heard, os.O_RDWR|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer pipe.Close()
			if err := pipe.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(filepath.Join(folder, "scripts", name))
			cmd.Env = append(os.Environ(), "HEARD="+heard, "OUT="+filepath.Join(folder, "out"))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
				_ = cmd.Wait()
			}()
			lines := bufio.NewReader(pipe)
			if got, err := lines.ReadString('\n'); got != "up\n" {
				t.Fatalf("got %q, %v, want the generator to start", got, err)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got, err := lines.ReadString('\n'); got != "told\n" {
				t.Errorf("got %q, %v, want the generator to be told to end", got, err)
			}
		})
	}
}
