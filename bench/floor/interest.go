package floor

import "sync"

// interest says which threads have had a subscriber of a channel. Safe for
// concurrent use.
type interest struct {
	mu      sync.RWMutex
	threads map[string]uint64 // a bit for each
}

// maxThreads is how many threads an interest can tell apart.
const maxThreads = 64

func (n *interest) add(channel string, thread int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.threads[channel] |= 1 << thread
}

func (n *interest) of(channel []byte) uint64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.threads[string(channel)]
}
