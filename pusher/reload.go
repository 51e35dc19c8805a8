package pusher

import (
	"fmt"
	"maps"
)

// What CloseApp does in a turn at most.
const (
	closeStep = 64   // connections closed
	scanStep  = 8192 // connections looked at
)

// Limits are the limits of a node that may change while it runs.
type Limits struct {
	MaxConnections         int64 // see Options
	MaxPendingPublications int   // see Options; zero means 65,536
	MaxPendingBytes        int64 // see Options; zero means 32 MiB
}

// Reload replaces the limits and the apps. An app whose id stays keeps its
// channels and connections and gets the new credentials and options, which hold
// for what happens from now on; the longest message of a connection stays what it
// was when it opened. An error changes nothing.
//
// removed are the apps that are gone: nobody can connect to them any more, and
// the caller must have Shard.CloseApp close what is left, on every reactor. In a
// cluster an app cannot come back before that is done and the cluster has heard.
func (n *Node) Reload(l Limits, apps []AppConfig) (removed []*App, err error) {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	if err := checkUnique(apps); err != nil {
		return nil, err
	}
	old := n.apps.Load()
	for _, c := range apps {
		if old.leaving[c.ID] != nil {
			return nil, fmt.Errorf("app %q was removed and its connections are still being closed: try again", c.ID)
		}
	}
	next := newAppTable(len(apps))
	var asking []*App
	for _, c := range apps {
		a := old.byID[c.ID]
		switch {
		case a == nil:
			a = n.newApp(c)
		case n.bus() != nil && c.Options.Watchlist && !a.Options().Watchlist:
			asking = append(asking, a)
			a.configure(c)
		default:
			a.configure(c)
		}
		next.byID[c.ID], next.byKey[c.Key] = a, a
	}
	maps.Copy(next.leaving, old.leaving)
	for id, a := range old.byID {
		if next.byID[id] == nil {
			removed = append(removed, a)
			if n.bus() != nil {
				next.leaving[id] = a
			}
		}
	}
	n.setLimits(l)
	n.apps.Store(next)
	for _, a := range asking {
		a.users.Ask() // who is online was not asked before
	}
	return removed, nil
}

// forgetApps lets go of removed apps about which the cluster has heard everything.
func (n *Node) forgetApps() {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	old := n.apps.Load()
	left := maps.Clone(old.leaving)
	maps.DeleteFunc(left, func(_ string, a *App) bool {
		return int(a.closed.Load()) == len(n.mailboxes) && a.Connections() == 0 && a.stated.Load() == 0 &&
			a.directory.Idle() && a.users.Idle()
	})
	if len(left) < len(old.leaving) {
		n.apps.Store(&appTable{old.byID, old.byKey, left})
	}
}

func (n *Node) setLimits(l Limits) {
	if l.MaxPendingPublications == 0 {
		l.MaxPendingPublications = 65_536
	}
	if l.MaxPendingBytes == 0 {
		l.MaxPendingBytes = 32 << 20
	}
	n.limits.Store(&l)
}

func newAppTable(size int) *appTable {
	return &appTable{make(map[string]*App, size), make(map[string]*App, size), make(map[string]*App)}
}

func checkUnique(apps []AppConfig) error {
	ids, keys := make(map[string]bool, len(apps)), make(map[string]bool, len(apps))
	for _, c := range apps {
		if ids[c.ID] || keys[c.Key] {
			return fmt.Errorf("app %q: id and key must be unique", c.ID)
		}
		ids[c.ID], keys[c.Key] = true, true
	}
	return nil
}

// CloseApp closes connections of a removed app with 4001, beginning at handle
// from: some of them, so that the turn stays short. next is where to go on in
// another turn, or negative when none is left and the app is forgotten. Call it
// on the reactor.
func (s *Shard) CloseApp(a *App, from int32) (next int32) {
	closed := 0
	for conn := from; int(conn>>sessionBits) < len(s.sessions); conn++ {
		if closed == closeStep || conn == from+scanStep {
			return conn
		}
		if ss := s.session(conn); ss.app != nil && ss.app.app == a {
			s.fail(conn, ErrAppUnknown)
			closed++
		}
	}
	delete(s.apps, a)
	a.closed.Add(1)
	return -1
}
