package clustertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"resound/channels/cluster"
)

// model is what a channel must look like: users with the nodes they are seated
// at, in the order of joining, and each node's hold.
type model struct {
	order []string
	seats map[string]map[int]bool
	holds map[int]int
}

func (m *model) seat(node int, user string) {
	if len(m.seats[user]) == 0 {
		m.order = append(m.order, user)
		m.seats[user] = make(map[int]bool)
	}
	m.seats[user][node] = true
}

func (m *model) unseat(node int, user string) {
	if m.seats[user][node] {
		if delete(m.seats[user], node); len(m.seats[user]) == 0 {
			m.order = slices.DeleteFunc(m.order, func(u string) bool { return u == user })
		}
	}
}

func (m *model) subscriptions() (total int) {
	for _, n := range m.holds {
		total += n
	}
	return total
}

func seeded(s *suite) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	s.t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

func randomSteps(s *suite) {
	random := seeded(s)
	n := s.start(3)
	c := channelOf("presence-room")
	m := &model{seats: make(map[string]map[int]bool), holds: make(map[int]int)}
	for _, node := range n {
		node.watch(c, true)
	}
	for step := range 200 {
		i, user := random.IntN(3), fmt.Sprint("user", random.IntN(5))
		node := n[i]
		switch random.IntN(5) {
		case 0, 1:
			node.seat(c, user)
			m.seat(i, user)
		case 2:
			node.unseat(c, user, m.holds[i])
			m.unseat(i, user)
		case 3:
			m.holds[i] = random.IntN(3)
			if got := node.hold(c, m.holds[i]); got != m.subscriptions() {
				s.t.Fatalf("step %d: counted %d, want %d", step, got, m.subscriptions())
			}
		case 4:
			node.Unwatch(c)
			node.watch(c, true)
		}
		if o := n[(i+1)%3].occupancy(c); o.Subscriptions != m.subscriptions() || o.Users != len(m.order) {
			s.t.Fatalf("step %d: got %+v, want %d subscriptions of %v", step, o, m.subscriptions(), m.order)
		}
		equal(s.t, fmt.Sprint("asked after step ", step), n[(i+2)%3].members(c), m.order)
		for _, node := range n {
			node.until(fmt.Sprintf("step %d: members %v", step, m.order), c, func(f Following) bool {
				return slices.Equal(f.Members, m.order) && f.Occupied == (m.subscriptions() > 0)
			})
		}
		if s.t.Failed() {
			return
		}
	}
}

// randomRace lets three nodes change three channels at once; then every edge must
// have been decided once, alternating, and be what the followers were told.
func randomRace(s *suite) {
	seeds := seeded(s)
	n := s.start(3)
	channels := []cluster.Channel{channelOf("presence-a"), channelOf("presence-b"), channelOf("presence-c")}
	for _, c := range channels {
		for _, node := range n {
			node.watch(c, true)
		}
	}
	var group sync.WaitGroup
	for _, node := range n {
		random := rand.New(rand.NewPCG(seeds.Uint64(), 0))
		group.Go(func() {
			for range 400 {
				c, user := channels[random.IntN(3)], fmt.Sprint("user", random.IntN(4))
				switch random.IntN(6) {
				case 0, 1:
					node.Seat(c, memberOf(user))
				case 2:
					node.Unseat(c, user)
				case 3:
					node.Hold(c, random.IntN(2), false)
				case 4:
					node.Watch(c, true)
				case 5:
					node.Publish(kept(c, user))
				}
			}
			for _, c := range channels {
				for user := range 4 {
					node.Unseat(c, fmt.Sprint("user", user))
				}
				node.hold(c, 0)
			}
		})
	}
	group.Wait()
	var decided []cluster.Edge
	for _, node := range n {
		for _, c := range channels {
			node.until("nobody is left", c, func(f Following) bool { return len(f.Members) == 0 && !f.Occupied })
			if o := node.occupancy(c); o.Subscriptions != 0 || o.Users != 0 {
				s.t.Errorf("left in %s: %+v", c.Name, o)
			}
		}
		decided = append(decided, node.takeDecided()...)
	}
	slices.SortFunc(decided, func(a, b cluster.Edge) int { return int(int64(a.Seq) - int64(b.Seq)) })
	s.alternate(decided)
}

// alternate checks that each edge is followed by its opposite.
func (s *suite) alternate(decided []cluster.Edge) {
	type thing struct {
		channel cluster.Channel
		user    string
	}
	there := make(map[thing]bool)
	for _, e := range decided {
		key := thing{e.Channel, e.Member.ID}
		arrived := e.Kind == cluster.Occupied || e.Kind == cluster.MemberAdded
		if there[key] == arrived {
			s.t.Errorf("edge %d of %s about %q was decided twice", e.Kind, e.Channel.Name, e.Member.ID)
		}
		there[key] = arrived
	}
	for key, still := range there {
		if still {
			s.t.Errorf("%s: the end of %q was decided by nobody", key.channel.Name, key.user)
		}
	}
}
