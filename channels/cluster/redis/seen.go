package redis

import "sync"

// maxSeenNodes is how many publishing nodes are remembered; a node is one process.
const maxSeenNodes = 4096

// seen is the last number of every publishing node in every bucket. A node sends
// a bucket's publications in the order of their numbers and repeats those of which
// it does not know whether they arrived.
type seen struct {
	mu    sync.Mutex
	nodes map[string]*[buckets]uint64
}

// first reports whether a publication is new, and remembers it.
func (s *seen) first(node string, bucket int, number uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.nodes[node]
	if last == nil {
		if s.nodes == nil || len(s.nodes) >= maxSeenNodes {
			// Too many: nodes that are gone. The others begin anew.
			s.nodes = make(map[string]*[buckets]uint64)
		}
		last = new([buckets]uint64)
		s.nodes[string([]byte(node))] = last // the message is not retained
	}
	if number <= last[bucket] {
		return false
	}
	last[bucket] = number
	return true
}
