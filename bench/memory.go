package bench

import "fmt"

// checkMemory holds the server's memory, as it was sampled, against
// Settings.MaxMemoryMiB.
func (r *Result) checkMemory() error {
	limit := r.Settings.MaxMemoryMiB
	if limit == 0 {
		return nil
	}
	for _, s := range r.Series {
		if s.Subject != SubjectServer || s.Name != "memory" {
			continue
		}
		if got := int(s.Max / (1 << 20)); got > limit {
			return fmt.Errorf("the server took %d MiB of memory, want %d at most", got, limit)
		}
		return nil
	}
	return fmt.Errorf("the server's memory was never read, want %d MiB at most", limit)
}
