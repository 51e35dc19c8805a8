package loop

import (
	"bytes"

	"github.com/panjf2000/gnet/v2"

	"resound/frame"
)

// onOpen takes a new connection into the reactor, or one that back brings back
// from HTTP. It answers whether it is to be closed.
func (r *Reactor) onOpen(g gnet.Conn, back *returned) (done bool) {
	c := r.adopt(g)
	r.deadlines[c.handle] = r.now + r.engine.handshakeSeconds
	g.SetContext(c)
	r.stats.sockets.Add(1)
	if back != nil {
		r.takeBack(c, back)
		return r.resume(c, back)
	}
	expects := r.engine.edge.Load().ProxyProtocol != ProxyOff
	if expects {
		c.marks |= expectant
	}
	// Who may speak for another counts as that one, once it has spoken.
	if (!expects || !r.believed(c)) && !r.count(c) {
		return true
	}
	if !expects {
		r.beginTLS(c)
	}
	return false
}

// count counts a connection for the address it comes from. It answers false when
// there is no way to tell it that its address has too many, and it is to be closed.
func (r *Reactor) count(c *conn) bool {
	return r.enter(c, r.directAddr(c)) && (c.marks&tooMany == 0 || !r.engine.speaksTLS(c.tcp))
}

// beginTLS puts TLS before a connection on a port that speaks it.
func (r *Reactor) beginTLS(c *conn) {
	if r.engine.speaksTLS(c.tcp) {
		c.tcp = newSecure(r, c.tcp)
	}
}

// adopt makes a connection of a socket, or of what stands for one.
func (r *Reactor) adopt(g gnet.Conn) *conn {
	h := r.conns.Alloc()
	c := r.conns.At(h)
	*c = conn{reactor: r, tcp: g, handle: h}
	for int(h) >= len(r.deadlines) {
		r.deadlines = append(r.deadlines, never)
	}
	r.deadlines[h] = never
	return c
}

// establish says that a connection is open.
func (r *Reactor) establish(c *conn) {
	c.stage = open
	r.deadlines[c.handle] = never
	r.stats.connections.Add(1)
	r.stats.opened.Add(1)
}

// onClosed forgets a connection that gnet is closing, or a virtual one.
func (r *Reactor) onClosed(c *conn) {
	wasOpen := c.stage == open
	r.out.drop(&c.out)
	// From here on nothing may be written: the descriptor's number is about to
	// belong to somebody else.
	c.stage = shut
	if wasOpen {
		r.stats.connections.Add(-1)
		r.stats.closed(frame.CloseAbnormal, connectionLost)
		r.dismiss(c.handle)
	}
	r.release(c)
	if s := c.secure(); s != nil {
		s.wire.end()
	}
	c.tcp.SetContext(nil)
	r.deadlines[c.handle] = never
	if !c.virtual() {
		r.stats.sockets.Add(-1)
	}
	if c.marks&fragmented != 0 {
		delete(r.readers, c.handle)
	}
	r.conns.Free(c.handle)
}

// onTraffic is the turn of a connection that received bytes. It answers whether
// the connection is to be closed.
func (r *Reactor) onTraffic(c *conn) (done bool) {
	return r.turn(c, func() {
		if c.marks&expectant != 0 && !r.readProxyHeader(c) {
			return
		}
		if s := c.secure(); s != nil && c.stage < closing && !s.receive(c) {
			return
		}
		r.read(c)
	})
}

// turn calls f for c and answers whether the connection is to be closed.
func (r *Reactor) turn(c *conn, f func()) (done bool) {
	r.current = c
	defer func() {
		if p := recover(); p != nil {
			r.recovered(c, p)
			done = c.doomed
		}
		r.current = nil
	}()
	f()
	return c.doomed
}

// read handles what c received.
func (r *Reactor) read(c *conn) {
	if c.stage == opening && !r.handshake(c) {
		c.endTurn()
		return
	}
	for c.stage == open && !c.doomed && r.readFrame(c) {
	}
	if c.gone() {
		return
	}
	if c.stage >= closing {
		_, _ = c.tcp.Discard(-1)
	}
	r.flush(c)
	c.endTurn()
}

// endTurn keeps what is left of the plaintext, and closes a connection from
// which nothing more can be read.
func (c *conn) endTurn() {
	s := c.secure()
	if s == nil {
		return
	}
	s.settle()
	c.doomed = c.doomed || s.ended
}

// resume is the first turn of a connection that came back from HTTP with the
// head of a handshake. It answers whether the connection is to be closed.
func (r *Reactor) resume(c *conn, back *returned) (done bool) {
	return r.turn(c, func() {
		if s := back.secure; s != nil {
			s.back(c.socket())
			c.tcp = s
		}
		if !r.accept(c, back.head) {
			return
		}
		if s := back.secure; s != nil {
			if s.decrypt(c); !c.gone() {
				r.read(c)
			}
			return
		}
		r.flush(c)
	})
}

// recovered closes the connection whose turn panicked, and no other.
func (r *Reactor) recovered(c *conn, p any) {
	r.fault(p)
	switch {
	case c.gone():
	case c.stage == open:
		_, _ = c.tcp.Discard(-1)
		r.closeWith(c, r.engine.options.FaultCode, r.engine.options.FaultReason)
	default:
		r.destroy(c)
	}
}

// handshake reads the opening handshake. ok is true once the connection is open.
func (r *Reactor) handshake(c *conn) (ok bool) {
	view, _ := c.tcp.Peek(-1)
	want := r.engine.request
	if n := min(len(view), len(want)); !bytes.Equal(view[:n], want[:n]) {
		r.handOver(c, view)
		return false
	} else if n < len(want) {
		return false
	}
	if ours, known := r.engine.isOurs(view[len(want):min(len(view), frame.MaxHeadBytes)]); known && !ours {
		r.handOver(c, view)
		return false
	}
	n := frame.HeadLen(view[:min(len(view), frame.MaxHeadBytes)])
	if n == 0 {
		if len(view) >= frame.MaxHeadBytes {
			r.reject(c, frame.RejectTooLarge)
		}
		return false
	}
	if !r.accept(c, view[:n]) {
		return false
	}
	if invariants {
		spoil(view[:n])
	}
	// What followed the handshake in the same segment is the first frame.
	_, _ = c.tcp.Discard(n)
	return c.stage == open
}

// accept answers a complete handshake. ok is false when it was refused, or the
// connection is gone.
func (r *Reactor) accept(c *conn, head []byte) (ok bool) {
	var rejection *frame.Rejection
	r.request, rejection = frame.ParseRequest(head)
	defer func() { r.request = frame.Request{} }() // views of head
	if rejection == nil && r.engine.draining.Load() {
		rejection = frame.RejectUnavailable
	}
	if rejection != nil {
		r.reject(c, rejection)
		return false
	}
	if !r.admits() || !r.identify(c) {
		r.putOff(c)
		return false
	}
	if !r.engine.options.Compression {
		r.request.DropOffers()
	}
	if r.request.Deflates() {
		c.marks |= deflates
	}
	var buf [384]byte
	r.peer.forget(c.socket())
	r.establish(c)
	r.SendCopy(c.handle, frame.AppendAccept(buf[:0], &r.request))
	r.handler.OnOpen(c.handle, &r.request)
	return !c.gone()
}

// reject answers a failed handshake with HTTP and lets the connection end.
func (r *Reactor) reject(c *conn, rejection *frame.Rejection) {
	r.stats.rejected.Add(1)
	_, _ = c.tcp.Discard(-1)
	r.out.push(&c.out, frame.AppendRejection(nil, rejection))
	r.linger(c)
}

// readFrame handles the frame at the front of what c received. It answers
// whether there may be another.
func (r *Reactor) readFrame(c *conn) (more bool) {
	have := c.tcp.InboundBuffered()
	if have == 0 || have < int(c.need) {
		return false
	}
	c.need = 0
	view, err := c.tcp.Peek(min(have, frame.MaxHeaderBytes))
	if err != nil {
		return false
	}
	reader := r.reader(c)
	h, ok, fail := reader.Header(view)
	if fail != nil {
		r.fail(c, fail)
		return false
	}
	if !ok {
		return false
	}
	if have < h.Total {
		c.need = int32(h.Total)
		return false
	}
	view, err = c.tcp.Peek(h.Total)
	if err != nil {
		return false
	}
	event, fail := reader.Frame(h, view[h.Size:h.Total])
	r.keepReader(c, &reader)
	if fail != nil {
		r.fail(c, fail)
		return false
	}
	r.onEvent(c, event)
	if c.gone() {
		return false
	}
	if invariants {
		spoil(view[:h.Total])
	}
	_, _ = c.tcp.Discard(h.Total)
	return true
}

// spoil overwrites bytes that are nobody's any more.
func spoil(view []byte) {
	for i := range view {
		view[i] = 0xdb
	}
}

// reader returns what reads the next frame of c.
func (r *Reactor) reader(c *conn) (reader frame.Reader) {
	if c.marks&fragmented != 0 {
		reader = r.readers[c.handle]
	}
	reader.MaxMessageBytes, reader.Deflates = c.maxMessageBytes, c.marks&deflates != 0
	return reader
}

// keepReader keeps the reader of c while a fragmented message is under way.
func (r *Reactor) keepReader(c *conn, reader *frame.Reader) {
	was := c.marks&fragmented != 0
	c.marks &^= fragmented
	switch {
	case reader.Fragmented():
		c.marks |= fragmented
		r.readers[c.handle] = *reader
	case was:
		delete(r.readers, c.handle)
	}
}

func (r *Reactor) onEvent(c *conn, e frame.Event) {
	switch e.Kind {
	case frame.Message:
		r.stats.messages.Add(1)
		r.handler.OnMessage(c.handle, e.Text, e.Payload)
	case frame.Ping:
		var buf [frame.MaxHeaderBytes + 125]byte
		r.SendCopy(c.handle, frame.AppendPong(buf[:0], e.Payload))
		r.handler.OnControl(c.handle)
	case frame.Pong:
		r.handler.OnControl(c.handle)
	case frame.Close:
		r.answerClose(c, e)
	}
}

// answerClose echoes the peer's close frame and closes the connection: the
// server goes first. What the peer has not read yet reaches it before.
//
// RFC 6455 sections 5.5.1 and 7.1.1.
func (r *Reactor) answerClose(c *conn, e frame.Event) {
	var buf [128]byte
	r.SendCopy(c.handle, frame.AppendClose(buf[:0], e.Code, string(e.Payload)))
	r.stats.closed(e.Code, closedByPeer)
	r.leave(c)
	r.flush(c)
	if !c.gone() && !c.doomed && c.tcp.OutboundBuffered() > 0 {
		r.shut(c)
		return
	}
	r.destroy(c)
}

// fail closes a connection that broke the protocol.
//
// RFC 6455 section 7.1.7.
func (r *Reactor) fail(c *conn, e *frame.CloseError) {
	_, _ = c.tcp.Discard(-1)
	r.closeWith(c, e.Code, e.Reason)
}
