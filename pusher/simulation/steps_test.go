package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"resound/pusher"
)

var channelNames = []string{
	"news", "sport", "private-a", "private-encrypted-a", "presence-a", "presence-b",
	"cache-a", "private-cache-a", "presence-cache-a", "private-encrypted-cache-a",
}

var userNames = []string{"ann", "bob", "eve", "5"}

func isPresence(name string) bool { return strings.HasPrefix(name, "presence-") }
func isCache(name string) bool    { return strings.Contains(name, "cache-") }
func isPublic(name string) bool {
	return !isPresence(name) && !strings.HasPrefix(name, "private-")
}

func pick[T any](w *world, from []T) T { return from[w.random.IntN(len(from))] }

// step does one thing.
func (w *world) step() {
	defer w.caught()
	if len(w.clients) == 0 {
		w.connect()
		return
	}
	c := pick(w, w.clients)
	switch n := w.random.IntN(100); {
	case n < 8:
		w.connect()
	case n < 26:
		w.subscribe(c)
	case n < 32:
		w.unsubscribe(c)
	case n < 46:
		w.trigger()
	case n < 54:
		w.clientEvent(c)
	case n < 58:
		w.signIn(c)
	case n < 61:
		w.log("%s drops", c)
		c.reactor.end(c, 1006)
	case n < 63:
		w.stall(c)
	case n < 65:
		w.terminate()
	case n < 69:
		w.jump()
	case n < 72:
		w.liveness(c)
	case n < 74:
		w.garbage(c)
	case n < 76:
		w.settle()
	case n < 77:
		w.expire()
	default:
		r := pick(w, w.reactors)
		n := 1 + w.random.IntN(6)
		w.log("reactor %d takes %d of %d items", r.index, n, len(r.mail))
		r.take(n)
	}
}

// caught makes a panic a failure of the schedule.
func (w *world) caught() {
	if p := recover(); p != nil {
		w.fail("panic: %v\n%s", p, stack())
	}
}

func (w *world) connect() {
	if len(w.clients) >= maxClients {
		return
	}
	w.named++
	c := &client{
		name: fmt.Sprint("c", w.named), world: w, app: pick(w, w.tenants), reactor: pick(w, w.reactors),
		subscriptions: map[string]*subscription{}, watched: map[string]bool{},
		deflates: w.deflates && w.random.IntN(2) == 0,
	}
	w.log("%s connects", c)
	c.heard, c.inTurn = c.reactor.now, true
	w.clients = append(w.clients, c)
	c.reactor.connect(c, c.app.key)
	c.inTurn = false
	if w.draining {
		if c.open || c.code != pusher.ErrDraining.Code {
			w.fail("%s was taken while draining: %d", c, c.code)
		}
		return
	}
	var data struct {
		ID string `json:"socket_id"`
	}
	if !c.open || len(c.turn) != 1 || c.turn[0].Event != "pusher:connection_established" || c.turn[0].inner(&data) != nil {
		w.fail("%s was greeted with %v", c, c.turn)
	}
	c.id = data.ID
}

// subscribe asks for a channel, now and then with a wrong signature.
func (w *world) subscribe(c *client) {
	name := pick(w, channelNames)
	data := map[string]string{"channel": name}
	member := ""
	if isPresence(name) {
		if member = pick(w, userNames); w.random.IntN(6) > 0 || c.user == "" {
			data["channel_data"] = fmt.Sprintf(`{"user_id":%q,"user_info":{"name":%q}}`, member, member)
		} else {
			member = c.user
		}
	}
	wrong := !isPublic(name) && w.random.IntN(8) == 0
	if !isPublic(name) {
		text := c.id + ":" + name
		if d := data["channel_data"]; d != "" {
			text += ":" + d
		}
		if wrong {
			text += "x"
		}
		data["auth"] = c.sign(text)
	}
	w.log("%s subscribes to %s as %q, signed wrongly: %t", c, name, member, wrong)
	busy := slices.ContainsFunc(w.reactors, func(r *reactor) bool { return w.bounded && len(r.mail) >= fewMail })
	was := c.subscriptions[name]
	answers := c.say("pusher:subscribe", "", data)
	if !c.open {
		return
	}
	if len(answers) == 2 && answers[1].Event == "pusher:subscription_error" {
		w.totals.Refused++
		if !wrong && !(busy && isPresence(name)) {
			w.fail("%s was refused: %s", c, answers[1].Data)
		}
		return
	}
	switch want := 1 + count(isCache(name)); {
	case wrong || len(answers) != want || answers[0].Event != "pusher_internal:subscription_succeeded" || answers[0].Channel != name:
		w.fail("%s got %v, want %d answers", c, answers, want)
		return
	}
	s := was
	if s == nil || s.member != member {
		s = &subscription{member: member, count: -1, got: map[int]bool{}}
		c.subscriptions[name] = s
	}
	if isPresence(name) {
		w.readRoster(c, name, s, &answers[0])
	}
	if isCache(name) {
		w.readCached(c, name, s, &answers[1])
	}
}

// readRoster holds what a joiner is told against the model.
func (w *world) readRoster(c *client, name string, s *subscription, m *message) {
	var data struct {
		Presence struct {
			Count int            `json:"count"`
			IDs   []string       `json:"ids"`
			Hash  map[string]any `json:"hash"`
		} `json:"presence"`
	}
	if err := m.inner(&data); err != nil {
		w.fail("%s got roster %s: %v", c, m.Data, err)
		return
	}
	s.roster = map[string]bool{}
	for _, id := range data.Presence.IDs {
		s.roster[id] = true
	}
	want := keys(w.members(c.app, name))
	if got := keys(s.roster); !slices.Equal(got, want) || data.Presence.Count != len(want) || len(data.Presence.IDs) != len(want) || !slices.Equal(keys(data.Presence.Hash), want) {
		w.fail("%s got roster %s of %s, want %v", c, m.Data, name, want)
	}
}

// members are the users of a presence channel.
func (w *world) members(t *tenant, name string) map[string]bool {
	all := map[string]bool{}
	for _, c := range w.clients {
		if s := c.subscriptions[name]; c.app == t && s != nil && s.member != "" {
			all[s.member] = true
		}
	}
	return all
}

func (w *world) readCached(c *client, name string, s *subscription, m *message) {
	kept, ok := c.app.cached[name]
	ok = ok && w.wall.Before(kept.expires)
	switch {
	case ok && m.Event == serverEvent && number(m.Data) == kept.number:
		w.totals.CacheHits++
		s.cached, s.got[kept.number] = kept.number, true
	case !ok && m.Event == "pusher:cache_miss":
		w.totals.CacheMisses++
		if isPresence(name) {
			// Joining again skips what waits in the mailbox, as the roster told is
			// newer. An event that waited longer than it is kept is lost then.
			s.cached = w.events
		}
	default:
		w.fail("%s got %s %s as the cached event of %s, want %d, kept: %t", c, m.Event, m.Data, name, kept.number, ok)
	}
}

func (w *world) unsubscribe(c *client) {
	name := pick(w, channelNames)
	w.log("%s unsubscribes from %s", c, name)
	if got := c.say("pusher:unsubscribe", "", map[string]string{"channel": name}); len(got) > 0 {
		w.fail("%s got %v for leaving", c, got)
	}
	if c.open {
		delete(c.subscriptions, name)
	}
}

// trigger publishes as the application does.
func (w *world) trigger() {
	t := pick(w, w.tenants)
	name := pick(w, channelNames)
	if w.random.IntN(6) == 0 {
		name = toUser + pick(w, userNames)
	}
	e := pusher.Event{Channel: name, Name: `"` + serverEvent + `"`}
	p := &publication{app: t, channel: name, reached: map[*client]bool{}}
	if c := w.anybody(); c != nil && w.random.IntN(4) == 0 {
		p.except = c
		e.Except, _ = pusher.ParseSocketID(c.id)
	}
	w.events++
	n := w.events
	e.Data = fmt.Sprintf(`"%d%*s"`, n, pick(w, []int{0, 200}), "") // the longer one is worth compressing
	err := w.node.Trigger(t.app, e)
	w.log("event %d is triggered on %s of app %s, except %v: %v", n, name, t.key, p.except, err)
	if err != nil {
		w.totals.Overloads++
		if !w.bounded {
			w.fail("event %d: %v", n, err)
		}
		return
	}
	if isCache(name) {
		t.cached[name] = cached{n, w.wall.Add(cacheTTL)}
	}
	w.accepted(n, p)
}

func (w *world) anybody() *client {
	if len(w.clients) == 0 {
		return nil
	}
	return pick(w, w.clients)
}

// accepted notes who must get an event, unless they leave before.
func (w *world) accepted(n int, p *publication) {
	w.published[n] = p
	user, isUser := strings.CutPrefix(p.channel, toUser)
	nobody := true
	for _, c := range w.clients {
		s := c.subscriptions[p.channel]
		if c.app != p.app || c == p.except || (s == nil && (!isUser || c.user != user)) {
			continue
		}
		nobody = false
		w.expect(c.reactor, func() {
			if isUser {
				if c.open && !p.reached[c] {
					w.fail("%s, signed in as %s, never got event %d", c, user, n)
				}
			} else if c.open && c.subscriptions[p.channel] == s && !s.got[n] && n > s.cached {
				w.fail("%s never got event %d of %s", c, n, p.channel)
			}
		})
	}
	w.totals.Skipped += count(nobody)
}

func (w *world) clientEvent(c *client) {
	name := pick(w, channelNames)
	s := c.subscriptions[name]
	w.events++
	n := w.events
	// The client is excluded whether it is told of an error or not.
	p := &publication{app: c.app, channel: name, except: c, reached: map[*client]bool{}}
	if s != nil {
		p.userID = s.member
	}
	got := c.say(clientEvent, name, n)
	w.log("%s sends event %d on %s: %v", c, n, name, got)
	switch {
	case !c.open: // nothing is told but errors: one was too much
	case len(got) == 0 && s != nil:
		w.accepted(n, p)
	case len(got) == 1 && got[0].Event == "pusher:error" && (s == nil || w.bounded):
		w.totals.Overloads += count(s != nil)
	default:
		w.fail("%s sent an event and got %v", c, got)
	}
}

func (w *world) signIn(c *client) {
	user := pick(w, userNames)
	var watch []string
	for _, u := range userNames {
		if w.random.IntN(2) == 0 {
			watch = append(watch, u)
		}
	}
	data := fmt.Sprintf(`{"id":%q,"watchlist":["%s"]}`, user, strings.Join(watch, `","`))
	if len(watch) == 0 {
		data = fmt.Sprintf(`{"id":%q}`, user)
	}
	w.log("%s signs in as %s and watches %v", c, user, watch)
	was := c.user
	got := c.say("pusher:signin", "", map[string]string{"auth": c.sign(c.id + "::user::" + data), "user_data": data})
	if !c.open {
		return
	}
	if was != "" && was != user {
		if len(got) != 1 || got[0].Event != "pusher:error" {
			w.fail("%s signed in as another user and got %v", c, got)
		}
		return
	}
	if want := 1 + count(len(watch) > 0); len(got) != want || got[0].Event != "pusher:signin_success" {
		w.fail("%s signed in and got %v, want %d answers", c, got, want)
		return
	}
	c.user, c.watched = user, map[string]bool{}
	if len(watch) > 0 {
		c.onWatched(&got[1], false)
	}
	if got := keys(c.watched); !slices.Equal(got, slices.Sorted(slices.Values(watch))) {
		w.fail("%s was told of %v, watches %v", c, got, watch)
	}
	w.checkWatched(c)
}

// checkWatched holds what a client believes of users against the model.
func (w *world) checkWatched(c *client) {
	for _, user := range keys(c.watched) {
		online := slices.ContainsFunc(w.clients, func(x *client) bool { return x.app == c.app && x.user == user })
		if c.watched[user] != online {
			w.fail("%s believes that %s is online: %t, want %t", c, user, c.watched[user], online)
		}
	}
}

// stall makes a client stop reading, or read all it has not.
func (w *world) stall(c *client) {
	c.stalled = !c.stalled
	w.log("%s reads nothing: %t, %d bytes unread", c, c.stalled, c.unreadBytes)
	for _, u := range c.unread {
		if string(u.shared) != u.was {
			w.fail("%s reads %q, which was sent as %q", c, u.shared, u.was)
		}
	}
	c.unread, c.unreadBytes = nil, 0
}

type termination struct {
	user string
	upTo map[*reactor]int
}

func (w *world) terminate() {
	t, user := pick(w, w.tenants), pick(w, userNames)
	err := w.node.TerminateUser(t.app, user)
	w.log("user %s of app %s is terminated: %v", user, t.key, err)
	if err != nil {
		if !w.bounded {
			w.fail("terminate: %v", err)
		}
		return
	}
	term := termination{user, map[*reactor]int{}}
	for _, r := range w.reactors {
		term.upTo[r] = r.posted
		w.expect(r, func() {
			for _, c := range w.clients {
				if c.reactor == r && c.app == t && slices.Contains(c.users(), user) {
					w.fail("%s, one of %v, was not terminated", c, c.users())
				}
			}
		})
	}
	t.terminations = append(t.terminations, term)
}

// terminating reports whether a reactor still has to terminate a user.
func (t *tenant) terminating(r *reactor, user string) bool {
	return slices.ContainsFunc(t.terminations, func(x termination) bool { return x.user == user && r.taken < x.upTo[r] })
}

// jump moves the clocks, the wall clock back too. Those of reactors rise.
func (w *world) jump() {
	seconds := w.random.IntN(50)
	w.wall = w.wall.Add(time.Duration(seconds-10) * time.Second)
	r := pick(w, w.reactors)
	r.now += uint32(seconds)
	w.log("wall clock %+d s, clock of reactor %d +%d s", seconds-10, r.index, seconds)
	r.sweep()
	for _, c := range w.clients {
		switch {
		case c.reactor != r:
		case c.pinged != 0 && r.now >= c.pinged+pongTimeout:
			w.fail("%s has not answered for %d s and is open", c, r.now-c.pinged)
		case c.pinged == 0 && r.now >= c.heard+pingInterval:
			w.fail("%s was silent for %d s and not pinged", c, r.now-c.heard)
		}
	}
	w.node.Recount()
}

// liveness is a pong of either kind.
func (w *world) liveness(c *client) {
	if w.random.IntN(2) == 0 {
		w.log("%s sends a pong frame", c)
		c.control, c.heard, c.pinged = true, c.reactor.now, 0
		c.reactor.shard.OnControl(c.handle)
		return
	}
	w.log("%s pings", c)
	if got := c.say("pusher:ping", "", map[string]string{}); c.open && (len(got) != 1 || got[0].Event != "pusher:pong") {
		w.fail("%s pinged and got %v", c, got)
	}
}

func (w *world) garbage(c *client) {
	text := pick(w, []string{`{`, `[]`, `{"event":1}`, `{"event":"pusher:subscribe"}`, `{"event":"pusher:unsubscribe","data":[]}`, `{"event":"pusher:what"}`})
	w.log("%s sends %s", c, text)
	if got := c.sayRaw(text); c.open && (len(got) != 1 || got[0].Event != "pusher:error") {
		w.fail("%s sent garbage and got %v", c, got)
	}
}

func (w *world) expire() {
	w.log("expired events are swept")
	for _, t := range w.tenants {
		t.app.Directory().Expire(w.wall)
		for name, kept := range t.cached {
			if !w.wall.Before(kept.expires) {
				delete(t.cached, name)
			}
		}
	}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
