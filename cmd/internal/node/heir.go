package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
)

// heirTimeout is how long a successor may take to take custom metrics.
const heirTimeout = 5 * time.Second

// heir is the successor as far as custom metrics go: it gets what the node has, and
// then what still comes. The zero value is none. Safe for concurrent use.
type heir struct {
	mu     sync.RWMutex
	client *control.Client
	pid    int
}

// handCustom gives the custom metrics to the successor, before it has the port: a
// gauge would be gone until the application sets it again.
func (n *Node) handCustom(pid int) {
	if n.control == nil {
		return
	}
	h := &n.heir
	h.mu.Lock() // nothing is recorded here and lost
	defer h.mu.Unlock()
	h.client, h.pid = control.NewClient(n.control.Path), pid
	if err := h.send(n.custom.All()); err != nil {
		n.log.Warn("custom metrics begin anew", "error", err)
		h.client.Close()
		h.client = nil
	}
}

// record passes on what comes after the port was given away; known is false while it
// is the node's own to record.
func (h *heir) record(metrics []monitor.Custom) (known bool, err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.client == nil {
		return false, nil
	}
	return true, h.send(metrics)
}

func (h *heir) send(metrics []monitor.Custom) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), heirTimeout, errors.New("the new process takes too long"))
	defer cancel()
	return h.client.RecordCustom(ctx, h.pid, metrics)
}

func (h *heir) close() {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.client != nil {
		h.client.Close()
	}
}

// RecordCustom implements control.Node.
func (n *Node) RecordCustom(metrics []monitor.Custom) error {
	byApp := make(map[string][]monitor.Custom)
	for _, m := range metrics {
		byApp[m.App] = append(byApp[m.App], m)
	}
	var problems []error
	for app, own := range byApp {
		if n.protocol.AppByID(app) != nil { // else the configuration has it no more
			problems = append(problems, n.custom.Record(n.protocol.Now(), app, own))
		}
	}
	return errors.Join(problems...)
}
