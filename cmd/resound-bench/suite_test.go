package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/bench"
)

// buildBoth compiles the server and this program.
func buildBoth(t *testing.T) (server, generator string) {
	t.Helper()
	folder := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", folder+"/", "resound/cmd/resound", "resound/cmd/resound-bench")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(folder, "resound"), filepath.Join(folder, "resound-bench")
}

// TestSuite runs every scenario in a short form against the server. What a scenario
// finds wrong fails it; the figures mean nothing here.
func TestSuite(t *testing.T) {
	server, generator := buildBoth(t)
	scenarios := []struct {
		args   string
		rounds int // in the result, at least
	}{
		{"fanout --floor --connections 200 --burst 8 --seconds 0.1 --rounds 2", 8},
		{"fanout --floor --connections 200 --overload 8 --seconds 0.1 --rounds 2", 4},
		{"latency --floor --connections 200 --rate 4000 --seconds 0.3 --rounds 2", 4},
		{"latency --floor --connections 200 --load 0.5 --seconds 0.3 --rounds 1", 2},
		{"spread --floor --channels 300 --connections 100 --seconds 0.1 --rounds 2", 4},
		{"trigger --floor --connections 4 --seconds 0.1 --rounds 2", 4},
		{"connect --floor --connections 200 --rounds 2", 4},
		{"idle --floor --connections 100", 0},
		{"presence --connections 100 --seconds 0.2 --rounds 2", 5},
		{"storm --floor --connections 300 --watchers 50 --rate 500 --seconds 0.3 --rounds 2", 12},
		{"webhook --connections 100 --rate 500 --seconds 0.3 --rounds 1", 3},
		{"watched --connections 100 --seconds 0.3 --rounds 2", 4},
		{"soak --connections 100 --rate 1000 --duration 3s", 4},
	}
	for _, scenario := range scenarios {
		t.Run(scenario.args, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "result.json")
			args := append(strings.Fields(scenario.args), "--spawn", server, "--json", file, "--timeout", "2m")
			cmd := exec.CommandContext(t.Context(), generator, args...)
			cache := t.TempDir()
			cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+cache)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "resound", "*")); len(left) > 0 {
				t.Errorf("the servers left %q in the user's cache", left)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var result bench.Result
			if err := json.Unmarshal(b, &result); err != nil {
				t.Fatal(err)
			}
			if len(result.Rounds) < scenario.rounds {
				t.Errorf("got %d rounds, want %d or more", len(result.Rounds), scenario.rounds)
			}
			for _, round := range result.Rounds {
				if round.Operations == 0 {
					t.Errorf("got %+v, want operations", round)
				}
			}
			for _, verdict := range result.Verdicts {
				if strings.Contains(verdict, "no events of this run") || strings.Contains(verdict, "frames differ") || strings.Contains(verdict, "the receiver got") {
					t.Errorf("got verdict %q, want the server's messages understood", verdict)
				}
			}
		})
	}
}
