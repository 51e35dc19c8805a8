package redis

import (
	"context"
	"strconv"
	"sync"
	"time"

	"resound/channels/cluster"
)

// description is what this node tells of itself.
type description struct {
	mu   sync.Mutex
	text string
}

// Describe implements cluster.Adapter.
func (a *Adapter) Describe(text string) error {
	if err := cluster.CheckDescription(text); err != nil {
		return err
	}
	a.description.mu.Lock()
	defer a.description.mu.Unlock()
	a.description.text = text
	return nil
}

func (d *description) get() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text
}

// keepDescribed tells the description at the pace of heartbeats until the session
// ends. It is no part of the heartbeat: a cluster without it is whole.
func (a *Adapter) keepDescribed(s *session) {
	beat := time.NewTicker(a.options.Lease / heartbeats)
	defer beat.Stop()
	ms := strconv.FormatInt(a.options.Lease.Milliseconds(), 10)
	for failed := false; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-beat.C:
		}
		_, err := a.describe(s.ctx, s, "tell", a.node, a.description.get(), ms)
		if err != nil && !failed && s.ctx.Err() == nil {
			a.options.Logger.Warn("other nodes do not learn the figures of this one", "error", err)
		}
		failed = err != nil
	}
}

// Nodes implements cluster.Adapter.
func (a *Adapter) Nodes(ctx context.Context) ([]cluster.Node, error) {
	s := a.session.Load()
	if s == nil {
		return nil, cluster.ErrDegraded
	}
	answer, err := a.describe(ctx, s, "ask", strconv.Itoa(cluster.MaxNodes))
	if err == nil && len(answer)%2 != 0 {
		err = errAnswer
	}
	if err != nil {
		return nil, outOfReach(err)
	}
	var nodes []cluster.Node
	for i := 0; i < len(answer); i += 2 {
		n := cluster.Node{Name: answer[i], Self: answer[i] == a.node, Text: answer[i+1]}
		if cluster.CheckDescription(n.Text) != nil {
			n.Text = "" // of another version
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (a *Adapter) describe(ctx context.Context, s *session, args ...string) ([]string, error) {
	results, err := s.eval(ctx, []call{{describeScript, a.names.root, args}})
	if err != nil {
		return nil, err
	}
	return results[0].AsStrSlice()
}
