package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

// changing completes a command that has the running server change as a whole or not at
// all. otherwise says what holds when it did not.
func changing[T any](
	c *cobra.Command, otherwise string,
	change func(*control.Client, context.Context) (T, error), write func(io.Writer, *T),
) *cobra.Command {
	var t target
	var asJSON bool
	c.Args = exactly()
	c.RunE = func(c *cobra.Command, _ []string) error {
		client, err := t.connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		ctx, cancel := interruptible(c)
		defer cancel()
		done, err := change(client, ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", otherwise, err)
		}
		if asJSON {
			return printJSON(c.OutOrStdout(), &done)
		}
		write(c.OutOrStdout(), &done)
		return nil
	}
	t.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
