package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
)

// maxCloseRows is how many close reasons the summary lists.
const maxCloseRows = 10

func connectionsCommand() *cobra.Command {
	var t target
	var q control.ConnectionQuery
	var asJSON, watch bool
	var limit int
	var order string
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
  resound connections --sort queued --limit 20
  resound connections --watch --sort idle`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkLimit(limit); err != nil {
				return err
			}
			if _, known := connectionOrders[order]; !known || order != "" && asJSON {
				return usageError{fmt.Errorf("--sort is %q, want age, idle, queued, rtt or subs, and a table", order)}
			}
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			return repeated(c, watch, func(ctx context.Context, out io.Writer, s screen) error {
				if asJSON {
					e := json.NewEncoder(out)
					return client.Connections(ctx, q, func(x *control.Connection) error { return e.Encode(x) })
				}
				return writeConnections(ctx, client, q, order, limit, out, s)
			})
		},
	}
	t.bind(c)
	t.appFlag(c, &q.App)
	f := c.Flags()
	f.StringVar(&q.Channel, "channel", "", "only connections that subscribe to this channel")
	f.BoolVar(&asJSON, "json", false, "print a line of JSON for each connection")
	f.BoolVar(&watch, "watch", false, "look again every two seconds, until Ctrl-C")
	f.StringVar(&order, "sort", "", "the largest first: age, idle, queued, rtt or subs")
	_ = c.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions([]string{"age", "idle", "queued", "rtt", "subs"}, cobra.ShellCompDirectiveNoFileComp))
	limitFlag(c, &limit)
	return c
}

// connectionOrders are what connections are sorted by.
var connectionOrders = map[string]func(x *control.Connection) float64{
	"":       nil,
	"age":    func(x *control.Connection) float64 { return float64(x.AgeSeconds) },
	"idle":   func(x *control.Connection) float64 { return orNone(x.IdleSeconds) },
	"queued": func(x *control.Connection) float64 { return float64(x.QueuedBytes + x.UnsentBytes) },
	"rtt":    func(x *control.Connection) float64 { return orNone(x.RTT) },
	"subs":   func(x *control.Connection) float64 { return float64(x.Subscriptions) },
}

// orNone is a figure, or less than any when it is not known.
func orNone(figure *float64) float64 {
	if figure == nil {
		return -1
	}
	return *figure
}

func writeConnections(ctx context.Context, client *control.Client, q control.ConnectionQuery, order string, limit int, out io.Writer, s screen) error {
	status, err := client.Status(ctx)
	if err != nil {
		return err
	}
	closes := closeRows(status.Closes)
	const others = 8 // titles, what is left out, the count, blank lines, the cursor
	limit = s.rows(limit, others+len(closes))
	by := connectionOrders[order]
	var shown []*control.Connection
	n := 0
	err = client.Connections(ctx, q, func(x *control.Connection) error {
		if n++; by != nil || limit == 0 || n <= limit {
			shown = append(shown, x)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if by != nil {
		slices.SortStableFunc(shown, func(a, b *control.Connection) int { return cmp.Compare(by(b), by(a)) })
	}
	if limit > 0 {
		shown = shown[:min(len(shown), limit)]
	}
	var rows [][]string
	for _, x := range shown {
		rows = append(rows, connectionRow(x))
	}
	columns := []column{
		{title: "SOCKET ID"},
		{title: "APP", cut: true},
		{title: "USER", cut: true},
		{title: "REMOTE", cut: true},
		{title: "AGE", right: true},
		{title: "IDLE", right: true},
		{title: "SUBS", right: true},
		{title: "QUEUED", right: true},
		{title: "RTT", right: true},
	}
	if len(status.Apps) == 1 || q.App != "" { // they would all say the same
		columns = slices.Delete(columns, 1, 2)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], 1, 2)
		}
	}
	err = writeTable(out, s.width, columns, rows)
	if err == nil {
		err = writeCount(out, len(rows), n, "connections")
	}
	if err != nil || len(closes) == 0 {
		return err
	}
	fmt.Fprint(out, "\n")
	return writeTable(out, s.width, []column{{title: "CLOSED WITH"}, {title: "REASON", cut: true}, {title: "COUNT", right: true}}, closes)
}

func connectionRow(x *control.Connection) []string {
	idle, rtt, remote := "-", "-", x.Remote
	if x.IdleSeconds != nil {
		idle = span(time.Duration(*x.IdleSeconds * float64(time.Second)))
	}
	if x.RTT != nil {
		rtt = milliseconds(*x.RTT)
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

// closeRows say why connections of all apps were closed.
func closeRows(all []monitor.CloseCount) (rows [][]string) {
	rest := uint64(0)
	for i, c := range all {
		if i >= maxCloseRows {
			rest += c.Count
			continue
		}
		rows = append(rows, []string{strconv.Itoa(c.Code), c.Reason, count(c.Count)})
	}
	if rest > 0 {
		rows = append(rows, []string{"", "others", count(rest)})
	}
	return rows
}
