package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"resound/bench"
)

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want string // in the error
	}{
		{"an unknown scenario is refused", []string{"bogus"}, "bogus"},
		{"an unknown flag is refused", []string{"fanout", "--bogus"}, "bogus"},
		{"an argument is refused", []string{"idle", "bogus"}, "bogus"},
		{"an app without a secret is refused", []string{"connect", "--target", "ws://127.0.0.1:1", "--app", "1:key"}, "ID:KEY:SECRET"},
		{"a comparison with one file is refused", []string{"compare", "a.json"}, "1 files"},
		{"a comparison of two scenarios is refused", []string{"compare", "../../bench/results/idle.json", "../../bench/results/connect.json"}, "idle"},
		{"an earlier result of another scenario is refused before a run", []string{"trigger", "--spawn", "x", "--compare", "../../bench/results/idle.json"}, "idle"},
		{"an earlier result that is no result is refused", []string{"trigger", "--spawn", "x", "--compare", "main.go"}, "main.go"},
		{"a scenario without a server is refused", []string{"trigger"}, "neither a target nor a binary"},
		{"a round of no length is refused", []string{"fanout", "--seconds", "0"}, "outside"},
		{"a round of no number is refused", []string{"fanout", "--seconds", "NaN"}, "outside"},
		{"a floor of no kind is refused", []string{"fanout", "--spawn", "x", "--floor=rust"}, "rust"},
		{"a payload too short for its stamp is refused", []string{"fanout", "--spawn", "x", "--payload", "29"}, "29"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := newRoot()
			root.SetArgs(tt.args)
			root.SetErr(io.Discard)
			err := root.ExecuteContext(context.Background())
			if !errors.As(err, new(usageError)) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want a usage error with %q", err, tt.want)
			}
		})
	}
	t.Run("help names the scenarios and hides what the coordinator starts", func(t *testing.T) {
		var out bytes.Buffer
		root := newRoot()
		root.SetArgs([]string{"--help"})
		root.SetOut(&out)
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"fanout", "idle", "trigger", "connect", "--floor"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("got help without %q:\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "coordinator") {
			t.Errorf("got help with hidden commands:\n%s", out.String())
		}
	})
}

func TestCompareCommand(t *testing.T) {
	const file = "../../bench/results/connect.json"
	page := filepath.Join(t.TempDir(), "report.html")
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs([]string{"compare", file, file, "--html", page})
	root.SetOut(&out)
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "1.00") || strings.Contains(out.String(), "not the same") {
		t.Errorf("got %q for a result beside itself, want ratios of 1 and no difference", out.String())
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("Beside the earlier result")) {
		t.Errorf("got a page of %d bytes %v, want one with the comparison", len(b), err)
	}
}

func TestOutput(t *testing.T) {
	folder := t.TempDir()
	o := output{json: filepath.Join(folder, "r.json"), html: filepath.Join(folder, "r.html"), compare: "../../bench/results/idle.json"}
	if err := o.readEarlier("idle"); err != nil {
		t.Fatal(err)
	}
	result, err := bench.ReadResult(o.compare)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := o.write(&table, result); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "later / earlier") {
		t.Errorf("got %q, want the comparison behind the table", table.String())
	}
	if back, err := bench.ReadResult(o.json); err != nil || back.Commit != result.Commit {
		t.Errorf("got commit %q %v from the JSON, want %q", back.Commit, err, result.Commit)
	}
	if b, err := os.ReadFile(o.html); err != nil || !bytes.Contains(b, []byte("</html>")) {
		t.Errorf("got a page of %d bytes %v, want a whole one", len(b), err)
	}
}

func TestFloorValue(t *testing.T) {
	tests := []struct {
		arg  string
		want bench.Settings
	}{
		{"--floor", bench.Settings{Floor: true}},
		{"--floor=auto", bench.Settings{Floor: true}},
		{"--floor=c", bench.Settings{Floor: true, FloorKind: bench.FloorC}},
		{"--floor=go", bench.Settings{Floor: true, FloorKind: bench.FloorGo}},
		{"--floor=false", bench.Settings{}},
	}
	for _, tt := range tests {
		t.Run(tt.arg, func(t *testing.T) {
			var got *bench.Settings
			cmd := newScenario("x", "", "", nil, func(_ *cobra.Command, s *bench.Settings) { got = s })
			if err := cmd.ParseFlags([]string{tt.arg}); err != nil {
				t.Fatal(err)
			}
			if got.Floor != tt.want.Floor || got.FloorKind != tt.want.FloorKind {
				t.Errorf("got floor %v %q, want %v %q", got.Floor, got.FloorKind, tt.want.Floor, tt.want.FloorKind)
			}
		})
	}
}

func TestSecondsValue(t *testing.T) {
	var d time.Duration
	if err := (*secondsValue)(&d).Set("1.5"); err != nil || d != 1500*time.Millisecond {
		t.Errorf("got %v %v, want 1.5s", d, err)
	}
}
