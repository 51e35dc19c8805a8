package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"resound/bench"
	"resound/bench/process"
	"resound/bench/wire"
)

// scenarioFlags are what the user gave for one scenario.
type scenarioFlags struct {
	settings bench.Settings
	app      string
	output   output
	quiet    bool
}

// scenario is one of the functions of package bench.
type scenario func(context.Context, bench.Settings) (bench.Result, error)

// newScenario returns a command with the flags all scenarios share; own adds its
// own.
func newScenario(name, short, long string, measure scenario, own func(*cobra.Command, *bench.Settings)) *cobra.Command {
	f := &scenarioFlags{}
	cmd := &cobra.Command{
		Use:   name,
		Short: short,
		Long:  long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unexpected argument %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, name, measure) },
	}
	flags, s := cmd.Flags(), &f.settings
	flags.SortFlags = false
	flags.StringVar(&s.Target, "target", "", "server under test, ws://HOST:PORT[/PREFIX]")
	flags.StringVar(&s.API, "api", "", "node of the same cluster that gets the triggers (default the target)")
	flags.StringVar(&f.app, "app", "", "credentials of its app, ID:KEY:SECRET")
	flags.IntSliceVar(&s.PIDs, "pid", nil, "process ids of the server, for CPU and memory (comma list, summed)")
	flags.StringVar(&s.Spawn, "spawn", "", "start this resound binary on a free port instead, and stop it at the end")
	flags.Var(&floorValue{s}, "floor", "measure the bare server too, in the same run: c, go, or auto: C where there is a compiler")
	flags.Lookup("floor").NoOptDefVal = floorAuto
	flags.IntVar(&s.Threads, "threads", 0, "threads of the floor and workers of a spawned server (default one per core)")
	own(cmd, s)
	flags.IntVar(&s.MaxMemoryMiB, "max-memory", 0, "fail when the server takes more than this many MiB at any moment (needs --pid or --spawn)")
	flags.DurationVar(&s.Timeout, "timeout", 0, "end the run after this (default 5m)")
	flags.StringVar(&f.output.json, "json", "", "write the result with all raw figures to this file")
	flags.StringVar(&f.output.html, "html", "", "write a report with charts to this file, which needs nothing beside it")
	flags.StringVar(&f.output.compare, "compare", "", "set an earlier result, a file written by --json, beside this one")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "no progress on standard error")
	return cmd
}

func (f *scenarioFlags) run(cmd *cobra.Command, name string, measure scenario) error {
	if f.app != "" {
		app, err := wire.ParseApp(f.app)
		if err != nil {
			return usageError{err}
		}
		f.settings.App = app
	}
	// Read first: a file that does not fit must not cost a run.
	if err := f.output.readEarlier(name); err != nil {
		return usageError{err}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own binary: %w", err)
	}
	f.settings.Self = process.Command{Path: self, Stderr: os.Stderr}
	progress, end := openProgress(os.Stderr, f.quiet)
	f.settings.Progress = progress
	result, err := measure(cmd.Context(), f.settings)
	end()
	if result.Scenario == "" {
		return usageError{err} // refused before anything was measured
	}
	return errors.Join(err, f.output.write(cmd.OutOrStdout(), result))
}
