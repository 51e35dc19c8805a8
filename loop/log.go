package loop

import (
	"fmt"
	"log/slog"
	"os"
)

// quiet passes gnet's errors on and drops its chatter.
type quiet struct {
	log    *slog.Logger
	engine *Engine
}

func (quiet) Debugf(string, ...any) {}
func (quiet) Infof(string, ...any)  {}

// Warnf passes on at debug: what gnet warns of are events of connections that
// are closed already, which peers can cause at will.
func (q quiet) Warnf(format string, args ...any) {
	q.log.Debug("event loop: " + fmt.Sprintf(format, args...))
}

func (q quiet) Errorf(format string, args ...any) {
	if q.engine.withdrawn.Load() {
		return // of the sockets that were taken from it
	}
	q.log.Error("event loop: " + fmt.Sprintf(format, args...))
}

func (q quiet) Fatalf(format string, args ...any) {
	q.log.Error("event loop: " + fmt.Sprintf(format, args...))
	os.Exit(1)
}
