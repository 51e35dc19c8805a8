package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"resound/cmd/internal/config"
)

// historyPath is the file for the history of the server on a port, empty for none.
// Unlike the control socket it must not be where a restart of the host empties the
// folder.
func historyPath(s *config.Server, log *slog.Logger) string {
	switch {
	case strings.EqualFold(s.Monitoring.Storage, "off"):
		return ""
	case s.Monitoring.Storage != "":
		return s.Monitoring.Storage
	case s.Port == 0:
		return "" // the next start has another port
	}
	name := fmt.Sprintf("resound-history-%d.db", s.Port)
	if state, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(state) { // systemd: StateDirectory=
		return filepath.Join(state, name)
	}
	laravel := filepath.Join("storage", "framework")
	if d, err := os.Stat(laravel); err == nil && d.IsDir() {
		return filepath.Join(laravel, name)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		log.Warn("no history is kept: there is no folder for it (monitoring.storage)", "error", err)
		return ""
	}
	return filepath.Join(dir, "resound", name)
}
