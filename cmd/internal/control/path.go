package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"resound/cmd/internal/socketfile"
)

// systemDir is where systemd makes the runtime directory of a unit that asks for
// one.
const systemDir = "/run/resound"

// Dirs are the folders in which default sockets lie, the first to be used first.
// Commands look into all of them, because a service and the shell of its user
// rarely have the same environment.
func Dirs(getenv func(string) string) []string {
	var dirs []string
	add := func(dir string) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	unit, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":") // systemd: RuntimeDirectory=
	add(unit)
	if dir := getenv("XDG_RUNTIME_DIR"); dir != "" {
		add(filepath.Join(dir, "resound"))
	}
	temp := getenv("TMPDIR")
	if temp == "" {
		temp = "/tmp"
	}
	add(filepath.Join(temp, fmt.Sprintf("resound-%d", os.Getuid())))
	return dirs
}

// DefaultPath is the path of the default socket in a folder.
func DefaultPath(dir string, port int) string {
	return filepath.Join(dir, strconv.Itoa(port)+".sock")
}

// makeDir makes a folder for the socket, or checks the one that is there: nobody
// else may put a socket of his own into it.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return checkDir(dir)
}

func checkDir(dir string) error {
	s, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := s.Sys().(*syscall.Stat_t)
	switch {
	case !s.IsDir():
		return fmt.Errorf("%s is not a folder", dir)
	case !ok || int(owner.Uid) != os.Getuid() && owner.Uid != 0:
		return fmt.Errorf("%s belongs to another user", dir)
	case s.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%s can be written to by others (mode %04o)", dir, s.Mode().Perm())
	}
	return nil
}

// Found is a socket on which a node answers.
type Found struct {
	Port int
	Path string
}

// Find returns the default sockets on which nodes answer.
func Find(getenv func(string) string) []Found {
	var all []Found
	seen := map[string]bool{}
	for _, dir := range append(Dirs(getenv), systemDir) {
		if seen[dir] || dir != systemDir && checkDir(dir) != nil {
			continue // in /run only root makes folders
		}
		seen[dir] = true
		paths, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "*.sock"))
		for _, path := range paths {
			name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".sock"), "-")
			if port, err := strconv.Atoi(name); err == nil && socketfile.Answers(path) {
				all = append(all, Found{port, path})
			}
		}
	}
	return all
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
