package simulation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"resound/pusher"
)

const (
	serverEvent = "news"
	clientEvent = "client-news"
	toUser      = "#server-to-user-"

	pingInterval = 60 // s
	pongTimeout  = 30 // s
	cacheTTL     = 100 * time.Second

	maxClients = 16
	fewMail    = 12 // bound of a mailbox in schedules with overload
)

// world is a node, its clients, and the model of both. Nothing in it may depend
// on anything but its seed.
type world struct {
	random   *rand.Rand
	schedule []string
	failure  string
	totals   totals
	spoil    func(delivery int, payload []byte) (copies int) // nil spoils nothing
	spoiled  int

	node     *pusher.Node
	wall     time.Time
	reactors []*reactor
	tenants  []*tenant
	deflates bool // the node compresses for clients that take it
	bounded  bool // mailboxes hold few items
	draining bool

	clients   []*client // open ones
	named     int       // clients ever
	events    int       // numbers given out
	published map[int]*publication
	due       []due
}

// tenant is an app and the model of what the node keeps of it.
type tenant struct {
	app      *pusher.App
	key      string
	secret   string
	cached   map[string]cached
	occupied map[string]bool            // as told to webhooks
	members  map[string]map[string]bool // as told to webhooks

	terminations []termination
}

type cached struct {
	number  int
	expires time.Time
}

// publication is an event that was accepted.
type publication struct {
	app     *tenant
	channel string
	userID  string
	except  *client
	reached map[*client]bool // events to users
}

// due is what must have happened once a reactor has taken so many items.
type due struct {
	reactor *reactor
	taken   int
	check   func()
}

func newWorld(seed uint64) *world {
	w := &world{
		random:    rand.New(rand.NewPCG(seed, 1)),
		wall:      time.Unix(1_700_000_000, 0),
		published: map[int]*publication{},
	}
	w.bounded = w.random.IntN(4) == 0
	w.deflates = w.random.IntN(2) == 0
	nonce := uint64(0)
	o := pusher.Options{
		Now:      func() time.Time { return w.wall },
		NewNonce: func() uint64 { nonce++; return nonce },
		Webhooks: w,

		Compression: w.deflates,
	}
	if w.bounded {
		o.MaxPendingPublications = fewMail
	}
	for i := range 2 {
		t := &tenant{key: fmt.Sprint("key", i), secret: fmt.Sprint("secret", i), cached: map[string]cached{}, occupied: map[string]bool{}, members: map[string]map[string]bool{}}
		w.tenants = append(w.tenants, t)
		o.Apps = append(o.Apps, pusher.AppConfig{ID: fmt.Sprint(i), Key: t.key, Secret: t.secret, Options: pusher.AppOptions{
			PingInterval: pingInterval * time.Second, PongTimeout: pongTimeout * time.Second,
			CacheTTL: cacheTTL, SubscriptionCount: true, Watchlist: true,
		}})
	}
	var err error
	if w.node, err = pusher.NewNode(o); err != nil {
		panic(err)
	}
	var doors []pusher.Mailbox
	for i := range 1 + w.random.IntN(4) {
		r := &reactor{world: w, index: i, now: 1000}
		r.shard = w.node.NewShard(i, r)
		w.reactors, doors = append(w.reactors, r), append(doors, r)
	}
	w.node.Attach(doors)
	for i, t := range w.tenants {
		t.app = w.node.AppByID(fmt.Sprint(i))
	}
	return w
}

// play runs the schedule and then lets everybody go.
func (w *world) play() {
	for i := 0; i < steps && w.failure == ""; i++ {
		w.step()
	}
	w.settle()
	if w.failure == "" {
		w.drain()
	}
}

func (w *world) fail(format string, args ...any) {
	if w.failure == "" {
		w.failure = fmt.Sprintf(format, args...)
	}
}

func (w *world) log(format string, args ...any) {
	w.schedule = append(w.schedule, fmt.Sprintf("%4d  ", len(w.schedule))+fmt.Sprintf(format, args...))
}

// received takes a message of the server.
func (w *world) received(c *client, payload []byte) {
	var m message
	if err := json.Unmarshal(payload, &m); err != nil {
		w.fail("%s got %q: %v", c, payload, err)
		return
	}
	if c.inTurn {
		c.turn = append(c.turn, m)
		return
	}
	copies := 1
	if w.spoil != nil && (m.Event == serverEvent || m.Event == clientEvent) {
		w.spoiled++
		copies = w.spoil(w.spoiled, payload)
	}
	for range copies {
		if m.Event == "pusher:error" {
			return // why it is closed follows
		}
		c.onEvent(&m)
	}
}

// closedByServer holds the code against what the client did.
func (w *world) closedByServer(c *client, code int) {
	switch code {
	case pusher.ErrPongTimeout.Code:
		w.totals.PongTimeouts++
		if c.pinged == 0 || c.reactor.now < c.pinged+pongTimeout {
			w.fail("%s was given up at %d, pinged at %d", c, c.reactor.now, c.pinged)
		}
	case pusher.ErrTerminated.Code:
		w.totals.Terminated++
		if !slices.ContainsFunc(c.users(), func(u string) bool { return c.app.terminating(c.reactor, u) }) {
			w.fail("%s was terminated as one of %v", c, c.users())
		}
	case pusher.ErrDraining.Code:
		if !w.draining {
			w.fail("%s was drained", c)
		}
	default:
		w.fail("%s was closed with %d", c, code)
	}
}

// gone forgets a connection.
func (w *world) gone(c *client) {
	w.clients = slices.DeleteFunc(w.clients, func(x *client) bool { return x == c })
	c.subscriptions, c.watched, c.user = nil, nil, ""
}

// users is who the client is: signed in, and in presence channels.
func (c *client) users() (all []string) {
	if c.user != "" {
		all = append(all, c.user)
	}
	for _, name := range keys(c.subscriptions) {
		if m := c.subscriptions[name].member; m != "" {
			all = append(all, m)
		}
	}
	return all
}

// expect asks for a check once r has taken what is posted to it by now.
func (w *world) expect(r *reactor, check func()) {
	w.due = append(w.due, due{r, r.posted, check})
}

func (w *world) checkDue(r *reactor) {
	kept := w.due[:0]
	for _, d := range w.due {
		if d.reactor == r && d.taken <= r.taken {
			d.check()
		} else {
			kept = append(kept, d)
		}
	}
	w.due = kept
}
