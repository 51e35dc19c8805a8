package cluster

import "fmt"

const (
	// MaxDescriptionBytes is how long the description of a node may be.
	MaxDescriptionBytes = 2048

	// MaxNodes is how many nodes Adapter.Nodes returns.
	MaxNodes = 256
)

// Node is a node of the cluster. What its description says is a matter between
// nodes, which may be of other versions.
type Node struct {
	Name string // of this run of it
	Self bool   // it is the one that asks
	Text string // Adapter.Describe; empty when nothing was heard lately
}

// CheckDescription reports whether a description may be told.
func CheckDescription(text string) error {
	if len(text) > MaxDescriptionBytes {
		return fmt.Errorf("a description of %d bytes exceeds %d bytes", len(text), MaxDescriptionBytes)
	}
	return nil
}
