package e2e

import (
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// redisServer is a Redis of a test's own, without persistence.
type redisServer struct {
	*process
	path string
	port int
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		skipWithout(t, []string{"redis-server (Debian package redis-server, 7 or later)"})
	}
	r := &redisServer{path: path}
	// The kernel chooses a port; should somebody take it before Redis does, it says so.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	r.start(t)
	return r
}

// start starts Redis on its port, empty.
func (r *redisServer) start(t *testing.T) {
	t.Helper()
	cmd := exec.Command(r.path, "--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	cmd.Dir = t.TempDir()
	r.process = launch(t, cmd)
	r.expectOutput(t, `Ready to accept connections`)
}

// kill ends Redis at once.
func (r *redisServer) kill(t *testing.T) {
	t.Helper()
	r.signal(t, syscall.SIGKILL)
	r.wait(t)
}

// environment makes nodes find each other through Redis, in Laravel's names.
func (r *redisServer) environment(more map[string]string) map[string]string {
	env := map[string]string{
		"REVERB_SCALING_ENABLED": "true", "REDIS_HOST": "127.0.0.1", "REDIS_PORT": strconv.Itoa(r.port),
		"RESOUND_DRAIN_TIMEOUT": "0",
	}
	for name, value := range more {
		env[name] = value
	}
	return env
}
