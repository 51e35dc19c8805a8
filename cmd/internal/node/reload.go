package node

import (
	"context"
	"errors"
	"fmt"

	"resound/cmd/internal/config"
	"resound/cmd/internal/control"
	"resound/loop"
	"resound/pusher"
)

// Reload implements control.Node: it reads the configuration again and puts into
// force what can change while connections stay. A configuration with a mistake is
// refused as a whole.
func (n *Node) Reload(context.Context) (control.Reloaded, error) {
	if n.options.Load == nil {
		return control.Reloaded{}, errors.New("this server cannot read its configuration again")
	}
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if err := n.life.Err(); err != nil {
		return control.Reloaded{}, errors.New("the server is about to end")
	}
	next, warnings, err := n.options.Load()
	if err == nil {
		var done control.Reloaded
		if done, err = n.replace(next); err == nil {
			for _, w := range warnings {
				done.Warnings = append(done.Warnings, w.String())
			}
			d := &done.Difference
			n.log.Info("configuration reloaded", "added", d.Added, "changed", d.Changed, "removed", d.Removed, "keys", d.Live, "restart_needed", d.Restart)
			return done, nil
		}
	}
	n.log.Error("the new configuration is refused, the old one stays", "error", err)
	return control.Reloaded{}, err
}

// replace puts a configuration into force. n.reloading is held.
func (n *Node) replace(next *config.Config) (control.Reloaded, error) {
	difference := next.Succeed(n.config.Load())
	limits, err := limitsOf(next.Server.MaxConnections, n.options.Reactors)
	if err != nil {
		return control.Reloaded{}, err
	}
	if err := n.replaceWebhooks(next); err != nil {
		return control.Reloaded{}, err
	}
	removed, err := n.protocol.Reload(pusher.Limits{
		MaxConnections:         limits.connections,
		MaxPendingPublications: next.Server.MaxPendingPublications,
		MaxPendingBytes:        next.Server.MaxPendingBytes,
	}, appConfigs(next))
	if err != nil {
		return control.Reloaded{}, errors.Join(err, n.replaceWebhooks(n.config.Load()))
	}
	n.config.Store(next)
	n.engine.SetEdge(edgeOf(&next.Server))
	n.setAlerts(next)
	n.cert.look(n.log)
	for _, a := range removed {
		n.chores.Go(func() { n.closeApp(a) })
	}
	done := control.Reloaded{Difference: difference}
	for _, key := range difference.Restart {
		done.Warnings = append(done.Warnings, fmt.Sprintf("%s: changed; the new value waits for a restart", key))
	}
	return done, nil
}

// replaceWebhooks changes all webhooks or, with an error, none.
func (n *Node) replaceWebhooks(next *config.Config) error {
	have := n.webhooks.Load()
	if have == nil {
		w, err := newWebhooks(next, n.outbox, n.log)
		if err != nil || w == nil {
			return err
		}
		w.attach(n.protocol)
		n.webhooks.Store(w)
		n.protocol.SetWebhooks(w)
		return nil
	}
	apps, err := hookApps(next)
	if err != nil {
		return err
	}
	return have.dispatcher.Apply(apps)
}

// closeApp closes the connections of a removed app, a few in each visit.
func (n *Node) closeApp(a *pusher.App) {
	for i := range n.shards {
		for from := int32(0); from >= 0; {
			next := int32(-1)
			err := n.visit(n.life, i, func(s *pusher.Shard, _ *loop.Reactor) { next = s.CloseApp(a, from) })
			if err != nil {
				return // the node ends, and so do the connections
			}
			from = next
		}
	}
}
