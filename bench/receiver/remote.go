package receiver

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"resound/bench/process"
)

// answerTimeout bounds the wait for a receiver process to say something.
const answerTimeout = 10 * time.Second

// Remote is a receiver process. For one goroutine.
type Remote struct {
	PID int
	URL string // http://127.0.0.1:PORT/

	child  *process.Child
	output *json.Decoder
}

// Start starts a receiver process by command and returns once it listens. It ends
// with children.
func Start(children *process.Children, command process.Command) (*Remote, error) {
	child, err := children.Start(command)
	if err != nil {
		return nil, err
	}
	r := &Remote{PID: child.PID, child: child, output: json.NewDecoder(child.Stdout)}
	var told ready
	if err := r.read(&told); err != nil {
		return nil, fmt.Errorf("receiver process did not say its port: %w", err)
	}
	r.URL = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(told.Port)) + "/"
	return r, nil
}

// Counts returns what it has got so far.
func (r *Remote) Counts() (Counts, error) {
	var counts Counts
	if _, err := io.WriteString(r.child.Stdin, "\n"); err != nil {
		return counts, fmt.Errorf("ask the receiver process: %w", err)
	}
	if err := r.read(&counts); err != nil {
		return counts, fmt.Errorf("the receiver process did not answer: %w", err)
	}
	return counts, nil
}

// read takes one line. The wait is bounded by ending the process.
func (r *Remote) read(v any) error {
	timer := time.AfterFunc(answerTimeout, func() { r.child.Stop(0) })
	defer timer.Stop()
	return r.output.Decode(v)
}
