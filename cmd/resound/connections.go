package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
)

// maxCloseRows is how many close reasons the summary lists.
const maxCloseRows = 10

func connectionsCommand() *cobra.Command {
	var t target
	var q control.ConnectionQuery
	var asJSON, watch bool
	var limit int
	c := &cobra.Command{
		Use:   "connections",
		Short: "List the live connections",
		Long: `List the live connections, and why connections were closed so far.

QUEUED is what waits for a client that does not read, in the server and in the
kernel; IDLE the time since its last bytes came; RTT what the kernel measures.
With --json it prints a line for each connection as it learns of it.`,
		Example: `  resound connections
  resound connections --app 123456 --channel presence-chat
  resound connections --json | jq -r 'select(.queued_bytes > 0) | .socket_id'
  resound connections --watch --limit 20`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usageError{fmt.Errorf("--limit is %d, want 0 for none or a positive number", limit)}
			}
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			return repeated(c, watch, func(ctx context.Context, out io.Writer, width int) error {
				if asJSON {
					e := json.NewEncoder(out)
					return client.Connections(ctx, q, func(x *control.Connection) error { return e.Encode(x) })
				}
				return writeConnections(ctx, client, q, limit, out, width)
			})
		},
	}
	t.bind(c)
	t.appFlag(c, &q.App)
	f := c.Flags()
	f.StringVar(&q.Channel, "channel", "", "only connections that subscribe to this channel")
	f.BoolVar(&asJSON, "json", false, "print a line of JSON for each connection")
	f.BoolVar(&watch, "watch", false, "look again every two seconds, until Ctrl-C")
	f.IntVar(&limit, "limit", 0, "rows to print; 0 is all")
	return c
}

func writeConnections(ctx context.Context, client *control.Client, q control.ConnectionQuery, limit int, out io.Writer, width int) error {
	var rows [][]string
	n := 0
	err := client.Connections(ctx, q, func(x *control.Connection) error {
		if n++; limit == 0 || n <= limit {
			rows = append(rows, connectionRow(x))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = writeTable(out, width, []column{
		{title: "SOCKET ID"},
		{title: "APP", cut: true},
		{title: "USER", cut: true},
		{title: "REMOTE", cut: true},
		{title: "AGE", right: true},
		{title: "IDLE", right: true},
		{title: "SUBS", right: true},
		{title: "QUEUED", right: true},
		{title: "RTT", right: true},
	}, rows)
	if err != nil {
		return err
	}
	if n > len(rows) {
		fmt.Fprintf(out, "… and %s more\n", count(n-len(rows)))
	}
	fmt.Fprintf(out, "\n%s connections\n", count(n))
	return writeCloses(ctx, client, out, width)
}

func connectionRow(x *control.Connection) []string {
	idle, rtt, remote := "-", "-", x.Remote
	if x.IdleSeconds != nil {
		idle = span(time.Duration(*x.IdleSeconds * float64(time.Second)))
	}
	if x.RTT != nil {
		rtt = strconv.FormatFloat(*x.RTT, 'f', 1, 64) + " ms"
	}
	if x.Transport == "http" {
		remote += " (http)"
	}
	user := x.User
	if user == "" {
		user = "-"
	}
	return []string{
		x.SocketID, x.App, user, remote, span(time.Duration(x.AgeSeconds) * time.Second), idle,
		strconv.Itoa(x.Subscriptions), size(int64(x.QueuedBytes + x.UnsentBytes)), rtt,
	}
}

// writeCloses writes why connections of all apps were closed.
func writeCloses(ctx context.Context, client *control.Client, out io.Writer, width int) error {
	s, err := client.Status(ctx)
	if err != nil || len(s.Closes) == 0 {
		return err
	}
	var rows [][]string
	rest := uint64(0)
	for i, c := range s.Closes {
		if i >= maxCloseRows {
			rest += c.Count
			continue
		}
		rows = append(rows, []string{strconv.Itoa(c.Code), c.Reason, count(c.Count)})
	}
	if rest > 0 {
		rows = append(rows, []string{"", "others", count(rest)})
	}
	fmt.Fprint(out, "\n")
	return writeTable(out, width, []column{{title: "CLOSED WITH"}, {title: "REASON", cut: true}, {title: "COUNT", right: true}}, rows)
}
