package local

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"resound/channels/cluster"
)

// Describe implements cluster.Adapter.
func (a *Adapter) Describe(text string) error {
	if err := cluster.CheckDescription(text); err != nil {
		return err
	}
	a.hub.mu.Lock()
	defer a.hub.mu.Unlock()
	a.description = text
	return nil
}

// Nodes implements cluster.Adapter.
func (a *Adapter) Nodes(context.Context) (nodes []cluster.Node, err error) {
	err = a.query(func() {
		present := slices.DeleteFunc(slices.Clone(a.hub.adapters), func(x *Adapter) bool { return x.fenced || !x.up })
		slices.SortFunc(present, func(x, y *Adapter) int { return cmp.Compare(x.number, y.number) })
		for _, x := range present[:min(len(present), cluster.MaxNodes)] {
			nodes = append(nodes, cluster.Node{Name: x.name(), Self: x == a, Text: x.description})
		}
	})
	return nodes, err
}

// name sorts as the number does.
func (a *Adapter) name() string { return fmt.Sprintf("%06d", a.number) }
