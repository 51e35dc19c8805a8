package memory

import (
	"io/fs"
	"runtime/debug"
)

const (
	// gcPercent lets the heap grow to three times what lives before it is
	// collected. Idle connections are all live and make no garbage; deliveries
	// make little. docs/adr/0007-memory-limit.md
	gcPercent = 200

	// share of the limit, in percent, that Go may use. The rest is for what its
	// runtime does not count: the program itself and, in a control group, the
	// kernel's memory for the sockets of connections that send or receive.
	share = 90
)

// Settings are what Apply sets.
type Settings struct {
	LimitBytes int64  // soft limit of the runtime's memory; 0 sets none
	Of         int64  // what it is a share of, in bytes
	Source     string // where Of comes from
	GCPercent  int    // 0 leaves what the environment says
}

// Choose derives settings from the files under root, which is / of the host.
// What the environment says by GOMEMLIMIT and GOGC is left alone.
func Choose(root fs.FS, getenv func(name string) string) Settings {
	var s Settings
	if getenv("GOMEMLIMIT") == "" {
		s.Of, s.Source = available(root)
		s.LimitBytes = s.Of / 100 * share
	}
	if getenv("GOGC") == "" {
		s.GCPercent = gcPercent
	}
	return s
}

// Apply sets them for the process.
func (s Settings) Apply() {
	if s.LimitBytes > 0 {
		debug.SetMemoryLimit(s.LimitBytes)
	}
	if s.GCPercent > 0 {
		debug.SetGCPercent(s.GCPercent)
	}
}
