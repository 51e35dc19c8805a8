package control

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"resound/cmd/internal/socketfile"
)

// dialTimeout is how long a server may take to take a connection.
const dialTimeout = 5 * time.Second

// ErrInUse says that another node answers on the path.
var ErrInUse = socketfile.ErrInUse

// Listener is a bound control socket. Close removes it.
type Listener = socketfile.Listener

// Listen makes the socket, mode 0600. One that a dead process left behind is
// replaced; one that answers is only with succeed, which is for the process that
// takes over from the one there, and otherwise is ErrInUse. Other files are left alone.
func Listen(path string, succeed bool) (*Listener, error) {
	l, err := socketfile.Listen(path, 0o600, succeed)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := l.Publish(); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return l, nil
}

// ListenDefault makes the default socket of a port in the first folder that
// allows it. A second node on the same port, which reuse_port allows, gets one
// with its process id.
func ListenDefault(port int, getenv func(string) string, succeed bool) (*Listener, error) {
	var problems []error
	for _, dir := range Dirs(getenv) {
		if err := makeDir(dir); err != nil {
			problems = append(problems, err)
			continue
		}
		l, err := Listen(DefaultPath(dir, port), succeed)
		if errors.Is(err, ErrInUse) {
			l, err = Listen(filepath.Join(dir, fmt.Sprintf("%d-%d.sock", port, os.Getpid())), false)
		}
		if err == nil {
			return l, nil
		}
		problems = append(problems, err)
	}
	return nil, errors.Join(problems...)
}
