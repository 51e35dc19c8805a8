package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse says that another node answers on the path.
var ErrInUse = errors.New("another server uses this control socket")

const (
	// nextSuffix is of a socket that is about to take another one's place.
	nextSuffix = ".next"

	// maxPathBytes leaves room for it in what the kernel takes, 107 bytes.
	maxPathBytes = 107 - len(nextSuffix)
)

const (
	dialTimeout = 5 * time.Second // of the question whether somebody answers
	lockTimeout = 5 * time.Second
	lockPause   = 10 * time.Millisecond
)

// Listener is a bound control socket. Close removes it.
type Listener struct {
	*net.UnixListener
	Path string
	node os.FileInfo // the socket we made: somebody else's of the same name stays
}

// Listen makes the socket, mode 0600. One that a dead process left behind is
// replaced; one that answers is only with succeed, which is for the process that
// takes over from the one there, and otherwise is ErrInUse. Other files are left alone.
func Listen(path string, succeed bool) (*Listener, error) {
	l, err := listen(path, succeed)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path string, succeed bool) (*Listener, error) {
	if len(path) > maxPathBytes {
		return nil, fmt.Errorf("the path has %d bytes, %d is the most a socket may have", len(path), maxPathBytes)
	}
	unlock, err := lockDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	name := path
	if succeed {
		name = path + nextSuffix // and there is no moment in which nobody answers at path
	}
	if err := clearPath(name); err != nil {
		return nil, err
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		// Before it is bound, so that there is no moment in which others may connect.
		if controlErr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	made, err := c.Listen(context.Background(), "unix", name)
	if err != nil {
		return nil, err
	}
	l := &Listener{UnixListener: made.(*net.UnixListener), Path: path}
	l.SetUnlinkOnClose(false)
	if name != path {
		if err := os.Rename(name, path); err != nil {
			_ = l.UnixListener.Close()
			return nil, err
		}
	}
	if l.node, err = os.Lstat(path); err != nil {
		_ = l.UnixListener.Close()
		return nil, err
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

// Close ends Accept and removes the socket.
func (l *Listener) Close() error {
	err := l.UnixListener.Close()
	unlock, lockErr := lockDir(filepath.Dir(l.Path))
	if lockErr != nil {
		return err
	}
	defer unlock()
	if now, statErr := os.Lstat(l.Path); statErr == nil && os.SameFile(now, l.node) {
		_ = os.Remove(l.Path)
	}
	return err
}

// lockDir keeps two processes from looking at a socket, and replacing it, at the
// same time. In a folder that others may read they can hold the lock too: it is
// not waited for without end.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(lockTimeout); ; time.Sleep(lockPause) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // which unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) || time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("lock of %s: %w", dir, err)
		}
	}
}

// clearPath removes a socket on which nobody answers.
func clearPath(path string) error {
	s, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case s.Mode()&os.ModeSocket == 0:
		return errors.New("a file of this name is there, and it is not a socket")
	case answers(path):
		return ErrInUse
	}
	return os.Remove(path)
}

// answers reports whether somebody accepts connections at path.
func answers(path string) bool {
	c, err := net.DialTimeout("unix", path, dialTimeout)
	if err != nil {
		// A full backlog and missing rights are signs of life.
		return !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT)
	}
	_ = c.Close()
	return true
}
