package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func restartCommand() *cobra.Command {
	var t target
	var asJSON bool
	c := &cobra.Command{
		Use:   "restart",
		Short: "Replace the running server by a new process, without refusing a connection",
		Long: `Start the program again, as it is on disk now, with the arguments and the
environment of the running server. When it answers, the kernel gives it every new
connection; the old process closes its own over drain_timeout with a code that
makes clients come back, and ends. If the new process does not come up, the old one
goes on. SIGUSR2 does the same.`,
		Example: `  resound restart
  kill -USR2 $(cat resound.pid)`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := interruptible(c)
			defer cancel()
			done, err := client.Restart(ctx)
			if err != nil {
				return fmt.Errorf("the old process goes on: %w", err)
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), &done)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "  INFO  Process %d serves; the old one drains and ends.\n", done.PID)
			return err
		},
	}
	t.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
