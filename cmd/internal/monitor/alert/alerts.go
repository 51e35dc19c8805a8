package alert

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Names of channels.
const (
	Slack   = "slack"
	Email   = "email"
	Webhook = "webhook"
)

const (
	maxQueued   = 64
	maxTries    = 4
	sendTimeout = 10 * time.Second
	backoff     = 5 * time.Second // before the second try; twice as long before each further one
)

// Channels are where messages go. An empty field is a channel that is not there.
type Channels struct {
	SlackURL   string
	WebhookURL string
	SMTP       string // smtp:// or smtps:// URL, with credentials
	From       string
	To         []string
}

// Options of Alerts.
type Options struct {
	Node string // name of the node in messages

	SendTimeout time.Duration // of a try; zero means 10 s
	Backoff     time.Duration // before the second try; zero means 5 s

	// Logger gets alerts at warn, and messages that were given up. Nil discards.
	Logger *slog.Logger
}

// Alerts watches figures. Close it.
type Alerts struct {
	options Options
	queues  map[string]chan job
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	senders sync.WaitGroup

	mu       sync.Mutex
	rules    []*watched
	channels Channels
	lost     uint64
}

// job is a message for a channel.
type job struct {
	message Message
	to      Channels
}

// New returns alerts without rules.
func New(o Options) *Alerts {
	if o.SendTimeout == 0 {
		o.SendTimeout = sendTimeout
	}
	if o.Backoff == 0 {
		o.Backoff = backoff
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Alerts{options: o, queues: make(map[string]chan job)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	for name, send := range senders {
		queue := make(chan job, maxQueued)
		a.queues[name] = queue
		a.senders.Go(func() { a.run(name, queue, send) })
	}
	return a
}

// Set puts rules and channels into force. A rule that is as before keeps its
// state.
func (a *Alerts) Set(rules []Rule, channels Channels) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := make(map[string]*watched, len(a.rules))
	for _, w := range a.rules {
		before[w.rule.Name] = w
	}
	a.rules, a.channels = nil, channels
	for _, r := range rules {
		w := &watched{rule: r}
		if was := before[r.Name]; was != nil && was.rule.Metric == r.Metric && was.rule.Below == r.Below {
			w.active, w.since, w.value, w.turning = was.active, was.since, was.value, was.turning
		}
		a.rules = append(a.rules, w)
	}
}

// Observe takes the figures of a moment, by series. A rule whose figure is missing
// stays as it is. It never waits.
func (a *Alerts) Observe(now time.Time, values map[string]float64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.rules {
		value, has := values[w.rule.Metric]
		if !has || !w.observe(now, value) {
			continue
		}
		m := Message{
			Alert: w.rule.Name, State: resolved, Metric: w.rule.Metric, Value: value, Threshold: w.rule.Threshold,
			Below: w.rule.Below, Node: a.options.Node, At: now,
		}
		if w.active {
			m.State = firing
		}
		a.options.Logger.Warn("alert", "name", m.Alert, "state", m.State, "metric", m.Metric, "value", m.Value, "threshold", m.Threshold)
		for _, name := range w.rule.Channels {
			a.offer(name, job{m, a.channels})
		}
	}
}

// offer queues a message or counts it as lost. a.mu is held.
func (a *Alerts) offer(name string, j job) {
	select {
	case a.queues[name] <- j: // never, for a channel that does not exist
	default:
		a.lost++
		a.options.Logger.Error("an alert cannot be told: too many wait for its channel", "name", j.message.Alert, "channel", name)
	}
}

// States are the rules as they stand.
func (a *Alerts) States() []State {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]State, 0, len(a.rules))
	for _, w := range a.rules {
		out = append(out, w.state())
	}
	return out
}

// Lost is how many messages were given up.
func (a *Alerts) Lost() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

// Close ends everything at once.
func (a *Alerts) Close() {
	a.cancel()
	a.senders.Wait()
}

// run sends what a channel is to tell, one after the other.
func (a *Alerts) run(name string, queue <-chan job, send sender) {
	for {
		select {
		case j := <-queue:
			if err := a.deliver(j, send); err != nil && a.ctx.Err() == nil {
				a.mu.Lock()
				a.lost++
				a.mu.Unlock()
				a.options.Logger.Error("an alert could not be told", "name", j.message.Alert, "channel", name, "error", err)
			}
		case <-a.ctx.Done():
			return
		}
	}
}

// deliver tries until it works or is of no use.
func (a *Alerts) deliver(j job, send sender) (err error) {
	wait := a.options.Backoff
	for try := 1; ; try++ {
		err = a.try(j, send)
		if err == nil || errors.Is(err, errFinal) || try == maxTries {
			return err
		}
		select {
		case <-time.After(wait):
			wait *= 2
		case <-a.ctx.Done():
			return a.ctx.Err()
		}
	}
}

func (a *Alerts) try(j job, send sender) error {
	ctx, cancel := context.WithTimeout(a.ctx, a.options.SendTimeout)
	defer cancel()
	return send(ctx, &j.message, &j.to)
}
