package main

import (
	"context"
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

func channelsCommand() *cobra.Command {
	var t target
	var app, prefix string
	var asJSON, watch bool
	var limit int
	c := &cobra.Command{
		Use:   "channels",
		Short: "List the occupied channels with their counts",
		Long: `List the occupied channels: subscriptions, and the users of presence channels.
With --json it prints a line for each channel.`,
		Example: `  resound channels
  resound channels --app 123456 --prefix presence-
  resound channels --json | jq -s 'max_by(.subscriptions)'`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			return repeated(c, watch, func(ctx context.Context, out io.Writer, s screen) error {
				if asJSON {
					e := json.NewEncoder(out)
					return client.Channels(ctx, app, prefix, func(x *control.Channel) error { return e.Encode(x) })
				}
				return writeChannels(ctx, client, app, prefix, limit, out, s)
			})
		},
	}
	t.bind(c)
	t.appFlag(c, &app)
	f := c.Flags()
	f.StringVar(&prefix, "prefix", "", "only channels whose names begin so")
	f.BoolVar(&asJSON, "json", false, "print a line of JSON for each channel")
	f.BoolVar(&watch, "watch", false, "look again every two seconds, until Ctrl-C")
	limitFlag(c, &limit)
	return c
}

func writeChannels(ctx context.Context, client *control.Client, app, prefix string, limit int, out io.Writer, s screen) error {
	const others = 5 // titles, what is left out, the count, the cursor
	limit = s.rows(limit, others)
	var rows [][]string
	n := 0
	err := client.Channels(ctx, app, prefix, func(x *control.Channel) error {
		if n++; limit > 0 && n > limit {
			return nil
		}
		users := "-"
		if x.Users > 0 {
			users = count(x.Users)
		}
		rows = append(rows, []string{x.App, x.Name, count(x.Subscriptions), users})
		return nil
	})
	if err != nil {
		return err
	}
	err = writeTable(out, s.width, []column{
		{title: "APP", cut: true}, {title: "CHANNEL", cut: true}, {title: "SUBSCRIPTIONS", right: true}, {title: "USERS", right: true},
	}, rows)
	if err != nil {
		return err
	}
	return writeCount(out, len(rows), n, "channels")
}
