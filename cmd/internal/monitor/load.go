package monitor

import "fmt"

// Thresholds are the shares, in percent, above which a node should get no more
// traffic.
type Thresholds struct {
	MemoryPercent     int
	ConnectionPercent int
}

// Load is how full a node is.
type Load struct {
	Memory, MemoryLimit          int64 // bytes; a limit of 0 is not known
	Connections, ConnectionLimit int64 // a limit of 0 means none
}

// TooMuch says why the node should get no more traffic, or nothing.
//
// GET /accept-traffic is of soketi, which looks at memory only.
func (l Load) TooMuch(t Thresholds) string {
	if p := percent(l.Memory, l.MemoryLimit); p > float64(t.MemoryPercent) {
		return fmt.Sprintf("memory: %.0f %% of its limit are in use, more than %d %%", p, t.MemoryPercent)
	}
	if p := percent(l.Connections, l.ConnectionLimit); p > float64(t.ConnectionPercent) {
		return fmt.Sprintf("connections: %.0f %% of their limit are open, more than %d %%", p, t.ConnectionPercent)
	}
	return ""
}

func percent(n, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}
