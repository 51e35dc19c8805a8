package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"resound/bench/process"
	"resound/bench/rest"
	"resound/bench/wire"
)

const (
	// spawnTimeout bounds the wait for a spawned server to accept connections.
	spawnTimeout = 15 * time.Second

	// spawnPoll is the pause between two attempts to connect to it.
	spawnPoll = 20 * time.Millisecond

	// spawnAttempts is on how many ports it is tried.
	spawnAttempts = 5

	// stopGrace is how long it may drain before it is killed.
	stopGrace = 3 * time.Second

	// keptOutputBytes of its standard error are shown when it fails.
	keptOutputBytes = 4096
)

// spawned is a server this run started.
type spawned struct {
	target rest.Target
	child  *process.Child
}

// spawn starts a resound binary with a new app on a free port, in an empty folder
// so that no .env is read, and returns once it accepts connections.
func (r *run) spawn() (spawned, error) {
	path, folder, err := r.spawnPlace()
	if err != nil {
		return spawned{}, err
	}
	app := newApp()
	command := process.Command{Path: path, Env: spawnEnvironment(os.Environ(), app), Dir: folder}
	var config []string
	if r.configure != nil {
		if config, err = r.writeConfig(&command, app); err != nil {
			return spawned{}, err
		}
	}
	command.Env = append([]string{historyHere}, command.Env...)
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return spawned{}, err
		}
		command.Args = append([]string{"start", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--workers", strconv.Itoa(r.settings.Threads)}, config...)
		output := &tail{}
		command.Stderr = output
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		child, err := r.startListening(command, output, address)
		if err == nil {
			return spawned{rest.Target{Address: address, Host: address, App: app}, child}, nil
		}
		// Somebody may have taken the port in between.
		if attempt == spawnAttempts || !strings.Contains(output.String(), "address already in use") {
			return spawned{}, fmt.Errorf("%s: %w; it wrote %q", r.settings.Spawn, err, output)
		}
	}
}

// startListening starts a server and returns once it accepts connections.
func (r *run) startListening(command process.Command, output *tail, address string) (*process.Child, error) {
	child, err := r.children.Start(command)
	if err != nil {
		return nil, err
	}
	go output.drain(child)
	if err := awaitListening(r.ctx, child, address); err != nil {
		child.Stop(0)
		return nil, err
	}
	r.closers = append(r.closers, func() { child.Stop(stopGrace) })
	return child, nil
}

// writeConfig gives command a configuration file instead of an app in its environment,
// and returns the arguments that name it.
func (r *run) writeConfig(command *process.Command, app wire.App) ([]string, error) {
	config, err := r.configure(app, command.Dir)
	if err != nil {
		return nil, err
	}
	command.Env = foreignEnvironment(os.Environ())
	file := filepath.Join(command.Dir, "reverb.json")
	return []string{"--config", file}, os.WriteFile(file, config, 0o600)
}

// spawnPlace returns the path of the binary to spawn and an empty folder to run it
// in, which lasts as long as the run.
func (r *run) spawnPlace() (path, folder string, err error) {
	if path, err = filepath.Abs(r.settings.Spawn); err != nil {
		return "", "", err
	}
	if folder, err = os.MkdirTemp("", "resound-bench-"); err != nil {
		return "", "", err
	}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(folder) })
	return path, folder, nil
}

// historyHere keeps a server's history in the folder it runs in: by default it would
// stay in the user's cache directory, one for each port that a run happened to find.
// It goes before the caller's environment, which wins.
const historyHere = "RESOUND_MONITORING_STORAGE=history.db"

// newApp returns credentials nobody else has.
func newApp() wire.App {
	return wire.App{ID: "bench", Key: strings.ToLower(rand.Text()), Secret: strings.ToLower(rand.Text())}
}

// spawnEnvironment returns the caller's environment with app as the only one, so
// that tuning by variables reaches the server but foreign credentials do not.
//
// Reverb: REVERB_APP_ID, REVERB_APP_KEY, REVERB_APP_SECRET.
func spawnEnvironment(environ []string, app wire.App) []string {
	return append(foreignEnvironment(environ), "REVERB_APP_ID="+app.ID, "REVERB_APP_KEY="+app.Key, "REVERB_APP_SECRET="+app.Secret)
}

// foreignEnvironment returns what is no setting of a Pusher-protocol server.
func foreignEnvironment(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return strings.HasPrefix(v, "REVERB_") || strings.HasPrefix(v, "PUSHER_") || strings.HasPrefix(v, "SOKETI_")
	})
}

// freePort returns a port that was free a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func awaitListening(ctx context.Context, child *process.Child, address string) error {
	ctx, cancel := context.WithTimeout(ctx, spawnTimeout)
	defer cancel()
	for {
		if conn, err := net.Dial("tcp4", address); err == nil {
			return conn.Close()
		}
		select {
		case <-child.Exited():
			return fmt.Errorf("ended before it listened on %s", address)
		case <-ctx.Done():
			return fmt.Errorf("does not listen on %s after %v", address, spawnTimeout)
		case <-time.After(spawnPoll):
		}
	}
}

// tail keeps the end of what a process writes. Safe for concurrent use.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// drain reads the process's standard output, which would block it when full.
func (t *tail) drain(child *process.Child) {
	for chunk := make([]byte, 4096); ; {
		n, err := child.Stdout.Read(chunk)
		_, _ = t.Write(chunk[:n])
		if err != nil {
			return
		}
	}
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if excess := len(t.b) - keptOutputBytes; excess > 0 {
		t.b = append(t.b[:0], t.b[excess:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
