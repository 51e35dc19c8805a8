package doctor

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// maxSocketPath is the longest path of a node's Unix socket, with room for the
// suffix that a successor's has for a moment.
const maxSocketPath = 102

// unixSocket looks whether the node can make its Unix socket.
func (e *examination) unixSocket() {
	name := e.wanted.UnixSocket
	if name == "" {
		return
	}
	f := Finding{
		Check: "unix_socket", Is: fmt.Sprintf("a path of %d bytes", len(name)), Want: fmt.Sprintf("%d bytes at most", maxSocketPath),
		Why: "the kernel takes no longer path for a socket",
		Fix: "choose a shorter unix_socket, such as /run/resound/resound.sock",
	}
	if len(name) > maxSocketPath {
		e.judge(false, Fault, f)
		return
	}
	folder := path.Dir(name)
	f.Want, f.Why = "a folder", "a node does not start without it"
	f.Fix = "make the folder, for the node's user: RuntimeDirectory= in the systemd unit, or install -d"
	s, err := fs.Stat(e.host.Files, strings.TrimPrefix(folder, "/"))
	switch {
	case err != nil:
		f.Is = err.Error()
		e.judge(false, Fault, f)
		return
	case !s.IsDir():
		f.Is = folder + " is no folder"
		e.judge(false, Fault, f)
		return
	}
	f.Is, f.Want = "nobody has it", "free, or a socket"
	f.Why, f.Fix = "a node leaves files of others alone", "remove "+name+", or choose another unix_socket"
	s, err = fs.Stat(e.host.Files, strings.TrimPrefix(name, "/"))
	if err == nil {
		f.Is = s.Mode().String()
	}
	e.judge(err != nil || s.Mode()&fs.ModeSocket != 0, Fault, f)
}
