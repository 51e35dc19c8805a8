package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDaemon starts the program in the background, finds it answering when the
// command returns, and the pid file gone when it has ended.
func TestDaemon(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "resound")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "start", "--daemon", "--host", "127.0.0.1", "--port", "0")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REVERB_APP_ID=1", "REVERB_APP_KEY=k", "REVERB_APP_SECRET=s")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "resound.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })

	log, err := os.ReadFile(filepath.Join(dir, "resound.log"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`server on (127\.0\.0\.1:\d+)`).FindSubmatch(log)
	if m == nil || bytes.Contains(log, []byte("WARN")) {
		t.Fatalf("log: %s", log)
	}
	resp, err := http.Get("http://" + string(m[1]) + "/up")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) { // another process's file: nothing to wait on
		if _, err := os.Stat(filepath.Join(dir, "resound.pid")); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the pid file is still there")
		}
	}
}

// TestDaemonThatCannotStart says so and where to read more.
func TestDaemonThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "resound")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(bin, "start", "--daemon", "--host", "192.0.2.1", "--port", "0") // an address of nobody
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "resound.log") {
		t.Errorf("got %v\n%s", err, out)
	}
}
