package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"resound/cmd/internal/monitor/history"
)

func exportCommand() *cobra.Command {
	var t target
	var format, since string
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the history of the server's figures",
		Long: `Print the history of the server's figures: every ten seconds of the last day and
every minute of the last month. With json a line is a point, with csv a value.`,
		Example: `  resound export > history.json
  resound export --format csv --since 2h
  resound export --since 2026-01-31T12:00:00Z`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return usageError{err}
			}
			if format != history.JSON && format != history.CSV {
				return usageError{fmt.Errorf("--format is %q, want json or csv", format)}
			}
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := interruptible(c)
			defer cancel()
			return client.Export(ctx, c.OutOrStdout(), format, from)
		},
	}
	t.bind(c)
	f := c.Flags()
	f.StringVar(&format, "format", history.JSON, "json or csv")
	f.StringVar(&since, "since", "", "a duration such as 2h, or a time such as 2026-01-31T12:00:00Z (default: all)")
	return c
}

func importCommand() *cobra.Command {
	var t target
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Put an export into the history of the server",
		Long: `Put an export into the history of the server, in either format; - reads standard
input. Values of the same series and time are replaced, everything else stays.`,
		Example: `  resound import history.json
  resound export --socket /run/old.sock | resound import -`,
		Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			in := io.NopCloser(c.InOrStdin())
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				in = f
			}
			defer in.Close()
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := interruptible(c)
			defer cancel()
			done, err := client.Import(ctx, in)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "  INFO  Imported %s points; %s were older than what is kept.\n", count(done.Points-done.Expired), count(done.Expired))
			return err
		},
	}
	t.bind(c)
	return c
}

// parseSince reads a time or how long ago that was; nothing is the beginning.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.Time{}, errors.New("--since wants a duration such as 2h, or a time such as 2026-01-31T12:00:00Z")
}
