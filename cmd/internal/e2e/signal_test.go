package e2e

import (
	"net/http"
	"strconv"
	"syscall"
	"testing"
)

// samePort makes a second server listen where this one did.
func (s *server) samePort() []string {
	return []string{"--host", "127.0.0.1", "--port", strconv.Itoa(s.port)}
}

func TestSignalDrains(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, startOptions{env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"}})
			var sockets []*socket
			for range 5 {
				sockets = append(sockets, open(t, s))
			}
			sockets[0].join(t, "news", "")
			s.signal(t, sig)
			for _, k := range sockets {
				// 4200 to 4299: clients come back at once, elsewhere.
				k.expectClose(t, 4200)
			}
			if code := s.wait(t); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

func TestDrainingServer(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "60"}})
	for range 2 {
		open(t, s) // the drain lasts as long as there are connections
	}
	if got := s.status("/ready"); got != http.StatusOK {
		t.Fatalf("GET /ready = %d before the drain, want 200", got)
	}
	s.signal(t, syscall.SIGTERM)
	eventually(t, "GET /ready is 503 or refused", func() bool { return s.status("/ready") != http.StatusOK })

	// A second signal ends it now; after the whole drain the exit code would be 0.
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 1 {
		t.Errorf("exit code %d for connections that were cut off, want 1", code)
	}
}
