package floor

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"resound/bench/process"
)

//go:embed bare.c
var bareSource []byte

// ErrNoCompiler means that this host has no C compiler.
var ErrNoCompiler = errors.New("no C compiler: neither $CC nor cc, gcc or clang")

const (
	compileTimeout = time.Minute

	// keptOutputBytes of what the compiler writes are shown when it fails.
	keptOutputBytes = 2000
)

// Compile builds the bare server in C into folder and returns its path. flags come
// behind -O2.
func Compile(ctx context.Context, folder string, flags ...string) (string, error) {
	compiler, err := findCompiler()
	if err != nil {
		return "", err
	}
	source, program := filepath.Join(folder, "bare.c"), filepath.Join(folder, "bare")
	if err := os.WriteFile(source, bareSource, 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, compileTimeout)
	defer cancel()
	args := append([]string{"-std=gnu11", "-O2", "-pthread"}, flags...)
	output, err := exec.CommandContext(ctx, compiler, append(args, "-o", program, source)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s bare.c: %w: %s", compiler, err, bytes.TrimSpace(output[:min(len(output), keptOutputBytes)]))
	}
	return program, nil
}

func findCompiler() (string, error) {
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoCompiler
}

// BareCommand returns the command that runs the compiled program with o.
func BareCommand(program string, o Options) process.Command {
	return process.Command{Path: program, Args: o.Args(), Stderr: os.Stderr}
}

// Args returns the command line that gives o to the bare server, in C or in Go: the
// two understand the same options.
func (o Options) Args() []string {
	var args []string
	if o.Threads != 0 {
		args = append(args, "--threads", strconv.Itoa(o.Threads))
	}
	if o.Packed {
		args = append(args, "--packed")
	}
	if o.Channel != "" {
		args = append(args, "--channel", o.Channel)
	}
	if o.PayloadBytes != 0 {
		args = append(args, "--payload", strconv.Itoa(o.PayloadBytes))
	}
	return args
}
