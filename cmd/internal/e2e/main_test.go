package e2e

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait. It is far above what a wait takes, as the machine
// may be busy.
const patience = 30 * time.Second

// binary is the resound under test.
var binary string

// parallel is how many tests run at the same time. They wait more than they
// compute, so it does not depend on the number of processors.
const parallel = "8"

func TestMain(m *testing.M) {
	if address := os.Getenv(receiverEnv); address != "" {
		fail(receive(address))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		fail(err)
	}
	dir, err := os.MkdirTemp("", "resound-e2e-")
	if err != nil {
		fail(err)
	}
	binary = filepath.Join(dir, "resound")
	if err := build(binary); err != nil {
		os.RemoveAll(dir)
		fail(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// noteSources looks at every file of the module: go test takes what a test looks at
// for part of it, and would else show a kept result for a binary that has changed.
// It must run in a test; before, nothing is noted.
var noteSources = sync.OnceValue(func() error {
	return filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin"):
			return fs.SkipDir
		case d.Type().IsRegular():
			_, err = os.Stat(path)
		}
		return err
	})
})

// build compiles cmd/resound.
func build(to string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	args := []string{"build", "-o", to}
	if os.Getenv("RACE") == "1" {
		args = append(args, "-race", "-tags", "invariants")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, "resound/cmd/resound")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go %v: %w\n%s", args, err, out)
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	os.Exit(1)
}
