package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"resound/cmd/internal/socketfile"
)

// dead leaves a socket behind, as a process does that was killed.
func dead(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSocketIsForItsUserAlone(t *testing.T) {
	s, _ := serve(t, newFakeNode())
	info, err := os.Lstat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got.Perm() != 0o600 || got&os.ModeSocket == 0 {
		t.Errorf("mode %v, want a socket with 0600", got)
	}
}

func TestSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	dead(t, path)
	l, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if !socketfile.Answers(path) {
		t.Error("the new socket does not answer")
	}
	if err := l.Close(); err != nil || !gone(path) {
		t.Errorf("after Close: %v, gone: %v", err, gone(path))
	}
}

func TestSocketInUseIsNotReplaced(t *testing.T) {
	s, c := serve(t, newFakeNode())
	if _, err := Listen(s.Path(), false); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("got %v, want ErrInUse with the path", err)
	}
	if got, err := c.Status(t.Context()); err != nil || got.Version != "fake" {
		t.Errorf("the first server answers %+v, %v", got, err)
	}
}

func TestListenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ name, path, says string }{
		{"a file that is no socket", file, "not a socket"},
		{"a folder that is not there", filepath.Join(dir, "missing", "c.sock"), "no such file"},
		{"a path that is too long", filepath.Join(dir, strings.Repeat("x", 200)), "102"},
	} {
		t.Run(row.name, func(t *testing.T) {
			l, err := Listen(row.path, false)
			if err == nil {
				_ = l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want it to say %q", err, row.says)
			}
		})
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "precious" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

// TestOneOfManyWins lets several listen at the same moment on a path with a dead
// socket: one must get it, and keep it.
func TestOneOfManyWins(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "c.sock")
		dead(t, path)
		var mu sync.Mutex
		var won []*Listener
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				l, err := Listen(path, false)
				if err != nil {
					if !errors.Is(err, ErrInUse) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, l)
			})
		}
		all.Wait()
		if len(won) != 1 || !socketfile.Answers(path) {
			t.Fatalf("%d listen, and one answers: %v", len(won), socketfile.Answers(path))
		}
		_ = won[0].Close()
	}
}

func TestCloseLeavesASocketOfSomebodyElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := Listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := l.Close(); err != nil || !socketfile.Answers(path) {
		t.Errorf("got %v; the other's socket answers: %v", err, socketfile.Answers(path))
	}
}

func TestDefaultSockets(t *testing.T) {
	temp := t.TempDir()
	env := environment("XDG_RUNTIME_DIR", temp)
	listen := func(port int) *Listener {
		t.Helper()
		l, err := ListenDefault(port, env, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	one, two, again := listen(8080), listen(9000), listen(8080)
	if one.Path != filepath.Join(temp, "resound", "8080.sock") {
		t.Errorf("the socket is %s", one.Path)
	}
	if want := "8080-" + strconv.Itoa(os.Getpid()) + ".sock"; filepath.Base(again.Path) != want {
		t.Errorf("the second server on the port has %s, want %s", again.Path, want)
	}
	dead(t, filepath.Join(temp, "resound", "7000.sock"))
	got := Find(env)
	want := map[Found]bool{{8080, one.Path}: true, {9000, two.Path}: true, {8080, again.Path}: true}
	for _, f := range got {
		if strings.HasPrefix(f.Path, temp) && !want[f] {
			t.Errorf("found %+v", f)
		}
		delete(want, f)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

func TestFoldersThatOthersMayWriteToAreNotUsed(t *testing.T) {
	open, temp := t.TempDir(), t.TempDir()
	dir := filepath.Join(open, "resound")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	l, err := ListenDefault(8080, environment("XDG_RUNTIME_DIR", open, "TMPDIR", temp), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !strings.HasPrefix(l.Path, temp) {
		t.Errorf("the socket is %s, want the next folder", l.Path)
	}

	link := filepath.Join(t.TempDir(), "resound")
	if err := os.Symlink(temp, link); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenDefault(8081, environment("XDG_RUNTIME_DIR", filepath.Dir(link), "TMPDIR", "/dev/null"), false); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a link in the place of a folder: %v", err)
	}
}
