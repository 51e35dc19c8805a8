package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const (
	crowdChannel = "presence-crowd"
	crowdGuests  = 12
	crowdUsers   = 5
	crowdSteps   = 120
)

// crowd is three nodes in processes of their own, and clients of theirs that join and
// leave one presence channel. What every client was told, and what every node answers,
// is held against who is there.
type crowd struct {
	t      *testing.T
	rnd    *rand.Rand
	redis  *redisServer
	nodes  []*server
	frozen int // node that is stopped, or -1
	guests [crowdGuests]*guest
}

// guest is a client.
type guest struct {
	*socket
	node   int
	user   string          // empty when not in the channel
	roster map[string]bool // as told; nil until answered
}

// TestClusterAgreesWithAModel plays at random: users on several nodes at once, nodes that
// are killed and replaced, and stopped for longer than their lease.
func TestClusterAgreesWithAModel(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	c := &crowd{t: t, rnd: rand.New(rand.NewPCG(5, 1)), redis: r, nodes: nodes(t, r, 3, nil), frozen: -1}
	for i := range crowdSteps {
		c.step()
		switch i {
		case crowdSteps / 5, 3 * crowdSteps / 5:
			c.replace(c.rnd.IntN(len(c.nodes)))
		case 2 * crowdSteps / 5:
			c.freeze(c.rnd.IntN(len(c.nodes)))
		case 2*crowdSteps/5 + 10:
			c.thaw()
		}
		c.agree(i)
	}
	for i := range c.guests {
		c.close(i)
	}
	c.agree(crowdSteps)
}

// step lets one client come, join, leave or go.
func (c *crowd) step() {
	i := c.rnd.IntN(len(c.guests))
	g := c.guests[i]
	switch {
	case g == nil:
		node := c.rnd.IntN(len(c.nodes))
		if node == c.frozen {
			node = (node + 1) % len(c.nodes)
		}
		c.guests[i] = &guest{socket: open(c.t, c.nodes[node]), node: node}
		c.join(c.guests[i])
	case g.node == c.frozen: // nobody reads what it says
	case g.user == "":
		c.join(g)
	case c.rnd.IntN(2) == 0:
		g.send(c.t, `{"event":"pusher:unsubscribe","data":{"channel":"`+crowdChannel+`"}}`)
		g.user, g.roster = "", nil
	default:
		c.close(i)
	}
}

func (c *crowd) join(g *guest) {
	g.user = fmt.Sprint("user", c.rnd.IntN(crowdUsers))
	g.subscribeSigned(c.t, crowdChannel, memberOf(g.user))
}

func (c *crowd) close(i int) {
	if g := c.guests[i]; g != nil {
		_ = g.conn.CloseNow() // it may be that of a node that is dead
		c.guests[i] = nil
	}
}

// replace kills a node and starts another in its place.
func (c *crowd) replace(node int) {
	c.nodes[node].signal(c.t, syscall.SIGKILL)
	c.nodes[node].wait(c.t)
	for i, g := range c.guests {
		if g != nil && g.node == node {
			c.close(i)
		}
	}
	c.nodes[node] = start(c.t, startOptions{env: c.redis.environment(nil)})
}

func (c *crowd) freeze(node int) {
	c.nodes[node].signal(c.t, syscall.SIGSTOP)
	c.frozen = node
}

func (c *crowd) thaw() {
	c.nodes[c.frozen].signal(c.t, syscall.SIGCONT)
	c.frozen = -1
}

// present are the users who are there, in their order. Those of a node that is stopped are
// gone as soon as its lease has ended.
func (c *crowd) present() []string {
	users := []string{}
	for _, g := range c.guests {
		if g != nil && g.user != "" && g.node != c.frozen && !slices.Contains(users, g.user) {
			users = append(users, g.user)
		}
	}
	slices.Sort(users)
	return users
}

// agree waits until all clients were told, and all nodes answer, who is there.
func (c *crowd) agree(step int) {
	c.t.Helper()
	want := c.present()
	var differs string
	defer func() {
		if c.t.Failed() {
			c.t.Logf("step %d: want %q; %s", step, want, differs)
		}
	}()
	eventually(c.t, "all agree who is there", func() bool {
		differs = c.differs(want)
		return differs == ""
	})
}

func (c *crowd) differs(want []string) string {
	for i, g := range c.guests {
		if g == nil || g.node == c.frozen {
			continue
		}
		c.read(g)
		if g.user == "" {
			continue
		}
		var got []string
		for user := range g.roster {
			got = append(got, user)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Sprintf("client %d of node %d was told of %q", i, g.node, got)
		}
	}
	for i, by := range c.nodes {
		if i == c.frozen {
			continue
		}
		var listed struct {
			Users []struct {
				ID string `json:"id"`
			} `json:"users"`
		}
		if a := by.api().get(c.t, "/channels/"+crowdChannel+"/users", ""); json.Unmarshal([]byte(a.body), &listed) != nil {
			return fmt.Sprintf("node %d answers %s", i, a.body)
		}
		got := []string{}
		for _, u := range listed.Users {
			got = append(got, u.ID)
		}
		slices.Sort(got)
		count := by.api().get(c.t, "/channels/"+crowdChannel, "user_count").body
		if !slices.Equal(got, want) || len(want) > 0 && !strings.Contains(count, fmt.Sprintf(`"user_count":%d}`, len(want))) {
			return fmt.Sprintf("node %d lists %q and counts %s", i, got, count)
		}
	}
	return ""
}

// read takes what a client has been told since. Each member comes and goes in turn, and
// nobody hears of itself.
func (c *crowd) read(g *guest) {
	c.t.Helper()
	for {
		select {
		case text, ok := <-g.messages:
			if !ok {
				c.t.Fatalf("a connection to node %d ended: %v", g.node, g.end)
			}
			c.told(g, decode(c.t, text))
		default:
			return
		}
	}
}

func (c *crowd) told(g *guest, e event) {
	c.t.Helper()
	if g.user == "" && e.Event != "pusher:ping" {
		return // on its way when the client left
	}
	switch e.Event {
	case "pusher_internal:subscription_succeeded":
		var data struct {
			Presence struct {
				IDs []string `json:"ids"`
			} `json:"presence"`
		}
		if err := json.Unmarshal([]byte(e.text(c.t)), &data); err != nil {
			c.t.Fatal(err)
		}
		g.roster = make(map[string]bool)
		for _, id := range data.Presence.IDs {
			g.roster[id] = true
		}
		if !g.roster[g.user] {
			c.t.Errorf("%s is welcomed by %q", g.user, data.Presence.IDs)
		}
	case added, removed:
		if g.roster == nil {
			return // of the subscription before this one
		}
		var member struct {
			UserID string `json:"user_id"`
		}
		if err := json.Unmarshal([]byte(e.text(c.t)), &member); err != nil {
			c.t.Fatal(err)
		}
		if is := e.Event == added; g.roster[member.UserID] == is || member.UserID == g.user {
			c.t.Errorf("%s, who knows of %v, is told %s %s", g.user, g.roster, e.Event, member.UserID)
		} else if is {
			g.roster[member.UserID] = true
		} else {
			delete(g.roster, member.UserID)
		}
	case "pusher:ping":
		g.send(c.t, `{"event":"pusher:pong","data":{}}`)
	default:
		c.t.Errorf("a client is told %s", e.Event)
	}
}
