package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

func restartCommand() *cobra.Command {
	return changing(&cobra.Command{
		Use:   "restart",
		Short: "Replace the running server by a new process, without refusing a connection",
		Long: `Start the program again, as it is on disk now, with the arguments and the
environment of the running server. When it answers, the kernel gives it every new
connection; the old process closes its own over drain_timeout with a code that
makes clients come back, and ends. If the new process does not come up, the old one
goes on. SIGUSR2 does the same.`,
		Example: `  resound restart
  kill -USR2 $(cat resound.pid)`,
	}, "the old process goes on", (*control.Client).Restart, func(out io.Writer, done *control.Restarted) {
		fmt.Fprintf(out, "  INFO  Process %d serves; the old one drains and ends.\n", done.PID)
	})
}
