package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"resound/bench/population"
	"resound/bench/process"
	"resound/bench/receiver"
	"resound/bench/wire"
)

// Modes of the webhook scenario's rounds.
const (
	modeUnmatched = "fan-out, events of no webhook"
	modeMatched   = "fan-out, events of a webhook"
	modeWebhooks  = "webhook events"
)

// hookedPrefix begins the names of channels whose client events a webhook gets.
const hookedPrefix = "hooked-"

// Webhook measures what webhooks cost the fan-out of a spawned server: while one
// connection sends Settings.Rate client events a second, in one round on a channel
// that a webhook is for and in the next on one it is not, events go to all other
// connections as in Fanout. The sender's own cost is in both, so the ratio of the two
// rates is the webhook's. An operation is a delivery, or an event that reached the
// webhook's receiver.
func Webhook(ctx context.Context, s Settings) (Result, error) {
	setDefault(&s.Rate, defaultWebhookRate)
	if s.Rate < 1 {
		return Result{}, fmt.Errorf("%v client events a second, want 1 or more", s.Rate)
	}
	if s.Spawn == "" {
		return Result{}, errors.New("the scenario configures the server itself: give the binary to spawn, not a target")
	}
	return runScenario(ctx, "webhook", s, defaultFanoutConnections, (*run).webhook)
}

// hooks is what the scenario has running beside the fan-out.
type hooks struct {
	*subject
	receiver          *receiver.Remote
	hooked, unmatched *population.Fleet // a sender each
	sent              uint64            // on the hooked channel
}

func (r *run) webhook() error {
	h, err := r.startHooks()
	if err != nil {
		return err
	}
	for range warmUpEvents {
		if err := r.deliver(h.subject, 1); err != nil {
			return err
		}
	}
	r.result.comparePairs(pair{"rate", modeMatched, modeUnmatched}, pair{"CPU", modeMatched, modeUnmatched})
	for number := range r.settings.Rounds {
		if err := r.webhookRound(number+1, h, modeUnmatched, h.unmatched); err != nil {
			return err
		}
		if err := r.webhookRound(number+1, h, modeMatched, h.hooked); err != nil {
			return err
		}
	}
	if err := r.checkFrames([]*subject{h.subject}); err != nil {
		return err
	}
	return r.awaitWebhooks(h)
}

func (r *run) startHooks() (*hooks, error) {
	h := &hooks{}
	var err error
	if h.receiver, err = receiver.Start(r.children, r.self(SubcommandReceiver)); err != nil {
		return nil, err
	}
	r.configure = func(app wire.App, folder string) ([]byte, error) { return webhookConfig(app, folder, h.receiver.URL) }
	if h.subject, err = r.server(); err != nil {
		return nil, err
	}
	if err := r.newFleet(h.subject); err != nil {
		return nil, err
	}
	r.progress("connecting %d subscribers to the server", r.settings.Connections)
	if err := r.connect(h.subject, 0); err != nil {
		return nil, err
	}
	if h.hooked, err = r.sender(h.subject, hookedPrefix+r.channel); err != nil {
		return nil, err
	}
	h.unmatched, err = r.sender(h.subject, "plain-"+r.channel)
	return h, err
}

// sender connects a connection that is alone on a channel.
func (r *run) sender(s *subject, channel string) (*population.Fleet, error) {
	fleet, err := r.clients(s, "sender", 1)
	if err != nil {
		return nil, err
	}
	o := r.options(s)
	o.Connections, o.Channel = 1, channel
	return fleet, r.openFleet(s, fleet, o)
}

// webhookConfig is the configuration file of a server with one webhook.
//
// Reverb: config/reverb.php, apps; the webhooks are an extension.
func webhookConfig(app wire.App, folder, url string) ([]byte, error) {
	type object map[string]any
	return json.Marshal(object{
		"servers": object{"reverb": object{"webhooks": object{"store": folder + "/webhooks"}}},
		"apps": object{"apps": []object{{
			"app_id": app.ID, "key": app.Key, "secret": app.Secret,
			"accept_client_events_from": "members",
			"webhooks": []object{{
				"url": url, "event_types": []string{"client_event"},
				"filter": object{"channel_name_starts_with": hookedPrefix},
			}},
		}}},
	})
}

// webhookRound measures the fan-out while a sender sends, and what its webhook got.
func (r *run) webhookRound(number int, h *hooks, mode string, sender *population.Fleet) error {
	if _, err := h.fleet.Latencies(r.ctx, true); err != nil {
		return err
	}
	before, err := h.receiver.Counts()
	if err != nil {
		return err
	}
	if _, err := sender.Send(r.ctx, 0, int(r.settings.Rate), r.settings.PayloadBytes); err != nil {
		return err
	}
	m, err := newMeter(h.pids, append(h.fleet.PIDs(), sender.PIDs()[0], h.receiver.PID))
	if err != nil {
		return err
	}
	events := 0
	for end := m.start + int64(r.settings.Duration); !r.roundOver(events, end); events++ {
		if err := r.deliver(h.subject, 1); err != nil {
			return err
		}
	}
	round, err := m.round(uint64(events) * uint64(r.settings.Connections))
	if err != nil {
		return err
	}
	after, err := h.receiver.Counts()
	if err != nil {
		return err
	}
	sent, err := sender.Send(r.ctx, 0, 0, 0)
	if err != nil {
		return err
	}
	round.Number, round.Subject, round.Mode = number, h.name, mode
	if float64(sent) < (1-lateShare)*r.settings.Rate*round.Seconds {
		r.result.verdict("%s round %d: %d client events in %.2f s of the %.0f a second asked for", mode, number, sent, round.Seconds, r.settings.Rate)
	}
	if err := r.keep(round, h.fleet, "deliveries"); err != nil {
		return err
	}
	if sender != h.hooked {
		return nil
	}
	h.sent += sent
	round.Mode, round.Operations, round.CPUMicros, round.Latency, round.Histogram = modeWebhooks, after.Events-before.Events, nil, nil, nil
	round.PerSecond = float64(round.Operations) / round.Seconds
	return r.keep(round, nil, "webhook events")
}

// awaitWebhooks waits until the receiver has got every event. Fewer are a verdict,
// not a failure: a server may drop what a receiver does not take fast enough.
func (r *run) awaitWebhooks(h *hooks) error {
	for end := process.Nanos() + int64(r.settings.deliveryTimeout); ; {
		got, err := h.receiver.Counts()
		if err != nil {
			return err
		}
		switch {
		case got.Events == h.sent:
			return nil
		case got.Events > h.sent:
			return fmt.Errorf("%w: the receiver got %d client events of %d", ErrDeliveries, got.Events, h.sent)
		case process.Nanos() > end:
			r.result.verdict("the receiver got %d of %d client events", got.Events, h.sent)
			return nil
		}
		if err := r.pause(10 * time.Millisecond); err != nil {
			return err
		}
	}
}
