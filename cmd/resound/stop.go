package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func stopCommand() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "stop",
		Short: "Drain the running server and wait until it has ended",
		Long: `Make the running server refuse new connections, close the open ones over its
drain_timeout with a code that makes clients come back elsewhere, and end. It
returns when the process has ended. Ctrl-C stops waiting, not the server.`,
		Example: `  resound stop
  resound stop --port 9000`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := interruptible(c)
			defer cancel()
			fmt.Fprintln(c.OutOrStdout(), "\n  INFO  Gracefully terminating connections.")
			if err := client.Stop(ctx); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "  INFO  The server has stopped.")
			return nil
		},
	}
	t.bind(c)
	return c
}
