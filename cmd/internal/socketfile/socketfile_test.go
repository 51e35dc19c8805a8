package socketfile

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestModeDespiteTheMask(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path, 0o660, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("got %v, %v, want 0660", info.Mode(), err)
	}
}

// who connects and reads who answers.
func who(t *testing.T, path string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	name, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(name)
}

func TestSuccessorTakesThePlaceWhenItIsReady(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen := func(name string, succeed bool) *Listener {
		l, err := Listen(path, 0o600, succeed)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, name)
				_ = c.Close()
			}
		}()
		return l
	}
	old := listen("old", false)
	failed := listen("failed", true)
	if got := who(t, path); got != "old" {
		t.Errorf("%s answers, want old", got)
	}
	_ = failed.Close() // it never became ready
	next := listen("next", true)
	if got := who(t, path); got != "old" {
		t.Errorf("%s answers, want old", got)
	}
	waiting, err := net.Dial("unix", path) // has not been accepted, perhaps
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Publish(); err != nil {
		t.Fatal(err)
	}
	if name, _ := io.ReadAll(waiting); string(name) != "old" {
		t.Errorf("%q answers who connected before, want old", name)
	}
	if got := who(t, path); got != "next" {
		t.Errorf("%s answers, want next", got)
	}
	_ = old.Close()
	if got := who(t, path); got != "next" {
		t.Errorf("%s answers, want next", got)
	}
	if _, err := Listen(path, 0o600, false); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
	_ = next.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, 0o600, true); !errors.Is(err, errNoSocket) {
		t.Errorf("in the place of a file: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
