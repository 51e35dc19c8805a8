package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

// errTailEnded says that the server, not the user, ended a tail.
var errTailEnded = errors.New("the server has ended")

func tailCommand() *cobra.Command {
	var t target
	var q control.TailQuery
	var asJSON bool
	c := &cobra.Command{
		Use:   "tail",
		Short: "Follow events as they pass",
		Long: `Follow the events that the application and clients publish on this server, until
Ctrl-C. In the patterns * stands for any characters.

It never slows the server: what it cannot print in time is left out, and a line
says how many events that were.`,
		Example: `  resound tail
  resound tail --channel 'private-orders.*' --event 'App\Events\*'
  resound tail --app 123456 --json | jq -r .channel`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := interruptible(c)
			defer cancel()
			out := c.OutOrStdout()
			begun := func() {
				if !asJSON {
					fmt.Fprintln(c.ErrOrStderr(), "Following events; Ctrl-C ends it.")
				}
			}
			err = client.Tail(ctx, q, begun, func(e *control.Event) error {
				if asJSON {
					return json.NewEncoder(out).Encode(e)
				}
				return writeEvent(out, e)
			})
			if ctx.Err() != nil {
				return nil
			}
			if err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
				return errTailEnded
			}
			return err
		},
	}
	t.bind(c)
	t.appFlag(c, &q.App)
	f := c.Flags()
	f.StringVar(&q.Channel, "channel", "", "only channels that match this pattern")
	f.StringVar(&q.Event, "event", "", "only events whose names match this pattern")
	f.BoolVar(&asJSON, "json", false, "print a line of JSON for each event")
	return c
}

// writeEvent writes an event as a line.
func writeEvent(w io.Writer, e *control.Event) error {
	if e.Dropped > 0 {
		_, err := fmt.Fprintf(w, "  … %s events left out\n", count(e.Dropped))
		return err
	}
	var text string
	if json.Unmarshal(e.Data, &text) != nil {
		text = string(e.Data) // of a client: any JSON
	}
	_, err := fmt.Fprintf(w, "  %s  %-6s  %s  %s  %s  %s\n", e.At.Local().Format("15:04:05.000"),
		e.Source, printable(e.App), printable(e.Channel), printable(e.Name), printable(shorten(text, maxTraceRunes)))
	return err
}
