package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"resound/bench"
)

// buildAll builds the server and the generator.
func buildAll(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if out, err := exec.Command("go", "build", "-o", folder, "resound/cmd/resound", "resound/cmd/resound-bench").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return folder
}

// running returns the processes that run a binary of folder.
func running(t *testing.T, folder string) (pids []string) {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range processes {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, folder) {
			pids = append(pids, strings.Split(link, "/")[2])
		}
	}
	return pids
}

func TestMillion(t *testing.T) {
	folder := buildAll(t)
	command := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(folder, "resound-bench"), append([]string{
			"million", "--spawn", filepath.Join(folder, "resound"), "--connections", "400", "--per-server", "100",
		}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}
	t.Run("400 connections on four server processes are held with pings and events", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "result.json")
		out, err := command("--hold", "5s", "--ping", "1s", "--json", file, "--timeout", "2m").CombinedOutput()
		if err != nil {
			t.Fatalf("got %v, want no error:\n%s", err, out)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r bench.Result
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		c := r.Census
		if c == nil || c.Servers != 4 || c.Pings < 400 || c.Events < 10 || c.Deliveries < c.Events || c.Lost+c.Duplicated+c.Reordered != 0 {
			t.Errorf("got %+v, want 4 servers, 400 pings, 10 events and no loss", c)
		}
		if len(r.Memory) != 1 || r.Memory[0].Connections != 400 || r.Memory[0].LoadedBytes <= 0 || len(r.Rounds) != 7 || len(r.Ratios) != 0 {
			t.Errorf("got %+v and %d rounds, want the memory of 400 connections and 7 rounds", r.Memory, len(r.Rounds))
		}
		if left := running(t, folder); len(left) > 0 {
			t.Errorf("got processes %v left, want none", left)
		}
	})
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run("no process outlives a run that ends by "+signal.String(), func(t *testing.T) {
			cmd := command("--hold", "5m")
			cmd.WaitDelay = 10 * time.Second
			progress, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			awaitText(t, progress, "connected:")
			if got := len(running(t, folder)); got != 1+4+4 {
				t.Errorf("got %d processes during the run, want the coordinator, 4 servers and 4 clients", got)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("got exit code 0, want another")
			}
			// After SIGKILL the kernel ends them, which may take a moment longer.
			for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
				left := running(t, folder)
				if len(left) == 0 {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("got processes %v left, want none", left)
				}
			}
		})
	}
}

// awaitText reads until text has come.
func awaitText(t *testing.T, r interface{ Read([]byte) (int, error) }, text string) {
	t.Helper()
	var all []byte
	for chunk := make([]byte, 4096); !strings.Contains(string(all), text); {
		n, err := r.Read(chunk)
		if all = append(all, chunk[:n]...); err != nil {
			t.Fatalf("got %q and %v, want %q", all, err, text)
		}
	}
}
