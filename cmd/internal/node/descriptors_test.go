package node

import "testing"

func TestDescriptorsForIsTheLeastThatSuffices(t *testing.T) {
	for _, connections := range []int{15, 100, 18_600, 1_000_000} {
		for _, reactors := range []int{1, 2, 64} {
			need := DescriptorsFor(connections, reactors)
			if got := ConnectionsFor(uint64(need), reactors); got < connections {
				t.Errorf("%d descriptors, %d reactors: got %d connections, want %d or more", need, reactors, got, connections)
			}
			if got := ConnectionsFor(uint64(need-1), reactors); got >= connections {
				t.Errorf("%d descriptors, %d reactors: got %d connections, want fewer than %d", need-1, reactors, got, connections)
			}
		}
	}
	if got := ConnectionsFor(64, 2); got != 0 {
		t.Errorf("got %d connections with 64 descriptors, want 0", got)
	}
}
