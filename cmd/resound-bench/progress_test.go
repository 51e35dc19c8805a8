package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"resound/bench"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ bench.Stepper = progressBar{}

func TestProgress(t *testing.T) {
	t.Run("quiet is silent", func(t *testing.T) {
		if progress, _ := openProgress(os.Stderr, true); progress != nil {
			t.Errorf("got %v, want none", progress)
		}
	})
	t.Run("what is no terminal gets plain lines", func(t *testing.T) {
		file, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if progress, _ := openProgress(file, false); progress != file {
			t.Errorf("got %v, want the file itself", progress)
		}
	})
	t.Run("a terminal gets a bar with the last line", func(t *testing.T) {
		var out bytes.Buffer
		b := newProgressBar(&out)
		fmt.Fprintln(b, "connecting")
		b.Step(0, 0)
		for done := range 4 {
			fmt.Fprintf(b, "round %d\n", done+1)
			b.Step(done+1, 4)
		}
		if !strings.Contains(out.String(), "connecting") {
			t.Errorf("got %q, want the first line", out.String())
		}
		b.end()
		if !strings.HasSuffix(strings.TrimRight(out.String(), " "), "\r") {
			t.Errorf("got %q at the end, want an empty line", out.String())
		}
	})
}
