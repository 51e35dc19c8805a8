package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// knocker connects to a server as fast as it can, and wants to be let in each time.
type knocker struct {
	addr string
	tls  *tls.Config // nil without TLS
	stop chan struct{}
	wg   sync.WaitGroup
	in   atomic.Int64

	mu       sync.Mutex
	problems []string
}

func knock(t *testing.T, addr string, secure *x509.CertPool) *knocker {
	t.Helper()
	k := &knocker{addr: addr, stop: make(chan struct{})}
	if secure != nil {
		k.tls = &tls.Config{RootCAs: secure, ServerName: "127.0.0.1"}
	}
	for range 4 {
		k.wg.Go(func() {
			for {
				select {
				case <-k.stop:
					return
				default:
				}
				if err := k.once(); err != nil {
					k.mu.Lock()
					k.problems = append(k.problems, err.Error())
					k.mu.Unlock()
					return
				}
				k.in.Add(1)
			}
		})
	}
	t.Cleanup(func() {
		close(k.stop)
		k.wg.Wait()
		for _, p := range k.problems {
			t.Errorf("after %d connections: %s", k.in.Load(), p)
		}
	})
	return k
}

// once connects, completes the handshake, sees the connection established, and goes.
func (k *knocker) once() error {
	network := "tcp"
	if strings.HasPrefix(k.addr, "/") {
		network = "unix"
	}
	raw, err := net.Dial(network, k.addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	c := raw
	if k.tls != nil {
		c = tls.Client(raw, k.tls)
	}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = io.WriteString(c, "GET /app/"+testApp.key+"?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	if err != nil {
		return err
	}
	in := bufio.NewReader(c)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", response.Status)
	}
	first := make([]byte, 45)
	if _, err := io.ReadFull(in, first); err != nil {
		return err
	}
	if !strings.Contains(string(first), "connection_established") {
		return fmt.Errorf("first bytes %q", first)
	}
	if c, ok := raw.(*net.TCPConn); ok {
		return c.SetLinger(0) // leaves no port in TIME_WAIT
	}
	return nil
}

// more waits until n more connections were let in.
func (k *knocker) more(t *testing.T, n int64) {
	t.Helper()
	want := k.in.Load() + n
	eventually(t, fmt.Sprintf("%d more connections", n), func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		return len(k.problems) > 0 || k.in.Load() >= want
	})
}

// runs reports whether a process is there and no zombie.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(after, "Z")
}

// TestRestartLosesNoConnection restarts a server, by command and by signal, under
// a storm of connects: every one of them is let in.
func TestRestartLosesNoConnection(t *testing.T) {
	t.Parallel()
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		restartUnderStorm(t, startOptions{})
	})
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		certFile, keyFile, pool := issue(t, t.TempDir(), 1)
		restartUnderStorm(t, startOptions{secure: pool, env: map[string]string{
			"RESOUND_OPTIONS_TLS_LOCAL_CERT": certFile, "RESOUND_OPTIONS_TLS_LOCAL_PK": keyFile,
		}})
	})
}

func restartUnderStorm(t *testing.T, o startOptions) {
	o.restarts, o.env = true, with(o.env, map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"})
	c := startCommanded(t, o)
	open := open(t, c.server)
	k := knock(t, c.address(), c.secure)
	k.more(t, 200)
	pid := c.cmd.Process.Pid
	for i := range 3 {
		var done struct{ PID int }
		if i == 1 {
			if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
				t.Fatal(err)
			}
			var status struct{ PID int }
			eventually(t, "another process answers", func() bool {
				c.runJSON(t, &status, "status")
				return status.PID != pid
			})
			done = status
		} else {
			c.runJSON(t, &done, "restart")
		}
		if done.PID == pid || !runs(done.PID) {
			t.Fatalf("restart %d: process %d follows %d", i, done.PID, pid)
		}
		if i == 0 {
			open.expectClose(t, 4200)
		}
		eventually(t, "the old process ends", func() bool { return !runs(pid) })
		k.more(t, 200)
		// The new one knows that it is alone: only then it can be replaced.
		c.expectOutput(t, `(?s)(the process before has ended.*){`+strconv.Itoa(i+1)+`}`)
		pid = done.PID
	}
	expectSays(t, c.run(t, "status"), strconv.Itoa(pid))
}

func TestRestartThatFailsLeavesTheServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "reverb.json")
	write := func(port string) {
		text := `{"servers": {"reverb": {"host": "127.0.0.1", "port": ` + port + `}}, "apps": {"apps": [{"app_id": "1", "key": "k", "secret": "s"}]}}`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("0")
	c := startCommanded(t, startOptions{dir: dir, bare: true, restarts: true, args: []string{"--config", "reverb.json"}})
	write(`"nonsense"`)
	expectSays(t, run(t, c.dir, c.env, 1, "restart"), "the old process goes on", "ended while starting")
	if got := c.status("/up"); got != http.StatusOK {
		t.Errorf("GET /up is %d", got)
	}
	write("0")
	c.run(t, "restart")
	eventually(t, "the old process ends", func() bool { return !runs(c.cmd.Process.Pid) })
	if got := c.status("/up"); got != http.StatusOK {
		t.Errorf("GET /up is %d", got)
	}
}

// TestHistoryGoesOnInTheNewProcess looks for figures of the new process while the
// connections of the old one still leave.
func TestHistoryGoesOnInTheNewProcess(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{restarts: true, env: map[string]string{
		"RESOUND_DRAIN_TIMEOUT":      "120",
		"RESOUND_MONITORING_STORAGE": filepath.Join(t.TempDir(), "history.db"),
	}})
	for range 8 {
		open(t, c.server)
	}
	c.run(t, "restart")
	eventually(t, "the new process keeps figures", func() bool {
		p := launch(t, command(t, c.dir, c.env, "export"))
		return p.wait(t) == 0 && strings.Contains(p.out.String(), `"connections":0`)
	})
	if !runs(c.cmd.Process.Pid) {
		t.Error("the old process has ended already, so this shows nothing")
	}
}

// TestRestartKeepsTheDevelopmentApp: its credentials are nowhere but in the process.
func TestRestartKeepsTheDevelopmentApp(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{bare: true, restarts: true, dir: write(t, ".env", ""), env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"}})
	c.run(t, "restart")
	c.expectOutput(t, "another process took over")
	printed := regexp.MustCompile(`REVERB_APP_(?:ID|KEY|SECRET)=\S+`).FindAllString(c.out.String(), -1)
	if len(printed) != 6 || !slices.Equal(printed[:3], printed[3:]) {
		t.Errorf("printed were %v, want the same credentials twice", printed)
	}
	expectSays(t, c.run(t, "trigger", "news", "Greeting", `"hello"`), "news")
	eventually(t, "the old process ends", func() bool { return !runs(c.cmd.Process.Pid) })
}
