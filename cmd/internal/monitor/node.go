package monitor

import "encoding/json"

// Node is a node of a cluster as another one sees it.
type Node struct {
	ID      string   `json:"id"`      // of this run of it
	Self    bool     `json:"self"`    // the one that was asked
	Figures *Figures `json:"figures"` // nil: nothing was heard lately that this version understands
}

// Name is where the node listens, or its id when that is not known.
func (n *Node) Name() string {
	if n.Figures == nil {
		return n.ID
	}
	return n.Figures.Address
}

// Figures are the few that a node tells the others about itself. Nodes of other
// versions may tell more or less.
type Figures struct {
	Address     string  `json:"address"` // where it listens, or on which host
	PID         int     `json:"pid"`
	Version     string  `json:"version"`
	State       string  `json:"state"` // "running" or "draining"
	Uptime      float64 `json:"uptime_seconds"`
	Connections int64   `json:"connections"`
	Channels    int     `json:"channels"`
	Received    float64 `json:"messages_received"` // a second
	Sent        float64 `json:"messages_sent"`     // a second
	CPU         float64 `json:"cpu_percent"`       // 100 is one core
	MemoryBytes int64   `json:"memory_bytes"`
	Lag         float64 `json:"lag_seconds"` // of the event loop that is latest
}

// maxFigureText bounds the texts of figures, in bytes.
const maxFigureText = 256

// Description is what a node tells of itself: figures as JSON.
func (f *Figures) Description() (string, error) {
	text, err := json.Marshal(f)
	return string(text), err
}

// ReadFigures is the inverse of Description; nil when the text is of no version
// that is understood.
func ReadFigures(description string) *Figures {
	var f Figures
	if json.Unmarshal([]byte(description), &f) != nil || f.Address == "" {
		return nil
	}
	for _, text := range []*string{&f.Address, &f.Version, &f.State} {
		*text = (*text)[:min(len(*text), maxFigureText)]
	}
	return &f
}
