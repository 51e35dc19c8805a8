package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// credentials name one app.
type credentials struct{ id, key, secret string }

// testApp is the app of servers that are started without other settings.
var testApp = credentials{"123456", "reverb-key", "reverb-secret"}

// environment gives credentials to a server as Laravel does.
func (c credentials) environment() map[string]string {
	return map[string]string{"REVERB_APP_ID": c.id, "REVERB_APP_KEY": c.key, "REVERB_APP_SECRET": c.secret}
}

// entry is the app in the list of a configuration file.
func (c credentials) entry(settings map[string]any) map[string]any {
	entry := map[string]any{"app_id": c.id, "key": c.key, "secret": c.secret}
	maps.Copy(entry, settings)
	return entry
}

// appsFile writes a configuration file and returns the arguments of a server that
// reads it and listens on any port.
func appsFile(t *testing.T, server map[string]any, apps ...map[string]any) []string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"servers": map[string]any{"reverb": server},
		"apps":    map[string]any{"apps": apps},
	})
	if err != nil {
		t.Fatal(err)
	}
	return append([]string{"--config", filepath.Join(write(t, "reverb.json", string(text)), "reverb.json")}, anyPort...)
}

// startOptions say how to start a server.
type startOptions struct {
	args []string // behind "start"; nil means a free port on 127.0.0.1
	env  map[string]string
	dir  string // working directory; empty means an empty one
	bare bool   // no credentials in the environment

	secure *x509.CertPool // who believes the server's certificate; nil without TLS

	// proxied says that the server answers nobody who connects directly.
	proxied bool

	// watched gives the server WATCHDOG_PID, as systemd does.
	watched bool

	// restarts says that other processes will take the server's place and go on
	// with its output.
	restarts bool
}

// server is a running resound.
type server struct {
	*process
	port int
	path string // prefix of every route, such as "/ws"

	secure *x509.CertPool // as startOptions.secure

	// dial makes connections to it; nil means the usual way.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// anyPort makes the kernel choose the port.
var anyPort = []string{"--host", "127.0.0.1", "--port", "0"}

// command returns the command of resound with args, in an environment that has
// only env.
func command(t *testing.T, dir string, env map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	t.Helper()
	if err := noteSources(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = dir
	if dir == "" {
		cmd.Dir = t.TempDir()
	}
	// A directory of its own: neither settings of the user nor a socket of
	// another server are found there.
	home := t.TempDir()
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "XDG_RUNTIME_DIR=" + home, "GORACE=halt_on_error=1"}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

// start starts a server and waits until it listens.
func start(t *testing.T, o startOptions) *server {
	t.Helper()
	env := map[string]string{}
	if !o.bare {
		env = testApp.environment()
	}
	maps.Copy(env, o.env)
	if o.args == nil {
		o.args = anyPort
	}
	cmd := command(t, o.dir, env, append([]string{"start"}, o.args...)...)
	if o.watched {
		cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `WATCHDOG_PID=$$ exec "$0" "$@"`, binary}, cmd.Args[1:]...)
	}
	if o.restarts {
		cmd.WaitDelay = 2 * patience // a process whose output is closed dies of it
	}
	s := &server{process: launch(t, cmd), secure: o.secure}
	if i := slices.Index(o.args, "--path"); i >= 0 {
		s.path = "/" + strings.Trim(o.args[i+1], "/")
	}
	found := s.expectOutput(t, `Starting server on 127\.0\.0\.1:(\d+)`)
	port, err := strconv.Atoi(found[1])
	if err != nil || port == 0 {
		t.Fatalf("port %q printed, want that of the listener", found[1])
	}
	s.port = port
	if !o.proxied {
		s.expectUp(t)
	}
	return s
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// url returns the address of an HTTP route behind the path prefix.
func (s *server) url(route string) string {
	scheme := "http://"
	if s.secure != nil {
		scheme = "https://"
	}
	return scheme + s.address() + s.path + route
}

// expectUp waits until the health check is answered.
func (s *server) expectUp(t *testing.T) {
	t.Helper()
	eventually(t, "GET /up is 200", func() bool { return s.status("/up") == http.StatusOK })
}

// status returns the status of a GET, or 0 when there is no answer.
func (s *server) status(route string) int {
	client := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       s.dial,
		TLSClientConfig:   &tls.Config{RootCAs: s.secure},
	}}
	response, err := client.Get(s.url(route))
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// eventually asks until the answer is yes: for what another process does without
// telling anybody.
func eventually(t *testing.T, what string, reached func() bool) {
	t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); !reached(); <-poll.C {
		if time.Now().After(deadline) {
			t.Fatalf("not reached within %v: %s", patience, what)
		}
	}
}
