package pusher

import (
	"testing"
	"unsafe"

	"resound/channels"
)

// TestSessionStaysSmall: there may be a million. What few connections need
// belongs in extra.
func TestSessionStaysSmall(t *testing.T) {
	if got, want := unsafe.Sizeof(session{}), uintptr(40); got > want {
		t.Errorf("a session takes %d bytes, want at most %d", got, want)
	}
	if got, want := unsafe.Sizeof(channels.Subscriptions{}), uintptr(16); got > want {
		t.Errorf("a list of subscriptions takes %d bytes, want at most %d", got, want)
	}
}
