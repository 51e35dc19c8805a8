package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is the answer of Apply and Restore after Close.
var ErrClosed = errors.New("webhooks are closed")

// Dispatcher delivers the webhooks of all apps. Safe for concurrent use.
type Dispatcher struct {
	options   Options
	client    *client
	startedAt time.Time
	drops     dropLog // of events without a destination

	counts        counts
	cancelled     atomic.Uint64
	deduplicated  atomic.Uint64
	releasedEarly atomic.Uint64

	apps atomic.Pointer[map[string]*intake] // immutable map, by id; apps with hooks only

	accepting context.Context // ends when Close begins
	drain     context.CancelFunc
	life      context.Context // ends when Close gives up
	kill      context.CancelFunc

	mu      sync.Mutex // Apply, Restore, Close, Stats
	senders map[Destination]*sender
	closed  bool
}

// New returns a Dispatcher that delivers for apps, and goes on with what the
// Store keeps. A Store that cannot be read is logged and is no error.
func New(options Options, apps []App) (*Dispatcher, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	d := &Dispatcher{options: options, client: newClient(&options), startedAt: time.Now(), senders: make(map[Destination]*sender)}
	d.drops = dropLog{log: options.Logger, interval: options.DropLogInterval, counts: []*counts{&d.counts}}
	d.apps.Store(&map[string]*intake{})
	d.accepting, d.drain = context.WithCancel(context.Background())
	d.life, d.kill = context.WithCancel(context.Background())
	if err := d.Apply(apps); err != nil {
		d.drain()
		d.kill()
		return nil, err
	}
	if err := d.Restore(); err != nil {
		options.Logger.Error("webhook events of before could not be read", "error", err)
	}
	return d, nil
}

// Apply replaces the configuration of all apps. An error, which names everything
// that is wrong, leaves the old one. Events that wait for a URL that stays go on
// to wait; those of a URL that is gone are dropped and counted.
func (d *Dispatcher) Apply(apps []App) error {
	plan := make(map[string][]*target)
	var problems []error
	for i := range apps {
		app := &apps[i]
		if _, twice := plan[app.ID]; twice {
			problems = append(problems, fmt.Errorf("app %q is given twice", app.ID))
		}
		targets, err := app.targets(d.options.UserAgent, d.options.DenyPrivateAddresses)
		if err != nil {
			problems = append(problems, err)
		}
		plan[app.ID] = targets
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	return d.install(plan)
}

// install makes plan, from app ids to targets, the configuration. d.mu is held.
func (d *Dispatcher) install(plan map[string][]*target) error {
	added, err := d.open(plan)
	if err != nil {
		return err
	}
	for to, s := range added {
		d.senders[to] = s
		go s.run()
	}
	old, apps := *d.apps.Load(), make(map[string]*intake)
	planned := make(map[Destination]bool)
	for id, targets := range plan {
		if len(targets) == 0 {
			continue
		}
		var routes []*sender
		for _, t := range targets {
			to := Destination{AppID: id, URL: t.url}
			planned[to] = true
			s := d.senders[to]
			s.target.Store(t)
			routes = append(routes, s)
		}
		in := old[id]
		if in == nil {
			in = &intake{d: d, appID: id}
		}
		in.setRoutes(routes)
		apps[id] = in
	}
	d.apps.Store(&apps)
	for id, in := range old {
		if apps[id] == nil {
			d.drops.add(dropUnconfigured, len(in.close(true)))
		}
	}
	for to, s := range d.senders {
		if !planned[to] {
			delete(d.senders, to)
			s.cancel()
			<-s.done
			s.drops.add(dropUnconfigured, len(s.left))
			s.drops.close()
		}
	}
	return nil
}

// open returns a sender, not yet running, for each new destination of plan. It
// opens all queues or none.
func (d *Dispatcher) open(plan map[string][]*target) (map[Destination]*sender, error) {
	added := make(map[Destination]*sender)
	for id, targets := range plan {
		for _, t := range targets {
			to := Destination{AppID: id, URL: t.url}
			if d.senders[to] != nil {
				continue
			}
			queue, err := d.options.Outbox.Open(to)
			if err != nil {
				for _, s := range added {
					s.cancel()
					s.queue.Close()
				}
				return nil, fmt.Errorf("app %q: queue of %s: %w", id, t.shown, err)
			}
			added[to] = newSender(d, to, queue, t)
		}
	}
	return added, nil
}

// Restore goes on with what the Store keeps. New does it once; call it again when
// a process that handed its connections over has ended.
func (d *Dispatcher) Restore() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrClosed
	}
	if d.options.Store == nil {
		return nil
	}
	kept, err := d.options.Store.Load()
	apps := *d.apps.Load()
	for i := range kept {
		k := &kept[i]
		in, s := apps[k.AppID], d.senders[Destination{AppID: k.AppID, URL: k.URL}]
		switch {
		case s != nil:
			s.accept(Record{Event: k.Event, At: k.At, Condition: k.Condition})
		case in != nil && k.URL == "" && (k.Type == ChannelVacated || k.Type == MemberRemoved):
			in.restore(k)
		default:
			d.drops.add(dropUnconfigured, 1)
		}
	}
	return err
}

// Wants reports whether a hook of the app can want events of type t, so that
// callers need not make events for nobody. It takes no lock.
func (d *Dispatcher) Wants(appID string, t EventType) bool {
	in := (*d.apps.Load())[appID]
	return in != nil && in.wants(t)
}

// WantsEdges reports whether a hook of the app can want to hear who comes to a
// channel and leaves it.
func (d *Dispatcher) WantsEdges(appID, channel string) bool {
	in := (*d.apps.Load())[appID]
	return in != nil && (in.matches(ChannelOccupied, channel) || in.matches(MemberAdded, channel))
}

// Publish takes e for delivery to the hooks of the app. It keeps nothing of e and
// never waits for a receiver, a disk or a log: a reactor may call it, and so may
// the holder of the lock under which an edge was decided. Edges of one channel
// should be published in the order they happened; Options.Present mends the rest.
// An event without a type is ignored.
func (d *Dispatcher) Publish(appID string, e Event) {
	if in := (*d.apps.Load())[appID]; in != nil && e.Type.valid() {
		in.publish(&e)
	}
}

// Stats returns what happened so far.
func (d *Dispatcher) Stats() Stats {
	out := Stats{
		Counts:        d.counts.load(),
		Cancelled:     d.cancelled.Load(),
		Deduplicated:  d.deduplicated.Load(),
		ReleasedEarly: d.releasedEarly.Load(),
	}
	for _, in := range *d.apps.Load() {
		out.HeldEvents += in.heldEvents()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.senders {
		out.Destinations = append(out.Destinations, s.stats())
	}
	return out
}

// Close sends what waits until ctx ends, and gives the rest to the Store. With a
// Store, events held back are kept for the next process, which may see the
// clients return; without one they are sent. A
// receiver that fails is waited for only without a Store. The error says that
// events were lost; it is nil otherwise. A second call returns nil at once.
func (d *Dispatcher) Close(ctx context.Context) error {
	d.mu.Lock()
	closed := d.closed
	d.closed = true // from here on nobody changes d.senders
	d.mu.Unlock()
	if closed {
		return nil
	}
	keep := d.options.Store != nil
	var kept []Kept
	for _, in := range *d.apps.Load() {
		kept = append(kept, in.close(keep)...)
	}
	d.drain()
	stop := context.AfterFunc(ctx, d.kill)
	for _, s := range d.senders {
		<-s.done
	}
	stop()
	d.kill()
	for to, s := range d.senders {
		for _, r := range s.left {
			kept = append(kept, Kept{AppID: to.AppID, URL: to.URL, At: r.At, Event: r.Event, Condition: r.Condition})
		}
	}
	err := d.keep(kept)
	for _, s := range d.senders {
		s.drops.close()
	}
	d.drops.close()
	d.client.close()
	return err
}

// keep hands events to the Store.
func (d *Dispatcher) keep(events []Kept) (err error) {
	if len(events) == 0 {
		return nil
	}
	if d.options.Store == nil {
		err = fmt.Errorf("%d events were not sent in time and there is no store", len(events))
	} else if err = d.options.Store.Save(events); err != nil {
		err = fmt.Errorf("%d events could not be kept: %w", len(events), err)
	}
	if err != nil {
		d.drops.add(dropClosed, len(events))
	}
	return err
}
