package floor

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"resound/bench/process"
)

// startTimeout bounds the wait for a floor process to write its port.
const startTimeout = 10 * time.Second

// Remote is a floor process as the coordinator sees it. For one goroutine.
type Remote struct {
	PID     int
	Address string // 127.0.0.1:PORT

	child  *process.Child
	output *json.Encoder
}

// Start starts a floor process by command and returns once it listens. It ends
// with children.
func Start(children *process.Children, command process.Command) (*Remote, error) {
	child, err := children.Start(command)
	if err != nil {
		return nil, err
	}
	// The read is bounded by ending the process.
	timer := time.AfterFunc(startTimeout, func() { child.Stop(0) })
	defer timer.Stop()
	var r ready
	if err := json.NewDecoder(child.Stdout).Decode(&r); err != nil {
		return nil, fmt.Errorf("floor process did not say its port: %w", err)
	}
	return &Remote{
		PID:     child.PID,
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port)),
		child:   child,
		output:  json.NewEncoder(child.Stdin),
	}, nil
}

// Publish makes the process broadcast p.
func (r *Remote) Publish(p Publication) error {
	if err := r.output.Encode(p); err != nil {
		return fmt.Errorf("send publication to floor process: %w", err)
	}
	return nil
}

// Stop ends the process.
func (r *Remote) Stop() { r.child.Stop(0) }
