package pusher

// Client events that come while their subscription waits for the cluster are held
// until it is answered. Others hear of a member before they hear from it, as on a
// node alone, which answers at once.

const (
	// maxHeldEvents bounds what is held of a connection, maxHeldBytes what is held on
	// a reactor; the last event may pass it. Stock clients send nothing before the
	// answer: who does cannot fill the memory while the cluster is slow.
	maxHeldEvents = 16
	maxHeldBytes  = 4 << 20

	heldEventBytes = 128 // of one, beside its strings
)

// heldEvent is a client event that is held. It owns its strings.
type heldEvent struct {
	event Event
	name  string // plain
}

func (h *heldEvent) bytes() int {
	return heldEventBytes + len(h.event.Channel) + len(h.event.Name) + len(h.event.Data) + len(h.name)
}

// hold keeps an event of a connection whose subscription waits, or refuses it.
func (s *Shard) hold(conn int32, ss *session, e *Event, name string) {
	x := ss.more()
	if len(x.held) >= maxHeldEvents || s.heldBytes >= maxHeldBytes {
		s.sendError(conn, ErrOverload)
		return
	}
	h := heldEvent{event: *e, name: cloned(name)}
	h.event.Channel, h.event.Name, h.event.Data = cloned(e.Channel), cloned(e.Name), cloned(e.Data)
	s.heldBytes += h.bytes()
	x.held = append(x.held, h)
}

// takeHeld returns what is held of a connection for a channel, in order.
func (s *Shard) takeHeld(ss *session, channel string) (taken []heldEvent) {
	if ss.extra == nil || len(ss.extra.held) == 0 {
		return nil
	}
	var left []heldEvent
	for _, h := range ss.extra.held {
		if h.event.Channel == channel {
			taken = append(taken, h)
			s.heldBytes -= h.bytes()
		} else {
			left = append(left, h)
		}
	}
	ss.extra.held = left
	return taken
}

// dropHeld forgets what is held of a connection that closes.
func (s *Shard) dropHeld(ss *session) {
	if ss.extra == nil {
		return
	}
	for i := range ss.extra.held {
		s.heldBytes -= ss.extra.held[i].bytes()
	}
	ss.extra.held = nil
}

// release relays what was held of a connection for a channel.
func (s *Shard) release(conn int32, ss *session, channel string) {
	s.relayHeld(conn, ss, s.takeHeld(ss, channel))
}

// relayHeld relays events that were held, or says that their sender is not
// subscribed any more.
func (s *Shard) relayHeld(conn int32, ss *session, held []heldEvent) {
	for i := range held {
		h := &held[i]
		switch {
		case ss.app == nil:
			return // it was closed when it was told something, as too slow
		case !ss.app.mayTalk(conn, h.event.Channel):
			s.sendError(conn, ErrNotMember)
		default:
			s.relay(conn, ss, &h.event, h.name)
		}
	}
}
