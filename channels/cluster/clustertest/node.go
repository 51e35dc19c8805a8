package clustertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"resound/channels/cluster"
)

// patience is how long a condition may take to come true, a lease included.
const patience = 30 * time.Second

// Node is a node of a cluster under test. It notes what it is told and fails the
// test when a call breaks the contract.
type Node struct {
	cluster.Adapter
	t *testing.T

	mu        sync.Mutex
	changed   sync.Cond // on mu
	channels  map[cluster.Channel]*Following
	decided   []cluster.Edge
	terminate []string
	life      []string // Degraded and Restate
	restated  int
	degraded  bool
	onRestate func(*Node)
}

// Following is what a Node was told about a channel.
type Following struct {
	telling   bool // a call about it is under way
	asked     int  // Watches, where a test counts them
	Watched   int
	Snapshot  *cluster.Snapshot // of the last Watched
	seq       uint64
	Occupied  bool
	Members   []string // in the order they were told
	Edges     []cluster.Edge
	Delivered []cluster.Publication
	Mine      []cluster.Publication
	Seated    map[string]uint64
	Unseated  []string
	Counted   []int
	Numbers   []uint64 // of Counted
}

func newNode(t *testing.T, a cluster.Adapter) *Node {
	n := &Node{Adapter: a, t: t, channels: make(map[cluster.Channel]*Following)}
	n.changed.L = &n.mu
	return n
}

// about runs one call of the adapter, and fails when another about the same
// channel is under way.
func (n *Node) about(c cluster.Channel, note func(f *Following)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := n.following(c)
	if f.telling {
		n.t.Errorf("two calls about %v at a time", c)
	}
	f.telling = true
	n.mu.Unlock()
	// Where a second call would come in.
	n.mu.Lock()
	f.telling = false
	note(f)
	n.changed.Broadcast()
}

func (n *Node) following(c cluster.Channel) *Following {
	f, ok := n.channels[c]
	if !ok {
		f = &Following{Seated: make(map[string]uint64)}
		n.channels[c] = f
	}
	return f
}

// advance checks that a number rises in a channel whose state is followed.
func (n *Node) advance(f *Following, what string, seq uint64) {
	if f.Snapshot != nil && seq <= f.seq {
		n.t.Errorf("%s has number %d after %d", what, seq, f.seq)
	}
	f.seq = seq
}

// Deliver implements cluster.Deliverer.
func (n *Node) Deliver(p cluster.Publication, mine bool) {
	n.about(p.Channel, func(f *Following) {
		if p.Seq != 0 {
			n.advance(f, "a kept publication", p.Seq)
		}
		if mine {
			f.Mine = append(f.Mine, p)
		} else {
			f.Delivered = append(f.Delivered, p)
		}
	})
}

// Watched implements cluster.Deliverer.
func (n *Node) Watched(c cluster.Channel, s *cluster.Snapshot) {
	n.about(c, func(f *Following) {
		f.Watched++
		if s == nil {
			return
		}
		if f.Snapshot != nil && s.Seq < f.seq {
			n.t.Errorf("a snapshot of number %d after %d", s.Seq, f.seq)
		}
		f.Snapshot, f.seq, f.Occupied, f.Members = s, s.Seq, s.Occupied, nil
		for _, m := range s.Members {
			f.Members = append(f.Members, m.ID)
		}
	})
}

// Missing implements cluster.Deliverer.
func (n *Node) Missing(c cluster.Channel) { n.about(c, func(*Following) {}) }

// Edge implements cluster.Deliverer.
func (n *Node) Edge(e cluster.Edge) {
	n.about(e.Channel, func(f *Following) {
		n.advance(f, "an edge", e.Seq)
		f.Edges = append(f.Edges, e)
		if f.Snapshot == nil {
			return
		}
		at := slices.Index(f.Members, e.Member.ID)
		switch e.Kind {
		case cluster.Occupied, cluster.Vacated:
			if occupied := e.Kind == cluster.Occupied; f.Occupied == occupied {
				n.t.Errorf("%s: told twice that it is occupied: %v", e.Channel.Name, occupied)
			} else {
				f.Occupied = occupied
			}
		case cluster.MemberAdded:
			if at >= 0 {
				n.t.Errorf("%s: %s was added twice", e.Channel.Name, e.Member.ID)
			}
			f.Members = append(f.Members, e.Member.ID)
		case cluster.MemberRemoved:
			if at < 0 {
				n.t.Errorf("%s: %s was removed without being there", e.Channel.Name, e.Member.ID)
				return
			}
			f.Members = slices.Delete(f.Members, at, at+1)
		default:
			n.t.Errorf("%s: an edge of kind %d", e.Channel.Name, e.Kind)
		}
	})
}

// Decided implements cluster.Deliverer.
func (n *Node) Decided(e cluster.Edge) {
	n.about(e.Channel, func(*Following) { n.decided = append(n.decided, e) })
}

// Seated implements cluster.Deliverer.
func (n *Node) Seated(c cluster.Channel, userID string, seq uint64) {
	n.about(c, func(f *Following) {
		f.Seated[userID] = seq
		if f.Snapshot != nil && seq > f.seq {
			n.t.Errorf("%s: %s is seated as of %d, but only %d was told", c.Name, userID, seq, f.seq)
		}
	})
}

// Unseated implements cluster.Deliverer.
func (n *Node) Unseated(c cluster.Channel, userID string) {
	n.about(c, func(f *Following) { f.Unseated = append(f.Unseated, userID) })
}

// Counted implements cluster.Deliverer.
func (n *Node) Counted(c cluster.Channel, subscriptions int, number uint64) {
	n.about(c, func(f *Following) {
		f.Counted, f.Numbers = append(f.Counted, subscriptions), append(f.Numbers, number)
		if f.asked > f.Watched {
			n.t.Errorf("%s: counted before the watch asked for earlier was answered", c.Name)
		}
	})
}

// Terminate implements cluster.Deliverer.
func (n *Node) Terminate(app, userID string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.terminate = append(n.terminate, app+" "+userID)
	n.changed.Broadcast()
}

// Degraded implements cluster.Deliverer.
func (n *Node) Degraded(degraded bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if degraded == n.degraded {
		n.t.Errorf("told twice that it is degraded: %v", degraded)
	}
	n.degraded = degraded
	n.life = append(n.life, fmt.Sprint("degraded ", degraded))
	n.changed.Broadcast()
}

// Restate implements cluster.Deliverer.
func (n *Node) Restate() {
	n.mu.Lock()
	n.life = append(n.life, "restate")
	n.restated++
	for _, f := range n.channels {
		f.Snapshot = nil
	}
	state := n.onRestate
	n.changed.Broadcast()
	n.mu.Unlock()
	if state != nil {
		state(n)
	}
}

// until waits for a condition on a copy of what the node was told about c.
func (n *Node) until(what string, c cluster.Channel, ok func(f Following) bool) {
	n.t.Helper()
	n.untilNode(what, func() bool { return ok(*n.following(c)) }, func() string {
		return fmt.Sprintf("%+v", *n.following(c))
	})
}

// untilNode waits for a condition under the node's lock.
func (n *Node) untilNode(what string, ok func() bool, have func() string) {
	n.t.Helper()
	late := time.AfterFunc(patience, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.changed.Broadcast()
	})
	defer late.Stop()
	deadline := time.Now().Add(patience)
	n.mu.Lock()
	defer n.mu.Unlock()
	for !ok() {
		if time.Now().After(deadline) {
			n.t.Fatalf("%s: not within %v; have %s", what, patience, have())
		}
		n.changed.Wait()
	}
}

// told returns a copy of what the node was told about c.
func (n *Node) told(c cluster.Channel) Following {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := *n.following(c)
	f.Members = slices.Clone(f.Members)
	return f
}

// watch watches c and waits for the answer.
func (n *Node) watch(c cluster.Channel, snapshot bool) Following {
	n.t.Helper()
	before := n.told(c).Watched
	n.Watch(c, snapshot)
	n.until("watched", c, func(f Following) bool { return f.Watched > before })
	return n.told(c)
}

// seat seats a user and waits for the answer.
func (n *Node) seat(c cluster.Channel, user string) {
	n.t.Helper()
	n.mu.Lock()
	delete(n.following(c).Seated, user)
	n.mu.Unlock()
	n.Seat(c, memberOf(user))
	n.until("seated "+user, c, func(f Following) bool { return f.Seated[user] != 0 })
}

// hold holds subscriptions and waits for the count.
func (n *Node) hold(c cluster.Channel, subscriptions int) (total int) {
	n.t.Helper()
	before := len(n.told(c).Counted)
	n.Hold(c, subscriptions, true)
	n.until("counted", c, func(f Following) bool { return len(f.Counted) > before })
	f := n.told(c)
	return f.Counted[len(f.Counted)-1]
}

// unseat takes a seat back and waits until that was heard: Hold is answered after it.
func (n *Node) unseat(c cluster.Channel, user string, held int) {
	n.t.Helper()
	n.Unseat(c, user)
	n.hold(c, held)
}

func (n *Node) takeDecided() []cluster.Edge {
	n.mu.Lock()
	defer n.mu.Unlock()
	decided := n.decided
	n.decided = nil
	return decided
}

// occupancy asks for a channel.
func (n *Node) occupancy(c cluster.Channel) cluster.Occupancy {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	var o cluster.Occupancy
	err := whole(func() (err error) {
		o, err = n.Channel(ctx, c)
		return err
	})
	if err != nil {
		n.t.Fatalf("occupancy of %s: %v", c.Name, err)
	}
	return o
}

// whole asks until no node is missing in the answer.
func whole(ask func() error) error {
	for {
		err := ask()
		if !errors.Is(err, cluster.ErrPartial) {
			return err
		}
		time.Sleep(time.Millisecond) // whoever is missing has the processor
	}
}

// members asks for the ids of a channel's members.
func (n *Node) members(c cluster.Channel) []string {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	var list []cluster.Member
	err := whole(func() (err error) {
		list, err = n.Members(ctx, c)
		return err
	})
	if err != nil {
		n.t.Fatalf("members of %s: %v", c.Name, err)
	}
	var ids []string
	for _, m := range list {
		if m != memberOf(m.ID) {
			n.t.Errorf("member: got %+v, want %+v", m, memberOf(m.ID))
		}
		ids = append(ids, m.ID)
	}
	return ids
}

func memberOf(user string) cluster.Member {
	return cluster.Member{ID: user, IDJSON: `"` + user + `"`, Info: `{"name":"` + user + `"}`}
}
