package simulation

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// client is a connection, as its client sees it and as the model expects it.
type client struct {
	name    string
	world   *world
	app     *tenant
	reactor *reactor
	handle  int32
	id      string // socket_id
	open    bool
	code    int // close code, once closed

	subscriptions map[string]*subscription
	user          string          // signed in as
	watched       map[string]bool // user -> online, as told

	turn   []message // answers in a turn of its own
	inTurn bool
	last   int // number of the last event that came by mail

	deadline uint32
	heard    uint32 // when it last said something
	pinged   uint32 // when it was pinged since; 0 if it was not
	deflates bool   // it takes compressed frames
	control  bool   // it has sent a control frame

	stalled     bool // reads nothing
	unreadBytes int
	unread      []unread
}

// unread is a shared frame that waits, and what it said when it was sent.
type unread struct {
	shared []byte
	was    string
}

// subscription is one the client was told of.
type subscription struct {
	member string          // who it is in a presence channel
	roster map[string]bool // as told
	count  int             // subscription_count as last told
	cached int             // the number of the cached event it began with
	got    map[int]bool    // numbers of the events received
}

// message is what the server sends, read leniently.
type message struct {
	Event   string          `json:"event"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
	UserID  string          `json:"user_id"`
}

func (m message) String() string { return fmt.Sprintf("%s %s %s", m.Event, m.Channel, m.Data) }

// inner decodes data, which is a string of JSON or JSON itself.
func (m *message) inner(into any) error {
	var text string
	if json.Unmarshal(m.Data, &text) == nil {
		return json.Unmarshal([]byte(text), into)
	}
	return json.Unmarshal(m.Data, into)
}

func (c *client) String() string {
	return fmt.Sprintf("client %s (app %s, reactor %d)", c.name, c.app.key, c.reactor.index)
}

func (c *client) sign(text string) string {
	mac := hmac.New(sha256.New, []byte(c.app.secret))
	mac.Write([]byte(text))
	return c.app.key + ":" + hex.EncodeToString(mac.Sum(nil))
}

// say sends an event and returns what was answered in the same turn.
func (c *client) say(event, channel string, data any) []message {
	m := map[string]any{"event": event, "data": data}
	if channel != "" {
		m["channel"] = channel
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return c.sayRaw(string(b))
}

func (c *client) sayRaw(text string) []message {
	c.turn, c.inTurn = nil, true
	c.reactor.message(c, text)
	c.inTurn = false
	return c.turn
}

func (c *client) onPing(control bool) {
	switch {
	case control != c.control:
		c.world.fail("%s was pinged the wrong way", c)
	case c.pinged != 0:
		c.world.fail("%s was pinged twice", c)
	case c.reactor.now < c.heard+pingInterval:
		c.world.fail("%s was pinged after %d s", c, c.reactor.now-c.heard)
	}
	c.pinged = c.reactor.now
}

// onEvent is told what came by mail.
func (c *client) onEvent(m *message) {
	switch m.Event {
	case "pusher:ping":
		c.onPing(false)
	case "pusher_internal:member_added", "pusher_internal:member_removed":
		c.onMember(m)
	case "pusher_internal:watchlist_events":
		c.onWatched(m, true)
	case "pusher_internal:subscription_count":
		var data struct {
			Count int `json:"subscription_count"`
		}
		s := c.subscriptions[m.Channel]
		if err := m.inner(&data); err != nil || s == nil {
			c.world.fail("%s got a count of %s, to which it is not subscribed (%v)", c, m.Channel, err)
			return
		}
		s.count = data.Count
	case serverEvent, clientEvent:
		c.onPublished(m)
	default:
		c.world.fail("%s got %s %s by mail", c, m.Event, m.Data)
	}
}

func (c *client) onMember(m *message) {
	var data struct {
		ID string `json:"user_id"`
	}
	s := c.subscriptions[m.Channel]
	if err := m.inner(&data); err != nil || s == nil || s.roster == nil {
		c.world.fail("%s got %s of %s, in which it is not (%v)", c, m.Event, m.Channel, err)
		return
	}
	if joined := m.Event == "pusher_internal:member_added"; joined == s.roster[data.ID] {
		c.world.fail("%s got %s for %s of %s, whose roster is %v", c, m.Event, data.ID, m.Channel, keys(s.roster))
	} else if joined {
		c.world.totals.Joins++
		s.roster[data.ID] = true
	} else {
		c.world.totals.Leaves++
		delete(s.roster, data.ID)
	}
}

// onWatched reads the events of a watchlist: changes, or where they begin.
func (c *client) onWatched(m *message, changes bool) {
	var data struct {
		Events []struct {
			Name  string   `json:"name"`
			Users []string `json:"user_ids"`
		} `json:"events"`
	}
	if err := m.inner(&data); err != nil {
		c.world.fail("%s got %s: %v", c, m.Data, err)
	}
	for _, e := range data.Events {
		for _, user := range e.Users {
			was, known := c.watched[user]
			if online := e.Name == "online"; changes && (!known || was == online) {
				c.world.fail("%s was told that %s is %s, which it %t watches and believed %t", c, user, e.Name, known, was)
			} else {
				c.watched[user] = online
			}
			c.world.totals.Watched++
		}
	}
}

// onPublished holds an event against what was published.
func (c *client) onPublished(m *message) {
	n := number(m.Data)
	p := c.world.published[n]
	switch {
	case p == nil:
		c.world.fail("%s got event %d, which nobody published", c, n)
		return
	case p.app != c.app || p.channel != m.Channel || p.except == c:
		c.world.fail("%s got event %d of %s, published to %s of app %s, except %v", c, n, m.Channel, p.channel, p.app.key, p.except)
	case n <= c.last:
		c.world.fail("%s got event %d after %d", c, n, c.last)
	case p.userID != m.UserID:
		c.world.fail("%s got event %d of user %q, want %q", c, n, m.UserID, p.userID)
	}
	c.last = n
	c.world.totals.Deliveries++
	if user, ok := strings.CutPrefix(m.Channel, toUser); ok {
		if c.user != user {
			c.world.fail("%s, signed in as %q, got event %d for %s", c, c.user, n, user)
		}
		p.reached[c] = true
		return
	}
	s := c.subscriptions[m.Channel]
	if s == nil {
		c.world.fail("%s got event %d of %s, to which it is not subscribed", c, n, m.Channel)
		return
	}
	if m.Event == serverEvent && n <= s.cached {
		c.world.fail("%s got event %d after the cached event %d", c, n, s.cached)
	}
	s.got[n] = true
}

// number is what an event carries.
func number(data json.RawMessage) int {
	n, err := strconv.Atoi(strings.TrimSpace(strings.Trim(string(data), `"`)))
	if err != nil {
		return -1
	}
	return n
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
