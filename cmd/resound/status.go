package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
)

func statusCommand() *cobra.Command {
	var t target
	var asJSON, watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the running server does",
		Long: `Show what the running server does: connections, messages, memory, errors, and
in a cluster the figures of each node.

Exit code 3 says that no server is running.`,
		Example: `  resound status
  resound status --watch
  resound status --json | jq .connections.open
  resound status --json | jq '[.nodes[].figures.connections] | add'`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			client, err := t.connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			return repeated(c, watch, func(ctx context.Context, out io.Writer, on screen) error {
				s, err := client.Status(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, &s)
				}
				return writeStatus(out, on.width, &s)
			})
		},
	}
	t.bind(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&watch, "watch", false, "look again every two seconds, until Ctrl-C")
	return c
}

func writeStatus(out io.Writer, width int, s *control.Status) error {
	for _, line := range statusLines(&s.Snapshot) {
		if _, err := fmt.Fprintf(out, "  %-13s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return writeNodes(out, width, s.Nodes)
}

// writeNodes writes the nodes of a cluster, with their versions where they differ.
func writeNodes(out io.Writer, width int, nodes []monitor.Node) error {
	if len(nodes) == 0 {
		return nil
	}
	columns := []column{
		{title: "NODE", cut: true},
		{title: "STATE"},
		{title: "UP", right: true},
		{title: "OPEN", right: true},
		{title: "IN", right: true},
		{title: "OUT", right: true},
		{title: "CPU", right: true},
		{title: "MEMORY", right: true},
		{title: "LAG", right: true},
	}
	mixed := slices.ContainsFunc(nodes, func(n monitor.Node) bool {
		return n.Figures == nil || n.Figures.Version != nodes[0].Figures.Version
	})
	if mixed {
		columns = append(columns, column{title: "VERSION", cut: true})
	}
	shared := make(map[string]int) // addresses
	for i := range nodes {
		if f := nodes[i].Figures; f != nil {
			shared[f.Address]++
		}
	}
	var rows [][]string
	for i := range nodes {
		row := nodeRow(&nodes[i])
		if f := nodes[i].Figures; f != nil && shared[f.Address] > 1 {
			row[0] = fmt.Sprintf("%s, pid %d", row[0], f.PID)
		}
		rows = append(rows, row[:len(columns)])
	}
	if _, err := fmt.Fprintln(out); err != nil {
		return err
	}
	return writeTable(out, width, columns, rows)
}

func nodeRow(n *monitor.Node) []string {
	f := n.Figures
	if f == nil {
		return []string{n.ID, "unknown", "-", "-", "-", "-", "-", "-", "-", "-"}
	}
	name := n.Name()
	if n.Self {
		name += " (this one)"
	}
	return []string{
		name, f.State, span(time.Duration(f.Uptime * float64(time.Second))), count(f.Connections), rate(f.Received), rate(f.Sent),
		fmt.Sprintf("%.0f %%", f.CPU), size(f.MemoryBytes), fmt.Sprintf("%.0f ms", 1000*f.Lag), f.Version,
	}
}

// statusLines are what status tells, a name and a text each.
func statusLines(s *monitor.Snapshot) [][2]string {
	limit, memory, unix := "", "", ""
	if s.Unix != "" {
		unix = " and " + s.Unix
	}
	if s.Connections.Limit > 0 {
		limit = " of " + count(s.Connections.Limit)
	}
	if s.Process.MemoryLimit > 0 {
		memory = " of " + size(s.Process.MemoryLimit)
	}
	lines := [][2]string{
		{"Server", fmt.Sprintf("resound %s, %s, on %s%s", s.Version, s.State, s.Address, unix)},
		{"Process", fmt.Sprintf("pid %d, up %s, %d workers", s.PID, span(time.Duration(s.Uptime*float64(time.Second))), len(s.Reactors))},
		{"Connections", fmt.Sprintf("%s%s; %s opened, %s", count(s.Connections.Open), limit, count(s.Totals.Opened), rate(s.Rates.Opened))},
		{"Channels", count(s.Channels)},
		{"Messages in", fmt.Sprintf("%s, %s", count(s.Totals.Received), rate(s.Rates.Received))},
		{"Messages out", fmt.Sprintf("%s, %s", count(s.Totals.Sent), rate(s.Rates.Sent))},
		{"HTTP API", fmt.Sprintf("%s; %s connections", rate(s.Rates.Requests), count(s.Connections.HTTP))},
		{"Memory", size(s.Process.MemoryBytes) + memory},
		{"CPU", fmt.Sprintf("%.0f %%, %s in all", s.Rates.CPU, span(time.Duration(s.Process.CPUSeconds*float64(time.Second))))},
		{"Errors", statusErrors(s)},
		{"Redis", s.Redis},
	}
	if c := s.Cluster; c != nil {
		lines = append(lines, [2]string{"Cluster", statusCluster(c, s.Totals.ShedPublications)})
	}
	if w := s.Webhooks; w != nil {
		lines = append(lines, [2]string{"Webhooks", fmt.Sprintf("%s events sent, %s wait, %d receivers fail", count(w.SentEvents), count(w.QueuedEvents+w.HeldEvents), w.Failing)})
	}
	return lines
}

// statusCluster sums up what goes between nodes, and what went wrong there if
// anything did. shed is what the node dropped of what others sent.
func statusCluster(c *monitor.Cluster, shed uint64) string {
	text := fmt.Sprintf("%d nodes, %s topics; %s publications sent, %s received", c.Nodes, count(c.Topics), count(c.Published), count(c.Received))
	return text + happened([]incident{
		{uint64(c.Spooled), "wait"},
		{c.Dropped, "dropped"},
		{c.Unkept, "not kept"},
		{c.Unheard, "sent before all nodes were back"},
		{shed, "dropped here under overload"},
		{c.Unwanted, "for nobody here"},
		{c.Junk, "not understood"},
		{c.Fenced, "leases lost"},
		{c.Reconnects, "reconnects"},
	})
}

// incident is something that status tells of only when there is any.
type incident struct {
	n    uint64
	what string
}

func happened(all []incident) (text string) {
	for _, x := range all {
		if x.n > 0 {
			text += fmt.Sprintf(", %s %s", count(x.n), x.what)
		}
	}
	return text
}

// statusErrors sums up what went wrong.
func statusErrors(s *monitor.Snapshot) string {
	var told, refused uint64
	for _, e := range s.Errors {
		told += e.Count
	}
	for _, e := range s.Refusals {
		refused += e.Count
	}
	text := fmt.Sprintf("%s told to clients, %s connections refused, %s requests failed",
		count(told), count(refused+s.Totals.RejectedHandshakes+s.Totals.RefusedSockets), count(s.HTTP.Responses[4]+s.HTTP.Responses[5]))
	return text + happened([]incident{
		{s.Totals.Slow, "slow connections closed"},
		{s.Totals.RefusedForAddress, "connections refused for their address"},
		{s.Totals.RefusedForHeader, "for their PROXY header"},
		{s.Totals.RefusedPublications, "events refused under overload"},
		{s.Totals.Panics, "panics"},
	})
}
