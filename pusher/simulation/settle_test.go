package simulation

import (
	"bytes"
	"compress/flate"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"resound/pusher"
)

func stack() []byte { return debug.Stack() }

// settle delivers all mail and holds everything the node and its clients know
// against the model.
func (w *world) settle() {
	defer w.caught()
	w.log("all mail is delivered")
	for {
		busy := slices.DeleteFunc(slices.Clone(w.reactors), func(r *reactor) bool { return len(r.mail) == 0 })
		if len(busy) == 0 || w.failure != "" {
			break
		}
		pick(w, busy).take(1 + w.random.IntN(10))
	}
	if w.failure != "" {
		return
	}
	if len(w.due) > 0 {
		w.fail("%d checks are due though all mail is delivered", len(w.due))
	}
	if got := w.node.Connections(); got != int64(len(w.clients)) {
		w.fail("the node counts %d connections, want %d", got, len(w.clients))
	}
	for _, c := range w.clients {
		w.checkWatched(c)
		for _, name := range keys(c.subscriptions) {
			w.checkSubscription(c, name)
		}
	}
	for _, t := range w.tenants {
		w.checkTenant(t)
	}
}

func (w *world) checkSubscription(c *client, name string) {
	s := c.subscriptions[name]
	if isPresence(name) {
		if got, want := keys(s.roster), keys(w.members(c.app, name)); !slices.Equal(got, want) {
			w.fail("%s believes that %v are in %s, want %v", c, got, name, want)
		}
		return
	}
	if want := w.subscribers(c.app, name); s.count != want {
		w.fail("%s believes that %s has %d subscriptions, want %d", c, name, s.count, want)
	}
}

func (w *world) subscribers(t *tenant, name string) (n int) {
	for _, c := range w.clients {
		n += count(c.app == t && c.subscriptions[name] != nil)
	}
	return n
}

// checkTenant holds the Directory, and what webhooks were told, against the model.
func (w *world) checkTenant(t *tenant) {
	open := 0
	for _, c := range w.clients {
		open += count(c.app == t)
	}
	if got := t.app.Connections(); got != int64(open) {
		w.fail("app %s counts %d connections, want %d", t.key, got, open)
	}
	for _, name := range channelNames {
		want := w.subscribers(t, name)
		members := keys(w.members(t, name))
		o := t.app.Directory().Channel(name, w.wall)
		if o.Subscriptions != want || o.Users != len(members) {
			w.fail("the Directory of app %s has %d subscriptions and %d users of %s, want %d and %v", t.key, o.Subscriptions, o.Users, name, want, members)
		}
		if t.occupied[name] != (want > 0) || !slices.Equal(keys(t.members[name]), members) {
			w.fail("webhooks of app %s believe that %s is occupied: %t by %v, want %d subscriptions and %v", t.key, name, t.occupied[name], keys(t.members[name]), want, members)
		}
	}
}

// inflate reads a compressed message with the standard library alone.
func (w *world) inflate(c *client, payload []byte) []byte {
	w.totals.Inflated++
	if !c.deflates {
		w.fail("%s got a compressed frame, which it cannot read", c)
	}
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	plain, err := io.ReadAll(r)
	if err != nil {
		w.fail("%s cannot inflate %x: %v", c, payload, err)
	}
	return plain
}

// drain ends the schedule: nobody new, everybody goes, nothing stays.
func (w *world) drain() {
	defer w.caught()
	w.log("drain")
	w.draining = true
	w.node.Drain()
	for len(w.clients) > 0 && w.failure == "" {
		c := pick(w, w.clients)
		w.totals.Drained++
		c.reactor.Close(c.handle, pusher.ErrDraining.Code, pusher.ErrDraining.Message)
		if w.random.IntN(4) == 0 {
			w.connect()
		}
		if w.random.IntN(4) == 0 {
			w.trigger()
		}
	}
	w.settle()
	for _, t := range w.tenants {
		if left := t.app.Directory().Channels(""); len(left) > 0 {
			w.fail("channels of app %s after everybody left: %v", t.key, left)
		}
	}
}

// Publish is told of webhook events: each edge changes what was told before.
func (w *world) Publish(a *pusher.App, h pusher.Hook) {
	t := w.tenants[slices.IndexFunc(w.tenants, func(t *tenant) bool { return t.key == a.Key() })]
	edge := func(set map[string]bool, name string, into bool) {
		if set[name] == into {
			w.fail("webhook %s for %s %s of app %s, which it is already", h.Name, h.Channel, h.UserID, t.key)
		}
		if into {
			set[name] = true
		} else {
			delete(set, name)
		}
	}
	// The strings may be views.
	channel, user := string([]byte(h.Channel)), string([]byte(h.UserID))
	switch h.Name {
	case pusher.HookOccupied, pusher.HookVacated:
		edge(t.occupied, channel, h.Name == pusher.HookOccupied)
	case pusher.HookMemberAdded, pusher.HookMemberRemoved:
		if t.members[channel] == nil {
			t.members[channel] = map[string]bool{}
		}
		edge(t.members[channel], user, h.Name == pusher.HookMemberAdded)
	}
}
