package rest

import (
	"errors"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"resound/pusher"
)

// triggerEvent sends one event to one or many channels.
//
// Pusher: POST /apps/{app_id}/events.
// Reverb: EventsController; "channels" wins over "channel".
// Departs: Reverb sends an event twice to a channel that is named twice.
func (r *request) triggerEvent() error {
	var e event
	if len(r.body) > 0 || !r.asksByQuery() {
		body, err := r.object()
		if err != nil {
			return err
		}
		e.read(body)
	}
	if err := r.fillFromQuery(&e); err != nil {
		return err
	}
	if err := r.triggerAll(&e); err != nil {
		return err
	}
	r.appendTriggered(&e)
	return nil
}

// triggerAll checks an event and sends it to each of its channels, which it
// leaves in r.channels.
func (r *request) triggerAll(e *event) error {
	if err := e.validateTrigger(); err != nil {
		return err
	}
	if err := e.checkLimits(r.app.Options()); err != nil {
		return err
	}
	if err := r.collectChannels(e); err != nil {
		return err
	}
	if err := r.spendEvents(len(r.channels)); err != nil {
		return err
	}
	if err := r.checkOverload(); err != nil {
		return err
	}
	for _, channel := range r.channels {
		if err := r.trigger(e, channel); err != nil {
			return err
		}
	}
	return nil
}

func (e *event) validateTrigger() error {
	var m messages
	e.validate(&m, "")
	switch one, many := filled(e.channel), filled(e.channels); {
	case !one && !many:
		m.add("channels", "is required when channel is not present.")
		m.add("channel", "is required when channels is not present.")
		return m.refusal()
	case e.channels != "" && !isArray(e.channels) && !isObject(e.channels):
		m.add("channels", "must be an array.")
	case many:
		e.validateChannels(&m)
	}
	m.allowString("channel", e.channel)
	return m.refusal()
}

func (e *event) validateChannels(m *messages) {
	list := valuesOf(e.channels)
	for i := 0; ; i++ {
		_, channel, ok := list.next()
		if !ok {
			return
		}
		if !isString(channel) {
			m.allowString(indexed("channels", i, ""), channel)
		}
	}
}

// collectChannels leaves the channels of a trigger in r.channels, each once.
// Values of an object count too: it is what PHP makes of a list with holes.
//
// Pusher: an event goes to each unique channel once.
func (r *request) collectChannels(e *event) error {
	r.channels = r.channels[:0]
	o := r.app.Options()
	if !filled(e.channels) {
		channel := plain(e.channel)
		r.channels = append(r.channels, channel)
		return checkChannelName(channel, o)
	}
	list := valuesOf(e.channels)
	for n := 1; ; n++ {
		_, token, ok := list.next()
		if !ok {
			return nil
		}
		if o.MaxEventChannels > 0 && n > o.MaxEventChannels {
			return badRequest("Bad request. An event goes to %d channels at most.", o.MaxEventChannels)
		}
		channel := plain(token)
		if err := checkChannelName(channel, o); err != nil {
			return err
		}
		r.addChannel(channel)
	}
}

// scanBelow is the number of channels up to which a scan finds a double one
// faster than a map.
const scanBelow = 16

func (r *request) addChannel(channel string) {
	if len(r.channels) < scanBelow {
		for _, have := range r.channels {
			if have == channel {
				return
			}
		}
		r.channels = append(r.channels, channel)
		return
	}
	if len(r.unique) == 0 {
		if r.unique == nil {
			r.unique = make(map[string]struct{})
		}
		for _, have := range r.channels {
			r.unique[have] = struct{}{}
		}
	}
	if _, double := r.unique[channel]; !double {
		r.unique[channel] = struct{}{}
		r.channels = append(r.channels, channel)
	}
}

// checkOverload refuses a trigger for several channels before the first gets it,
// so that trying again repeats nothing, and any if the node is to refuse while
// the others are out of reach.
func (r *request) checkOverload() error {
	if s := r.server; s.options.RefuseDegraded && s.options.Node.Degraded() {
		s.counters.refusedDegraded.Add(1)
		return &refusal{
			status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
			text: "Service unavailable: the other nodes are out of reach. Try again in 1 s.",
		}
	}
	if len(r.channels) > 1 && r.server.options.Node.Overloaded(r.app, r.channels) {
		return r.overloaded(pusher.ErrOverloaded)
	}
	return nil
}

func (r *request) overloaded(err error) error {
	r.server.counters.overloaded.Add(1)
	return &refusal{
		status: fasthttp.StatusServiceUnavailable, retryAfter: 1,
		text: "Service unavailable: " + err.Error() + ". Try again in 1 s.",
	}
}

// trigger hands one event for one channel to the node.
func (r *request) trigger(e *event, channel string) error {
	err := r.server.options.Node.Trigger(r.app, pusher.Event{
		Channel: channel,
		Name:    e.name,
		Data:    e.data,
		Except:  e.except(),

		Admitted: len(r.channels) > 1, // checkOverload has asked
	})
	if errors.Is(err, pusher.ErrOverloaded) {
		return r.overloaded(err)
	}
	return err
}

func (r *request) appendTriggered(e *event) {
	if !e.wantsAnswer() {
		r.out = append(r.out, "{}"...)
		return
	}
	want := e.attributes()
	r.out = append(r.out, `{"channels":{`...)
	r.lookAtChannels()
	for i, channel := range r.channels {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = gjson.AppendJSONString(r.out, channel)
		r.out = append(r.out, ':')
		r.out = appendOccupancy(r.out, want, channel, r.occupancies[i])
	}
	r.out = append(r.out, "}}"...)
}
