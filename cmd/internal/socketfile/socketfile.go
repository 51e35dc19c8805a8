// Package socketfile makes Unix sockets that listen at a path: it replaces what dead
// processes left behind, never what somebody answers on, and can take another
// socket's place without a moment in which nobody answers.
//
// It owns the path of a Listener from Listen, or Publish, to Close; a socket that
// another process put there meanwhile stays.
package socketfile

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

// ErrInUse says that somebody answers on the path.
var ErrInUse = errors.New("another server uses this socket")

var errNoSocket = errors.New("a file of this name is there, and it is not a socket")

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

// Listener is a bound socket. Close removes it. Safe for concurrent use.
type Listener struct {
	*net.UnixListener
	Path string
	name string      // Path, or where the socket waits for Publish
	node os.FileInfo // the socket we made: somebody else's of the same name stays
}

// Listen makes the socket with the rights of mode. One that a dead process left
// behind is replaced; one that answers is ErrInUse. With succeed, which is for the
// process that takes over from the one there, whatever is at path stays until
// Publish. Other files are left alone.
func Listen(path string, mode os.FileMode, succeed bool) (*Listener, error) {
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
		name = path + nextSuffix
	}
	if err := clearPath(name); err != nil {
		return nil, err
	}
	if s, err := os.Lstat(path); err == nil && s.Mode()&os.ModeSocket == 0 {
		return nil, errNoSocket
	}
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		// Before it is bound, so that there is no moment in which others may connect.
		if controlErr := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(mode.Perm())) }); controlErr != nil {
			return controlErr
		}
		return err
	}}
	made, err := c.Listen(context.Background(), "unix", name)
	if err != nil {
		return nil, err
	}
	l := &Listener{UnixListener: made.(*net.UnixListener), Path: path, name: name}
	l.SetUnlinkOnClose(false)
	if err = os.Chmod(name, mode); err == nil { // what the process's mask took away
		l.node, err = os.Lstat(name)
	}
	if err != nil {
		_ = l.UnixListener.Close()
		return nil, err
	}
	return l, nil
}

// Publish puts a socket that was made with succeed in its place. Who is about to
// connect to the one there still may.
func (l *Listener) Publish() error {
	unlock, err := lockDir(filepath.Dir(l.Path))
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := os.Lstat(l.name); err != nil || !os.SameFile(now, l.node) {
		return fmt.Errorf("the socket at %s is gone", l.name)
	}
	return os.Rename(l.name, l.Path)
}

// Close ends Accept and removes the socket.
func (l *Listener) Close() error {
	err := l.UnixListener.Close()
	unlock, lockErr := lockDir(filepath.Dir(l.Path))
	if lockErr != nil {
		return err
	}
	defer unlock()
	for _, path := range []string{l.Path, l.name} {
		if now, statErr := os.Lstat(path); statErr == nil && os.SameFile(now, l.node) {
			_ = os.Remove(path)
		}
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
		return errNoSocket
	case Answers(path):
		return ErrInUse
	}
	return os.Remove(path)
}

// Answers reports whether somebody accepts connections at path.
func Answers(path string) bool {
	c, err := net.DialTimeout("unix", path, dialTimeout)
	if err != nil {
		// A full backlog and missing rights are signs of life.
		return !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT)
	}
	_ = c.Close()
	return true
}
