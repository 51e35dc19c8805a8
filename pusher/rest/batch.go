package rest

// triggerBatch sends several events, each to its own channel, in their order.
// Nothing is sent unless all of them are valid.
//
// Pusher: POST /apps/{app_id}/batch_events.
// Reverb: EventsBatchController; {"batch":{}} when no event asks for info.
func (r *request) triggerBatch() error {
	body, err := r.object()
	if err != nil {
		return err
	}
	if err := r.readBatch(body); err != nil {
		return err
	}
	o := r.app.Options()
	for i := range r.events {
		if err := r.events[i].checkLimits(o); err != nil {
			return err
		}
		channel := plain(r.events[i].channel)
		if err := checkChannelName(channel, o); err != nil {
			return err
		}
		r.channels = append(r.channels, channel)
	}
	if err := r.spendEvents(len(r.events)); err != nil {
		return err
	}
	if err := r.checkOverload(); err != nil {
		return err
	}
	for i := range r.events {
		if err := r.trigger(&r.events[i], r.channels[i]); err != nil {
			return err
		}
	}
	r.appendBatchTriggered()
	return nil
}

// readBatch leaves the events of a body in r.events.
func (r *request) readBatch(body string) error {
	var m messages
	batch := ""
	for members := valuesOf(body); ; {
		key, value, ok := members.next()
		if !ok {
			break
		}
		if plain(key) == "batch" {
			batch = value
		}
	}
	if !filled(batch) {
		m.add("batch", "is required.")
		return m.refusal()
	}
	if !isArray(batch) {
		m.add("batch", "must be an array.")
		return m.refusal()
	}
	r.events, r.channels = r.events[:0], r.channels[:0]
	limit := r.app.Options().MaxBatchEvents
	for items := valuesOf(batch); ; {
		_, item, ok := items.next()
		if !ok {
			return m.refusal()
		}
		if limit > 0 && len(r.events) == limit {
			return badRequest("Bad request. A batch holds %d events at most.", limit)
		}
		var e event
		if isObject(item) {
			e.read(item)
		}
		e.validateBatched(&m, len(r.events))
		r.events = append(r.events, e)
	}
}

func (e *event) validateBatched(m *messages, i int) {
	if isString(e.name) && isString(e.data) && filled(e.name) && filled(e.data) &&
		isString(e.channel) && filled(e.channel) && e.socketID == "" && e.info == "" {
		return // Fast path: no names of fields to build.
	}
	e.validate(m, indexed("batch", i, "."))
	field := indexed("batch", i, ".channel")
	if !filled(e.channel) {
		m.add(field, "is required when channels is not present.")
		return
	}
	m.allowString(field, e.channel)
}

func (r *request) appendBatchTriggered() {
	asked := false
	for i := range r.events {
		asked = asked || r.events[i].wantsAnswer()
	}
	if !asked {
		r.out = append(r.out, `{"batch":{}}`...)
		return
	}
	r.out = append(r.out, `{"batch":[`...)
	r.lookAtChannels()
	for i := range r.events {
		if i > 0 {
			r.out = append(r.out, ',')
		}
		r.out = appendOccupancy(r.out, r.events[i].attributes(), r.channels[i], r.occupancies[i])
	}
	r.out = append(r.out, "]}"...)
}
