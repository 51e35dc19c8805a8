package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"resound/bench"
	"resound/bench/report"
)

func newCompare() *cobra.Command {
	var html string
	cmd := &cobra.Command{
		Use:   "compare EARLIER.json LATER.json",
		Short: "Set two results of one scenario side by side",
		Long: `Prints every figure of two files written by --json with the ratio of the later to
the earlier one, and what differs between their machines and settings. Results of
different scenarios are refused.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("%d files, want an earlier and a later one", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			earlier, err1 := bench.ReadResult(args[0])
			later, err2 := bench.ReadResult(args[1])
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			c, err := bench.Compare(earlier, later)
			if err != nil {
				return usageError{err}
			}
			return errors.Join(c.WriteTable(cmd.OutOrStdout()), writeFile(html, func(w io.Writer) error {
				return report.Write(w, later, &c)
			}))
		},
	}
	cmd.Flags().StringVar(&html, "html", "", "write the later result's report with the comparison to this file")
	return cmd
}
