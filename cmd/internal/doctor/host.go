package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Host is what the checks look at.
type Host struct {
	Files    fs.FS  // root of the file system, for proc and sys; it reads links too
	Soft     uint64 // descriptors of this process
	Hard     uint64 // to which it may raise Soft; the Go runtime does so by itself
	CPUs     int    // that this process may use
	PageSize int    // bytes

	// Synchronized reports whether something keeps the clock right.
	Synchronized bool
}

// ThisHost returns the host the process runs on.
func ThisHost() (Host, error) {
	h := Host{Files: os.DirFS("/"), CPUs: runtime.GOMAXPROCS(0), PageSize: os.Getpagesize()}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return h, fmt.Errorf("read descriptor limit: %w", err)
	}
	h.Soft, h.Hard = limit.Cur, limit.Max
	var clock unix.Timex // no mode: nothing is adjusted
	state, err := unix.Adjtimex(&clock)
	h.Synchronized = err == nil && state != unix.TIME_ERROR && clock.Status&unix.STA_UNSYNC == 0
	return h, nil
}

// Wanted is the node that shall run on the host.
type Wanted struct {
	Connections int    // at the same time
	Descriptors int    // that it needs for them
	Address     string // IP address or name to listen on
	Port        int    // 0: the kernel chooses
	Reactors    int
	TLS         bool   // the port speaks it
	UnixSocket  string // path to listen on too; empty: none
}
