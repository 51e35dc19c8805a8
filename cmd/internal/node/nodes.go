package node

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"resound/cmd/internal/monitor"
)

// nodesTimeout bounds asking for the other nodes: who looks waits for it.
const nodesTimeout = time.Second

// Nodes implements control.Node and dashboard.Node.
func (n *Node) Nodes(ctx context.Context) []monitor.Node {
	if n.cluster == nil {
		return nil
	}
	mine := n.figures()
	nodes := []monitor.Node{{Self: true, Figures: &mine}}
	ctx, cancel := context.WithTimeout(ctx, nodesTimeout)
	defer cancel()
	all, err := n.cluster.Nodes(ctx)
	if err != nil {
		return nodes // the snapshot says that the others are out of reach
	}
	for i := range all {
		if all[i].Self {
			nodes[0].ID = all[i].Name
		} else {
			nodes = append(nodes, monitor.Node{ID: all[i].Name, Figures: monitor.ReadFigures(all[i].Text)})
		}
	}
	slices.SortStableFunc(nodes[1:], func(a, b monitor.Node) int { return strings.Compare(a.Name(), b.Name()) })
	return nodes
}

// figures are those that the node tells the others.
func (n *Node) figures() monitor.Figures {
	rates := n.meter.Rates()
	f := monitor.Figures{
		Address:     n.address(),
		PID:         os.Getpid(),
		Version:     n.options.Version,
		State:       n.state(),
		Uptime:      time.Since(n.startedAt).Seconds(),
		Connections: n.protocol.Connections(),
		Received:    rates.Received,
		Sent:        rates.Sent,
		CPU:         rates.CPU,
		MemoryBytes: monitor.ReadProcess().MemoryBytes,
	}
	for a := range n.protocol.Apps {
		f.Channels += a.Directory().Len()
	}
	for _, r := range n.engine.Reactors() {
		f.Lag = max(f.Lag, r.Stats().Lag.Seconds())
	}
	return f
}

// describe tells the others the figures of now.
func (n *Node) describe() {
	if n.cluster == nil {
		return
	}
	f := n.figures()
	text, err := f.Description()
	if err == nil {
		err = n.cluster.Describe(text)
	}
	if err != nil {
		n.log.Error("other nodes do not learn the figures of this one", "error", err)
	}
}

// address names the node among others: where it listens, with the name of the host
// where that is everywhere.
func (n *Node) address() string {
	addr := n.Addr()
	host, err := os.Hostname()
	if err != nil || host == "" || !addr.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort(strings.ToValidUTF8(host, "?"), strconv.Itoa(addr.Port))
}

func (n *Node) state() string {
	if n.protocol.Draining() {
		return monitor.StateDraining
	}
	return monitor.StateRunning
}
