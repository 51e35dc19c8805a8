package bench

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func compared(commit string, perSecond, cpu float64) Result {
	r := Result{
		Scenario: "fanout",
		Started:  time.Date(2026, 11, 23, 1, 2, 3, 0, time.UTC),
		Commit:   commit,
		Floor:    FloorC,
		Settings: Settings{Floor: true, Connections: 100, Threads: 2, Rounds: 3, Duration: time.Second},
		Rounds: []Round{
			{Subject: SubjectServer, Mode: "single", PerSecond: perSecond, CPUMicros: &cpu, ServerCores: &cpu, Latency: &Latency{P50: 1, P90: 2, P99: 3, Max: 4}},
			{Subject: SubjectFloor, Mode: "single", PerSecond: 100, CPUMicros: value(5), ServerCores: value(1)},
		},
		Memory: []Memory{{Subject: SubjectServer, BytesPerConnection: 600}},
	}
	r.Machine.Cores = 2
	r.summarize()
	return r
}

func TestCompare(t *testing.T) {
	t.Run("figures of both stand side by side with their ratio", func(t *testing.T) {
		c, err := Compare(compared("old", 50, 10), compared("new", 75, 8))
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Differences) != 0 {
			t.Errorf("got differences %q, want none", c.Differences)
		}
		found := 0
		for _, row := range c.Rows {
			ratio, ok := row.Ratio()
			switch row.Group + ", " + row.Name {
			case "server single, deliveries/s":
				found++
				if !ok || ratio != 1.5 || !row.HigherIsBetter {
					t.Errorf("got rate %+v, want 1.5 times as much, which is better", row)
				}
			case "server single, CPU us/op":
				found++
				if !ok || ratio != 0.8 || row.HigherIsBetter {
					t.Errorf("got CPU %+v, want 0.8, of which less is better", row)
				}
			case "ratio, rate, single, server / floor", "server single, p99 us", "server memory, bytes/connection":
				found++
			}
		}
		if found != 5 {
			t.Errorf("got %d of the 5 figures looked for in %+v", found, c.Rows)
		}
		var table bytes.Buffer
		if err := c.WriteTable(&table); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"commit old", "commit new", "server single", "1.50", "0.80"} {
			if !strings.Contains(table.String(), want) {
				t.Errorf("got table without %q:\n%s", want, table.String())
			}
		}
	})
	t.Run("what differs in machine, settings and floor is listed", func(t *testing.T) {
		earlier, later := compared("a", 1, 1), compared("b", 1, 1)
		earlier.Machine.Kernel, later.Machine.Kernel = "6.1", "6.2"
		later.Settings.Connections, later.Settings.Duration = 200, 3*time.Second
		later.Floor = FloorGo
		later.Settings.Target = "ws://elsewhere:1"
		c, err := Compare(earlier, later)
		if err != nil {
			t.Fatal(err)
		}
		want := "kernel: 6.1, now 6.2; connections: 100, now 200; round: 1s, now 3s; kind of floor: c, now go"
		if got := strings.Join(c.Differences, "; "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("a figure that one of them lacks has no ratio", func(t *testing.T) {
		earlier, later := compared("a", 1, 1), compared("b", 1, 1)
		earlier.Medians[0].Mode, later.Memory = "other", nil
		c, err := Compare(earlier, later)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range c.Rows {
			_, ok := row.Ratio()
			if lacking := row.Earlier == nil || row.Later == nil; lacking == ok {
				t.Errorf("got %+v with ratio %v, want one exactly where both have it", row, ok)
			}
		}
	})
	t.Run("results of different scenarios are refused", func(t *testing.T) {
		later := compared("b", 1, 1)
		later.Scenario = "connect"
		if _, err := Compare(compared("a", 1, 1), later); !errors.Is(err, ErrIncomparable) {
			t.Errorf("got %v, want %v", err, ErrIncomparable)
		}
	})
}

func TestReadResult(t *testing.T) {
	write := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "r.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("a result comes back as it was written", func(t *testing.T) {
		var b bytes.Buffer
		if err := compared("a", 50, 10).WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		r, err := ReadResult(write(t, b.String()))
		if err != nil || r.Commit != "a" || len(r.Rounds) != 2 || r.Floor != FloorC {
			t.Errorf("got %+v %v, want the result", r, err)
		}
	})
	t.Run("an earlier version's floor was the one in Go", func(t *testing.T) {
		r, err := ReadResult(write(t, `{"scenario":"fanout","settings":{"floor":true}}`))
		if err != nil || r.Floor != FloorGo {
			t.Errorf("got floor %q %v, want %q", r.Floor, err, FloorGo)
		}
	})
	for _, text := range []string{"", "{}", "[]", "no json"} {
		t.Run("a file of "+text+" is refused", func(t *testing.T) {
			if _, err := ReadResult(write(t, text)); err == nil {
				t.Error("got no error, want one")
			}
		})
	}
	t.Run("a file that is not there is an error", func(t *testing.T) {
		if _, err := ReadResult(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want %v", err, os.ErrNotExist)
		}
	})
}

func TestNumber(t *testing.T) {
	tests := []struct {
		value float64
		want  string
	}{{0, "0"}, {0.0123, "0.0123"}, {1.5, "1.50"}, {8.104, "8.10"}, {99.94, "99.9"}, {999, "999"}, {1234567.6, "1,234,568"}, {-1234, "-1,234"}}
	for _, tt := range tests {
		if got := Number(tt.value); got != tt.want {
			t.Errorf("got %q for %v, want %q", got, tt.value, tt.want)
		}
	}
}
