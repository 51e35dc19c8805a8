package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
