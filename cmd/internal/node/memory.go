package node

import (
	"runtime/debug"
	"time"

	"resound/loop"
)

const (
	// settleInterval is how often the node looks whether a storm is over.
	settleInterval = 2 * time.Second

	// settleAfter is how many opened or closed connections are worth a
	// collection: their handshakes left some kilobytes of garbage each.
	settleAfter = 1000

	// settlePause is the least time between two collections: with a million
	// connections one takes half a second of a core.
	settlePause = time.Minute
)

// memorySettler gives memory back to the system when a storm of connections has
// passed. Without it an idle server keeps what the storm took until the next
// collection, which an idle server has no reason to make.
type memorySettler struct {
	settled uint64    // connections opened or closed when it last gave back
	last    uint64    // the same, at the last look
	at      time.Time // of the last collection
}

func (m *memorySettler) look(s loop.Stats, t time.Time) {
	now := s.Opened + closes(s)
	calm := now-m.last < settleAfter/10
	m.last = now
	if calm && now-m.settled >= settleAfter && t.Sub(m.at) >= settlePause {
		m.settled, m.at = now, t
		debug.FreeOSMemory()
	}
}

func closes(s loop.Stats) (n uint64) {
	for _, c := range s.Closes {
		n += c
	}
	return n
}
