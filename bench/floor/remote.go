package floor

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"time"

	"resound/bench/process"
)

const (
	// startTimeout bounds the wait for a floor process to write its port.
	startTimeout = 10 * time.Second

	// stopTimeout bounds the wait for it to write its counts.
	stopTimeout = 3 * time.Second
)

// Remote is a floor process, in C or in Go, as the coordinator sees it. For one
// goroutine.
type Remote struct {
	PID     int
	Address string // 127.0.0.1:PORT

	child  *process.Child
	input  *json.Decoder
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
	input := json.NewDecoder(child.Stdout)
	var r ready
	if err := input.Decode(&r); err != nil {
		return nil, fmt.Errorf("floor process did not say its port: %w", err)
	}
	return &Remote{
		PID:     child.PID,
		Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(r.Port)),
		child:   child,
		input:   input,
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

// Stop ends the process and returns what it could not do. A process that does not
// say is an error: it ended before.
func (r *Remote) Stop() (Counts, error) {
	defer r.child.Stop(0)
	timer := time.AfterFunc(stopTimeout, func() { r.child.Stop(0) })
	defer timer.Stop()
	_ = r.child.Stdin.Close() // asks it to end
	var c Counts
	if err := r.input.Decode(&c); err != nil {
		return Counts{}, fmt.Errorf("floor process did not say its counts: %w", err)
	}
	return c, nil
}
