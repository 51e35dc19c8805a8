package clustertest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"resound/channels/cluster"
)

func described(s *suite) {
	n := s.start(3)
	for i, text := range []string{"ann", "bob\x00\xff", strings.Repeat("c", cluster.MaxDescriptionBytes)} {
		if err := n[i].Describe(text); err != nil {
			s.t.Error(err)
		}
	}
	all := []string{"ann", "bob\x00\xff", strings.Repeat("c", cluster.MaxDescriptionBytes)}
	for i := range n {
		s.nodes(n[i], all[i], all...)
	}
	if err := n[0].Describe(strings.Repeat("x", cluster.MaxDescriptionBytes+1)); err == nil {
		s.t.Error("a description of any length may be told")
	}
	if err := n[0].Describe("ann II"); err != nil {
		s.t.Error(err)
	}
	s.nodes(n[1], all[1], "ann II", all[1], all[2])
	s.Kill(n[2].Adapter)
	s.nodes(n[1], all[1], "ann II", all[1])
	s.Pause(n[0].Adapter)
	s.nodes(n[1], all[1], all[1])
	s.Resume(n[0].Adapter)
	s.nodes(n[0], "ann II", "ann II", all[1])
	s.Outage()
	n[1].untilNode("degraded", func() bool { return n[1].degraded }, func() string { return "" })
	if _, err := n[1].Nodes(s.t.Context()); !errors.Is(err, cluster.ErrDegraded) {
		s.t.Errorf("nodes: got %v, want ErrDegraded", err)
	}
	s.Restore()
	s.nodes(n[1], all[1], "ann II", all[1])
	if err := n[0].Leave(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.nodes(n[1], all[1], all[1])
}

// nodes waits until a node, which describes itself as self, knows these and no others.
func (s *suite) nodes(n *Node, self string, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	for deadline := time.Now().Add(patience); ; {
		list, err := n.Nodes(s.t.Context())
		var names, got, own []string
		for _, x := range list {
			names, got = append(names, x.Name), append(got, x.Text)
			if x.Self {
				own = append(own, x.Text)
			}
		}
		slices.Sort(got)
		if err == nil && slices.Equal(got, want) && slices.Equal(own, []string{self}) {
			if !slices.IsSorted(names) || len(slices.Compact(names)) != len(list) {
				s.t.Errorf("the names of nodes are %q", names)
			}
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("nodes: got %.200q, %v, want %.200q", got, err, want)
		}
		time.Sleep(time.Millisecond) // it is polled by its users too
	}
}
