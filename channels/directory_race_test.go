package channels_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"resound/channels"
)

// edge is what travels to a reactor when a member comes or goes.
type edge struct {
	channel string
	seq     uint64
	joined  bool
	member  *channels.Member
}

// reactor is a goroutine with a mailbox and connections, as package loop has.
type reactor struct {
	t     *testing.T
	index int
	rnd   *rand.Rand
	names []string

	mu   sync.Mutex
	mail []edge

	last  map[string]uint64 // channel -> number of the last edge in the mailbox
	conns []*member
}

// member is one connection in one presence channel, with the roster it knows.
type member struct {
	channel string
	user    string
	since   uint64
	roster  []string
}

// TestEveryReactorSeesTheSameRoster lets reactors join and leave at once. What
// a subscriber is told on joining and by the edges after that must add up to
// the roster that the directory has in the end.
func TestEveryReactorSeesTheSameRoster(t *testing.T) {
	const reactors, steps = 4, 3000
	all := make([]*reactor, reactors)
	d := channels.NewDirectory(posting{to: all})
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprint("presence-", i))
	}
	for i := range all {
		all[i] = &reactor{t: t, index: i, rnd: rand.New(rand.NewPCG(7, uint64(i))), names: names, last: make(map[string]uint64)}
	}
	var running sync.WaitGroup
	for _, r := range all {
		running.Go(func() {
			for range steps {
				r.turn(d)
			}
		})
	}
	running.Wait()

	seen := 0
	for _, r := range all {
		r.read()
		for _, c := range r.conns {
			members, ok := d.Members(c.channel)
			if want := ids(members); !ok || !slices.Equal(c.roster, want) {
				t.Errorf("a connection of %s in %s on reactor %d knows %q, the directory %q", c.user, c.channel, r.index, c.roster, want)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("nobody is left to compare")
	}

	for _, r := range all {
		for len(r.conns) > 0 {
			r.leave(d)
		}
	}
	if left := d.Channels(""); len(left) != 0 {
		t.Errorf("%v are occupied though everybody left", left)
	}
}

func (r *reactor) turn(d *channels.Directory) {
	switch n := r.rnd.IntN(10); {
	case n < 3:
		r.read()
	case n < 7 && len(r.conns) < 40:
		r.join(d)
	case len(r.conns) > 0:
		r.leave(d)
	}
}

// posting puts edges into the mailboxes of reactors. It runs under a stripe's lock.
type posting struct {
	channels.NoEdges
	to []*reactor
}

func (p posting) MemberAdded(channel string, m *channels.Member, to channels.Interest, seq uint64) {
	p.post(to, edge{channel, seq, true, m})
}

func (p posting) MemberRemoved(channel string, m *channels.Member, to channels.Interest, seq uint64) {
	p.post(to, edge{channel, seq, false, m})
}

func (p posting) post(to channels.Interest, e edge) {
	for _, other := range p.to {
		if to.Has(other.index) {
			other.mu.Lock()
			other.mail = append(other.mail, e)
			other.mu.Unlock()
		}
	}
}

func (r *reactor) join(d *channels.Directory) {
	c := &member{channel: r.names[r.rnd.IntN(len(r.names))], user: fmt.Sprint("user-", r.rnd.IntN(12))}
	m := user(c.user)
	got, members, err := d.Join(c.channel, r.index, m, 0, nil, epoch)
	if err != nil {
		r.t.Error(err)
		return
	}
	c.since, c.roster = got.Since, ids(members)
	if !slices.Contains(c.roster, c.user) {
		r.t.Errorf("%s is told a roster without itself: %q", c.user, c.roster)
	}
	r.conns = append(r.conns, c)
}

func (r *reactor) leave(d *channels.Directory) {
	i := r.rnd.IntN(len(r.conns))
	c := r.conns[i]
	r.conns = slices.Delete(r.conns, i, i+1)
	last := !slices.ContainsFunc(r.conns, func(other *member) bool { return other.channel == c.channel })
	d.Leave(c.channel, r.index, last, c.user)
}

// read handles the mail that is there.
func (r *reactor) read() {
	r.mu.Lock()
	mail := r.mail
	r.mail = nil
	r.mu.Unlock()
	for _, e := range mail {
		if e.seq <= r.last[e.channel] {
			r.t.Errorf("reactor %d got number %d of %s after %d", r.index, e.seq, e.channel, r.last[e.channel])
		}
		r.last[e.channel] = e.seq
		for _, c := range r.conns {
			if c.channel == e.channel && c.since < e.seq {
				c.apply(r.t, e)
			}
		}
	}
}

func (c *member) apply(t *testing.T, e edge) {
	i := slices.Index(c.roster, e.member.ID)
	switch {
	case e.joined && i < 0:
		c.roster = append(c.roster, e.member.ID)
	case !e.joined && i >= 0:
		c.roster = slices.Delete(c.roster, i, i+1)
	default:
		t.Errorf("number %d of %s: %s joined is %v, and the roster was %q", e.seq, e.channel, e.member.ID, e.joined, c.roster)
	}
}
