// Command resound-bench measures Pusher-protocol servers: deliveries, latency, memory,
// triggers, connects, presence, storms and what else a server must stand, beside the
// floor that a bare server reaches on the same host in the same run.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine = iota
	exitFailed
	exitUsage
)

// usageError marks errors of the command line.
type usageError struct{ error }

func main() { os.Exit(execute()) }

func execute() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, new(usageError)):
		fmt.Fprintf(os.Stderr, "resound-bench: %v\nTry resound-bench --help.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(os.Stderr, "resound-bench: %v\n", err)
		return exitFailed
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "resound-bench",
		Short: "Measure a Pusher-protocol server against what the host allows",
		Long: `resound-bench measures any Pusher-protocol server from outside.

Give it a running server (--target, --app, and --pid for CPU and memory), or let
it start a resound binary itself (--spawn). With --floor the same clients measure
a bare server in alternating rounds, and the ratios say how far from the limit of
the host the server is.`,
		Example: `  resound-bench fanout --spawn bin/resound --floor --connections 10000 --burst 8
  resound-bench idle --target ws://127.0.0.1:8080 --app ID:KEY:SECRET --pid 4711
  resound-bench fanout --spawn bin/resound --floor --compare before.json --html report.html
  resound-bench compare before.json after.json`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown scenario %q", args[0])}
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newFanout(), newIdle(), newTrigger(), newConnect(),
		newSpread(), newLatency(), newPresence(), newStorm(), newWebhook(), newWatched(), newSoak(), newMillion(), newCompare(),
		newClient(), newFloor(), newFloorHTTP(), newReceiver())
	return root
}
