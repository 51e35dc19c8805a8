package main

import (
	"strings"
	"testing"

	"resound/cmd/internal/monitor"
)

func TestStatusTellsWhatAClusterLoses(t *testing.T) {
	s := monitor.Snapshot{Cluster: &monitor.Cluster{Nodes: 2}}
	expect := func(want string) {
		t.Helper()
		for _, line := range statusLines(&s) {
			if line[0] == "Cluster" && line[1] != want {
				t.Errorf("got %q, want %q", line[1], want)
			}
		}
	}
	expect("2 nodes, 0 topics; 0 publications sent, 0 received")
	s.Cluster.Dropped, s.Cluster.Unheard, s.Totals.ShedPublications = 1, 2, 3000
	expect("2 nodes, 0 topics; 0 publications sent, 0 received, 1 dropped, 2 sent before all nodes were back, 3,000 dropped here under overload")
}

func TestNodesOfAStatus(t *testing.T) {
	figures := func(address, version string, pid int) *monitor.Figures {
		return &monitor.Figures{
			Address: address, PID: pid, Version: version, State: monitor.StateRunning, Uptime: 3700, Connections: 15_000,
			Sent: 144_000, CPU: 99.6, MemoryBytes: 1 << 30, Lag: 0.0004,
		}
	}
	table := func(width int, nodes ...monitor.Node) string {
		t.Helper()
		var out strings.Builder
		if err := writeNodes(&out, width, nodes); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := table(80); got != "" {
		t.Errorf("a node alone has the table %q", got)
	}
	self := monitor.Node{ID: "a", Self: true, Figures: figures("ws1:8080", "1", 1)}
	got := table(80, self, monitor.Node{ID: "b", Figures: figures("ws2:8080", "1", 2)})
	want := `
NODE                 STATE      UP    OPEN     IN        OUT    CPU   MEMORY   LAG
ws1:8080 (this one)  running  1h1m  15,000  0.0/s  144,000/s  100 %  1.07 GB  0 ms
ws2:8080             running  1h1m  15,000  0.0/s  144,000/s  100 %  1.07 GB  0 ms
`
	if full := table(0, self, monitor.Node{ID: "b", Figures: figures("ws2:8080", "1", 2)}); full != want {
		t.Errorf("got %s, want %s", full, want)
	}
	for line := range strings.Lines(got) {
		if n := len([]rune(strings.TrimSpace(line))); n > 80 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	got = table(0, self, monitor.Node{ID: "b", Figures: figures("ws1:8080", "2", 2)}, monitor.Node{ID: "cafe"})
	for _, want := range []string{"ws1:8080 (this one), pid 1", "ws1:8080, pid 2", "VERSION", "cafe", "unknown"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
}
