package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRatesAreThoseOfTheLastSeconds(t *testing.T) {
	var m Meter
	if got := m.Rates(); got != (Rates{}) {
		t.Errorf("without readings: %+v", got)
	}
	at := time.Unix(1000, 0)
	for i := range 20 {
		n := uint64(0)
		if i >= 5 { // a rate that has changed since
			n = 100 * uint64(i-5)
		}
		m.Observe(Reading{At: at.Add(time.Duration(i) * time.Second), Received: n, Sent: 10 * n, Requests: n, CPUSeconds: float64(i) / 2})
	}
	got := m.Rates()
	want := Rates{Over: window, Received: 100, Sent: 1000, Requests: 100, CPU: 50}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRatesAreNeverNegative(t *testing.T) {
	var m Meter
	m.Observe(Reading{At: time.Unix(1, 0), Received: 100})
	m.Observe(Reading{At: time.Unix(2, 0), Received: 40}) // an app was removed
	if got := m.Rates(); got.Received != 0 {
		t.Errorf("got %v", got.Received)
	}
}

func TestReadProcess(t *testing.T) {
	p := ReadProcess()
	if p.MemoryBytes < 1<<20 || p.CPUSeconds <= 0 || p.Goroutines < 1 {
		t.Errorf("got %+v", p)
	}
}

func TestMemoryLimit(t *testing.T) {
	const host = "MemTotal:        1000 kB\nMemFree:  1 kB\n"
	for _, row := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"of the host", map[string]string{"proc/meminfo": host}, 1_024_000},
		{"nothing known", nil, 0},
		{"of the control group", map[string]string{"proc/meminfo": host, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "5000\n"}, 5000},
		{"of a group above", map[string]string{
			"proc/meminfo": host, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "7000",
		}, 7000},
		{"of a container, whose group is the root", map[string]string{"proc/meminfo": host, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "6000\n"}, 6000},
		{"of version 1", map[string]string{"proc/meminfo": host, "proc/self/cgroup": "4:cpu:/x\n3:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "8000\n"}, 8000},
		{"none in version 1", map[string]string{"proc/meminfo": host, "proc/self/cgroup": "3:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 1_024_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range row.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := MemoryLimit(root); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

func TestTooMuch(t *testing.T) {
	limits := Thresholds{MemoryPercent: 85, ConnectionPercent: 90}
	for _, row := range []struct {
		name string
		load Load
		says string
	}{
		{"little", Load{Memory: 10, MemoryLimit: 100, Connections: 10, ConnectionLimit: 100}, ""},
		{"at both thresholds", Load{Memory: 85, MemoryLimit: 100, Connections: 90, ConnectionLimit: 100}, ""},
		{"memory", Load{Memory: 86, MemoryLimit: 100}, "memory: 86 %"},
		{"connections", Load{Connections: 91, ConnectionLimit: 100}, "connections: 91 %"},
		{"no limits", Load{Memory: 1 << 40, Connections: 1 << 40}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := row.load.TooMuch(limits)
			if !strings.HasPrefix(got, row.says) || (got == "") != (row.says == "") {
				t.Errorf("got %q, want %q", got, row.says)
			}
		})
	}
}
