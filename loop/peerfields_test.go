package loop

import "testing"

// TestUnknownConnectionsAreLeftAlone: another version of gnet may keep its
// addresses elsewhere.
func TestUnknownConnectionsAreLeftAlone(t *testing.T) {
	g := noSocket{}
	got := findPeerFields(g)
	if want := (peerFields{}); got != want {
		t.Errorf("got %v, want no places", got)
	}
	got.forget(g) // must not write anywhere
}
