// Command resound is a WebSocket server that takes the place of Laravel Reverb
// and of any other Pusher Channels server.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailed   = 1
	exitUsage    = 2
	exitNoServer = 3
)

// version is set when a release is built.
var version = ""

func main() {
	os.Exit(run(os.Args[1:]))
}

// newRoot returns the command line with all commands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "resound",
		Short: "A WebSocket server for the Pusher protocol, in place of Laravel Reverb",
		Example: `  resound start
  resound status
  resound help start`,
		Version:       versionText(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		startCommand(), stopCommand(), reloadCommand(), restartCommand(),
		statusCommand(), connectionsCommand(), channelsCommand(), tailCommand(), triggerCommand(),
		exportCommand(), importCommand(), dashboardCommand(),
		configCommand(), keysCommand(), installCommand(), doctorCommand(),
		manCommand(),
	)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errInterrupted):
		return exitFailed
	}
	fmt.Fprintf(os.Stderr, "resound: %v\n", err)
	if usage := (usageError{}); errors.As(err, &usage) || isUnknownCommand(root, args) {
		fmt.Fprintln(os.Stderr, "Run 'resound --help' for usage.")
		return exitUsage
	}
	if isNoServer(err) {
		return exitNoServer
	}
	return exitFailed
}

// usageError is a mistake on the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func isUnknownCommand(root *cobra.Command, args []string) bool {
	_, _, err := root.Find(args)
	return err != nil
}

func versionText() string {
	if version != "" {
		return version
	}
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		return b.Main.Version
	}
	return "unknown"
}
