package pusher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"resound/channels"
	"resound/channels/cluster"
)

// queryTimeout is how long the cluster may take to answer what an application
// asks. Then this node answers with what it knows itself, as it does while the
// cluster is out of reach.
const queryTimeout = time.Second

// Limits of Channels: rows of one answer, how long the cluster may take for them, and
// how many are asked for at a time.
const (
	MaxListedChannels = 1_000_000
	listTimeout       = 10 * time.Second
	maxListings       = 2
)

var (
	// ErrTooManyChannels means that there are more than MaxListedChannels.
	ErrTooManyChannels = fmt.Errorf("more than %d channels", MaxListedChannels)

	// ErrListTimeout means that the list was not there in time.
	ErrListTimeout = fmt.Errorf("the list of channels was not complete within %v", listTimeout)
)

// AppConnections is the number of open connections of the app, those on other nodes
// as of about a second ago.
func (n *Node) AppConnections(a *App) int64 { return a.Connections() + a.elsewhere() }

// Channel returns the occupancy of a channel in the whole cluster; all zero when
// it is vacant.
func (n *Node) Channel(a *App, name string) channels.Occupancy {
	c := n.bus()
	if c == nil {
		return a.directory.Channel(name, n.Now()) // Fast path.
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	return n.channel(ctx, c, a, name)
}

func (n *Node) channel(ctx context.Context, c cluster.Adapter, a *App, name string) channels.Occupancy {
	if strings.HasPrefix(name, cluster.UserPrefix) {
		return channels.Occupancy{} // a user is no channel to the application
	}
	o, err := c.Channel(ctx, cluster.Channel{App: a.ID, Name: cloned(name)})
	switch {
	case errors.Is(err, cluster.ErrPartial):
		return fuller(occupancy(&o), a.directory.Channel(name, n.Now()))
	case err != nil:
		return a.directory.Channel(name, n.Now())
	}
	return occupancy(&o)
}

// fuller is what is known of a channel while nodes are missing in the cluster's state: the
// larger numbers. This node has its own, and the members of before.
func fuller(of, own channels.Occupancy) channels.Occupancy {
	of.Subscriptions, of.Users = max(of.Subscriptions, own.Subscriptions), max(of.Users, own.Users)
	if of.Cached == nil {
		of.Cached, of.CachedFor = own.Cached, own.CachedFor
	}
	return of
}

func occupancy(o *cluster.Occupancy) channels.Occupancy {
	out := channels.Occupancy{Subscriptions: o.Subscriptions, Users: o.Users}
	if o.Kept != nil {
		out.Cached = &channels.CachedEvent{Name: o.Kept.Name, Data: o.Kept.Data}
		out.CachedFor = o.Kept.For
	}
	return out
}

// AppendChannels appends the occupancy of each channel to dst. In a cluster they
// are asked for together.
func (n *Node) AppendChannels(dst []channels.Occupancy, a *App, names []string) []channels.Occupancy {
	c := n.bus()
	if c == nil || len(names) == 1 {
		for _, name := range names {
			dst = append(dst, n.Channel(a, name))
		}
		return dst
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	all := make([]channels.Occupancy, len(names))
	var asked sync.WaitGroup
	for i, name := range names {
		asked.Go(func() { all[i] = n.channel(ctx, c, a, name) })
	}
	asked.Wait()
	return append(dst, all...)
}

// Channels returns the channels that are occupied in the cluster and whose names
// begin with prefix, in no particular order and without cached events, or
// ErrTooManyChannels or ErrListTimeout. O(channels).
func (n *Node) Channels(a *App, prefix string) ([]channels.NamedOccupancy, error) {
	c := n.bus()
	if c == nil {
		return n.ownChannels(a, prefix)
	}
	ctx, cancel := context.WithTimeout(context.Background(), listTimeout)
	defer cancel()
	select {
	case n.listings <- struct{}{}:
		defer func() { <-n.listings }()
	case <-ctx.Done():
		return nil, ErrListTimeout
	}
	rows, err := c.Channels(ctx, a.ID, cloned(prefix), MaxListedChannels)
	switch {
	case errors.Is(err, cluster.ErrTooMany):
		return nil, ErrTooManyChannels
	case err != nil && ctx.Err() != nil:
		return nil, ErrListTimeout
	case err != nil && !errors.Is(err, cluster.ErrPartial):
		return n.ownChannels(a, prefix)
	}
	out := make([]channels.NamedOccupancy, len(rows))
	for i := range rows {
		out[i] = channels.NamedOccupancy{Name: rows[i].Name, Occupancy: occupancy(&rows[i].Occupancy)}
	}
	if err != nil {
		return n.withOwn(a, prefix, out)
	}
	return out, nil
}

// withOwn adds what this node knows to rows in which nodes may be missing.
func (n *Node) withOwn(a *App, prefix string, rows []channels.NamedOccupancy) ([]channels.NamedOccupancy, error) {
	at := make(map[string]int, len(rows))
	for i := range rows {
		at[rows[i].Name] = i
	}
	for _, own := range a.directory.Channels(prefix) {
		if i, ok := at[own.Name]; ok {
			rows[i].Occupancy = fuller(rows[i].Occupancy, own.Occupancy)
		} else {
			rows = append(rows, own)
		}
	}
	if len(rows) > MaxListedChannels {
		return nil, ErrTooManyChannels
	}
	return rows, nil
}

func (n *Node) ownChannels(a *App, prefix string) ([]channels.NamedOccupancy, error) {
	list := a.directory.Channels(prefix)
	if len(list) > MaxListedChannels {
		return nil, ErrTooManyChannels
	}
	return list, nil
}

// Members returns the roster of a presence channel in the order of joining; ok is
// false when the channel is vacant.
func (n *Node) Members(a *App, name string) (list []*channels.Member, ok bool) {
	c := n.bus()
	if c == nil {
		return a.directory.Members(name)
	}
	if !channels.KindOf(name).Is(channels.Presence) {
		return nil, n.Channel(a, name).Occupied()
	}
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	found, err := c.Members(ctx, cluster.Channel{App: a.ID, Name: cloned(name)})
	partial := errors.Is(err, cluster.ErrPartial)
	if err != nil && !partial {
		return a.directory.Members(name)
	}
	list = members(found)
	if partial {
		listed := make(map[string]bool, len(list))
		for _, m := range list {
			listed[m.ID] = true
		}
		own, _ := a.directory.Members(name)
		for _, m := range own {
			if !listed[m.ID] {
				list = append(list, m)
			}
		}
	}
	return list, len(list) > 0
}

// Present reports whether a channel is occupied in the cluster or, when userID is
// not empty, whether the user is a member of it.
func (n *Node) Present(a *App, name, userID string) bool {
	switch {
	case userID == "":
		return a.directory.Channel(name, n.Now()).Occupied() || n.bus() != nil && n.Channel(a, name).Occupied()
	case a.directory.IsMember(name, userID):
		return true
	case n.bus() == nil || a.directory.Channel(name, n.Now()).Occupied():
		return false // the roster here is the cluster's
	}
	list, _ := n.Members(a, name)
	for _, m := range list {
		if m.ID == userID {
			return true
		}
	}
	return false
}
