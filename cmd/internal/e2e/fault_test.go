package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// within makes the shell set a limit before it becomes cmd.
func within(cmd *exec.Cmd, limit string) *exec.Cmd {
	cmd.Args = append([]string{"sh", "-c", limit + ` && exec "$0" "$@"`}, cmd.Args...)
	cmd.Path = "/bin/sh"
	return cmd
}

// startCommand is start for a command of one's own.
func startCommand(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{process: launch(t, cmd)}
	found := s.expectOutput(t, `Starting server on 127\.0\.0\.1:(\d+)`)
	var err error
	if s.port, err = strconv.Atoi(found[1]); err != nil {
		t.Fatal(err)
	}
	s.expectUp(t)
	return s
}

// serves has a new client subscribe and get an event.
func (s *server) serves(t *testing.T) {
	t.Helper()
	k := open(t, s)
	k.join(t, "after", "")
	s.api().trigger(t, "after", "update", "again")
	k.expect(t, `{"event":"update","channel":"after","data":"again"}`)
	_ = k.conn.CloseNow()
}

// TestFaultDescriptorsRunOut floods a node that may open only 160 descriptors.
func TestFaultDescriptorsRunOut(t *testing.T) {
	t.Parallel()
	s := startCommand(t, within(command(t, "", testApp.environment(), append([]string{"start", "--workers", "2"}, anyPort...)...), "ulimit -n 160"))
	first := open(t, s)
	first.join(t, "news", "")
	var flood []net.Conn
	var readers sync.WaitGroup
	calm := func() {
		for _, c := range flood {
			_ = c.Close()
		}
		readers.Wait()
	}
	defer calm()
	var refused atomic.Int32
	for range 300 {
		c, err := net.DialTimeout("tcp", s.address(), patience)
		if err != nil {
			t.Fatal(err)
		}
		flood = append(flood, c)
		// Those that are taken wait for a request; the others are told at once.
		readers.Go(func() {
			if b, _ := io.ReadAll(c); strings.HasPrefix(string(b), "HTTP/1.1 503 ") {
				refused.Add(1)
			}
		})
	}
	eventually(t, "those there is no descriptor for are refused", func() bool { return refused.Load() > 200 })
	first.send(t, `{"event":"pusher:ping"}`)
	first.expect(t, `{"event":"pusher:pong"}`)
	calm()
	eventually(t, "the node takes connections again", func() bool { return s.status("/up") == http.StatusOK })
	s.api().trigger(t, "news", "update", "still here")
	first.expect(t, `{"event":"update","channel":"news","data":"still here"}`)
	s.serves(t)
}

// TestFaultImpossibleLimit asks for what the host cannot give.
func TestFaultImpossibleLimit(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, limit, key, value, want string }{
		{"too few descriptors for anything", "ulimit -n 80", "", "", "file descriptor limit of 80 is too low"},
		{"more connections than descriptors", "ulimit -n 500", "RESOUND_MAX_CONNECTIONS", "10000", "max_connections 10000 needs more file descriptors than the limit of 500"},
		{"a value out of range", "true", "RESOUND_MAX_OUTBOUND_BYTES", "1", "max_outbound_bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			env := testApp.environment()
			if row.key != "" {
				env[row.key] = row.value
			}
			p := launch(t, within(command(t, "", env, append([]string{"start", "--workers", "2"}, anyPort...)...), row.limit))
			if code := p.wait(t); code == 0 {
				t.Errorf("exit code 0, want another")
			}
			p.expectOutput(t, row.want)
		})
	}
}

// TestFaultResetStorm has subscribers vanish by resets while events are sent.
func TestFaultResetStorm(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	steady := open(t, s)
	steady.join(t, "news", "")
	for round := range 5 {
		var storm []*net.TCPConn
		for range 40 {
			storm = append(storm, rawSubscriber(t, s, "news"))
		}
		for i, c := range storm {
			if i%8 == 0 {
				s.api().trigger(t, "news", "update", fmt.Sprint(round, " ", i))
			}
			// Nothing was read: the close is a reset.
			_ = c.SetLinger(0)
			_ = c.Close()
		}
		for i := 0; i < len(storm); i += 8 {
			steady.expect(t, fmt.Sprintf(`{"event":"update","channel":"news","data":"%d %d"}`, round, i))
		}
	}
	s.api().eventually(t, "/channels/news", "subscription_count", `{"occupied":true,"subscription_count":1}`)
	s.serves(t)
}

// rawSubscriber subscribes and reads nothing but the first answer.
func rawSubscriber(t *testing.T, s *server, channel string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.address(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	head := "GET /app/" + testApp.key + " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	message := `{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`
	// A mask of zeros leaves the message as it is.
	if _, err := io.WriteString(c, head+"\x81"+string([]byte{0x80 | byte(len(message))})+"\x00\x00\x00\x00"+message); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for b := make([]byte, 4096); !strings.Contains(got.String(), "subscription_succeeded"); {
		n, err := c.Read(b)
		if got.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
	}
	return c.(*net.TCPConn)
}

// TestFaultStopped freezes the process: what was sent meanwhile is dealt with
// afterwards.
func TestFaultStopped(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	a, b := open(t, s), open(t, s)
	a.join(t, "news", "")
	b.join(t, "news", "")
	s.signal(t, syscall.SIGSTOP)
	defer func() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }()
	for i := range 20 {
		a.send(t, fmt.Sprintf(`{"event":"client-move","channel":"news","data":%d}`, i))
	}
	// The kernel takes connections for a process that does not run.
	late, err := net.DialTimeout("tcp", s.address(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	s.signal(t, syscall.SIGCONT)
	for i := range 20 {
		b.expect(t, fmt.Sprintf(`{"event":"client-move","channel":"news","data":%d}`, i))
	}
	s.serves(t)
}

// TestFaultNobodyReadsTheLog fills or closes what the node prints to.
func TestFaultNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	t.Run("the log's disk is full", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		cmd := command(t, "", testApp.environment(), append([]string{"start", "--debug"}, anyPort...)...)
		cmd.Stderr = full
		startCommand(t, cmd).serves(t)
	})
	t.Run("the reader of a pipe is gone", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, "", testApp.environment(), append([]string{"start", "--debug"}, anyPort...)...)
		cmd.Stdout = w
		p := launch(t, cmd)
		_ = w.Close()
		var head strings.Builder
		_ = r.SetReadDeadline(time.Now().Add(patience))
		for b := make([]byte, 1024); !strings.Contains(head.String(), "Starting server"); {
			n, err := r.Read(b)
			if head.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
		}
		_, rest, _ := strings.Cut(head.String(), "127.0.0.1:")
		s := &server{process: p}
		if _, err := fmt.Sscanf(rest, "%d", &s.port); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
		s.serves(t) // every message prints a line
		s.signal(t, syscall.SIGTERM)
		if code := p.wait(t); code != 0 {
			t.Errorf("exit code %d, want 0", code)
		}
	})
}

// TestFaultStoreFull stops a node whose store for webhooks has no room. They are
// lost, and it says so; the stop is as orderly as any.
func TestFaultStoreFull(t *testing.T) {
	t.Parallel()
	if err := exec.Command("unshare", "-rm", "true").Run(); err != nil {
		t.Skip("this test needs a mount of its own (unshare -rm)")
	}
	r := startReceiver(t)
	r.react(t, reaction{Status: http.StatusServiceUnavailable})
	disk := t.TempDir()
	o := withHooks(t, nil, r.hook("/hook", nil))
	env := map[string]string{"RESOUND_WEBHOOKS_STORE": filepath.Join(disk, "webhooks.jsonl"), "RESOUND_DRAIN_TIMEOUT": "0"}
	cmd := command(t, "", env, append([]string{"start"}, o.args...)...)
	// A page for the directory's only file, which is taken.
	script := `mount -t tmpfs -o size=4k tmpfs "` + disk + `" && head -c 4096 /dev/zero > "` + disk + `/taken" && exec "$0" "$@"`
	cmd.Args = append([]string{"unshare", "-rm", "sh", "-c", script}, cmd.Args...)
	var err error
	if cmd.Path, err = exec.LookPath("unshare"); err != nil {
		t.Fatal(err)
	}
	s := startCommand(t, cmd)
	open(t, s).join(t, "news", "")
	r.expectDeliveries(t, 1)
	s.serves(t)
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	s.expectOutput(t, "no space left on device")
}
