package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/panjf2000/gnet/v2"

	"resound/frame"
)

const (
	// recordHeader is the length of a TLS record's header, maxRecord that of a
	// record that is not encrypted yet.
	//
	// RFC 8446 section 5.1.
	recordHeader    = 5
	maxRecord       = 16<<10 + recordHeader
	recordHandshake = 0x16 // first byte of what a client says first
)

// secure stands between a socket and everything that speaks plaintext: the
// reactor reads from it and writes to it as it would with the socket.
//
// crypto/tls does the handshake on a goroutine of its own, because it keeps every
// error for ever and so cannot be interrupted; afterwards it is called on the
// reactor, and finding nothing to read is a temporary error, which it does not keep.
// A connection that turns out to speak HTTP is handed over with it. Owned by the
// reactor, apart from what the handshake shares.
type secure struct {
	gnet.Conn // the socket
	reactor   *Reactor
	tls       *tls.Conn // nil before the client's first record is there
	wire      wire

	plain    []byte // decrypted and not consumed
	borrowed bool   // plain is the reactor's memory, which is good for this turn
	ended    bool   // nothing more can be read, or is
	notified bool   // the peer was told that nothing follows
}

func newSecure(r *Reactor, g gnet.Conn) *secure {
	return &secure{Conn: g, reactor: r}
}

// secure is the TLS of c, or nil.
func (c *conn) secure() *secure {
	s, _ := c.tcp.(*secure)
	return s
}

// socket is the connection as the event loop knows it.
func (c *conn) socket() gnet.Conn {
	if s := c.secure(); s != nil {
		return s.Conn
	}
	return c.tcp
}

// Peek, Discard and InboundBuffered are the socket's for plaintext. A negative
// number drops what is not decrypted yet too: nothing can be read afterwards.
func (s *secure) Peek(n int) ([]byte, error) {
	if n > len(s.plain) {
		return nil, io.ErrShortBuffer
	}
	if n < 0 {
		n = len(s.plain)
	}
	return s.plain[:n], nil
}

// Discard drops n bytes.
func (s *secure) Discard(n int) (int, error) {
	if n < 0 {
		n = len(s.plain)
		s.plain, s.wire.in = nil, nil
		_, _ = s.Conn.Discard(-1)
		return n, nil
	}
	s.plain = s.plain[n:]
	return n, nil
}

// InboundBuffered is the number of bytes that Peek can return.
func (s *secure) InboundBuffered() int { return len(s.plain) }

// Write encrypts b and writes it to the socket, which buffers what the kernel
// does not take.
func (s *secure) Write(b []byte) (int, error) {
	records, err := s.encrypt(b)
	if err != nil {
		return 0, err
	}
	if _, err := s.Conn.Write(records); err != nil {
		return 0, err
	}
	return len(b), nil
}

// encrypt returns b as records, which are valid until the reactor encrypts again.
func (s *secure) encrypt(b []byte) (records []byte, err error) {
	s.wire.out = s.reactor.records[:0]
	_, err = s.tls.Write(b)
	return s.take(), err
}

// take returns what crypto/tls wrote.
func (s *secure) take() (records []byte) {
	records, s.wire.out = s.wire.out, nil
	if cap(records) <= keepRecords {
		s.reactor.records = records[:0]
	} else {
		s.reactor.records = nil
	}
	return records
}

// keepRecords is what a reactor keeps of a large write's memory.
const keepRecords = 256 << 10

// notify tells the peer that nothing follows. The connection may be gone afterwards.
//
// RFC 8446 section 6.1.
func (s *secure) notify() {
	if s.notified || s.wire.mode != looped {
		return
	}
	s.notified = true
	s.wire.out = s.reactor.records[:0]
	_ = s.tls.CloseWrite()
	if records := s.take(); len(records) > 0 {
		_, _ = s.Conn.Write(records)
	}
}

// receive takes in what came from the socket. ready is true when there may be
// plaintext to read.
func (s *secure) receive(c *conn) (ready bool) {
	if s.wire.mode == looped {
		s.decrypt(c)
		return !c.gone()
	}
	view, _ := s.Conn.Peek(-1)
	switch {
	case len(view) == 0:
	case s.tls == nil:
		if !s.begin(c, view) {
			return false // and the bytes stay where they are
		}
	case !s.wire.shake.feed(view):
		c.doomed = true
	}
	_, _ = s.Conn.Discard(-1)
	return false
}

// begin starts the handshake once the client's first record is there as a whole:
// a client that sends it byte by byte costs no goroutine. began is false when it
// is not, or never will be.
func (s *secure) begin(c *conn, view []byte) (began bool) {
	r := s.reactor
	if view[0] != recordHandshake {
		c.tcp = s.Conn // the answer has to be in the client's language
		r.reject(c, frame.RejectPlain)
		return false
	}
	if len(view) < recordHeader {
		return false
	}
	switch size := recordHeader + int(view[3])<<8 + int(view[4]); {
	case size > maxRecord:
		c.doomed = true
		return false
	case len(view) < size:
		return false
	}
	e := r.engine
	ok, dismissed := e.handshakes.begin()
	if dismissed {
		r.stats.tlsStalled.Add(1)
	}
	if !ok {
		e.refused.Add(1)
		c.doomed = true
		return false
	}
	shake := newShaking(e.handshakes, s.Conn.Fd(), view)
	s.wire.shake = shake
	s.tls = tls.Server(&s.wire, e.options.TLS)
	e.shakers.Go(func() {
		err := shake.run(s.handshake)
		r.Post(visit(func() { s.shaken(c, err) }))
	})
	return true
}

// handshake runs on a goroutine of its own.
func (s *secure) handshake() (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.reactor.fault(p)
			err = errors.New("panic")
		}
	}()
	return s.tls.Handshake()
}

// shaken is the first turn after the handshake.
func (s *secure) shaken(c *conn, err error) {
	r := s.reactor
	if c.tcp != gnet.Conn(s) || c.stage != opening {
		return // the connection is gone, and c may be another one
	}
	done := r.turn(c, func() {
		if errors.Is(err, errDismissed) {
			c.doomed = true // it has waited long enough
			return
		}
		if err != nil {
			r.stats.tlsFailed.Add(1)
			r.linger(c) // the alert is out
			return
		}
		r.stats.tlsShaken.Add(1)
		s.wire.loop()
		if s.decrypt(c); !c.gone() {
			r.read(c)
		}
	})
	if done {
		_ = r.loop.Close(s.Conn)
	}
}

// decrypt reads whatever is there. Answering, where TLS itself has to, may find the
// connection broken and gone.
func (s *secure) decrypt(c *conn) {
	view, _ := s.Conn.Peek(-1)
	if len(s.wire.in) == 0 {
		s.wire.in = view
	} else {
		s.wire.in = append(s.wire.in, view...) // what was left when the mode changed
	}
	into := s.plain
	if len(into) == 0 {
		into, s.borrowed = s.reactor.plain[:0], true
	}
	s.wire.out = s.reactor.records[:0]
	var err error
	for err == nil {
		into = slices.Grow(into, minPlain)
		var n int
		n, err = s.tls.Read(into[len(into):cap(into)])
		into = into[:len(into)+n]
	}
	s.plain = into
	if s.borrowed {
		s.reactor.plain = into[:0]
	}
	if !errors.Is(err, errNothing) {
		s.ended = true
	}
	s.wire.in = nil
	if len(view) > 0 {
		_, _ = s.Conn.Discard(-1)
	}
	// An alert, or the answer to a key update.
	if records := s.take(); len(records) > 0 {
		s.answer(c, records)
	}
}

// answer writes what TLS itself has to say. A client may ask for it without end and
// read nothing, while the limit of what the reactor queues is never looked at.
func (s *secure) answer(c *conn, records []byte) {
	if s.Conn.OutboundBuffered() > s.reactor.engine.options.MaxOutboundBytes+int(c.grace) {
		s.reactor.stats.slow.Add(1)
		s.ended = true
		return
	}
	_, _ = s.Conn.Write(records)
}

// minPlain is the room for which it is worth asking for the next record.
const minPlain = 1 << 10

// settle ends a turn: what is left of the plaintext moves to memory of its own.
func (s *secure) settle() {
	switch {
	case len(s.plain) == 0:
		s.plain = nil
	case s.borrowed:
		s.plain = slices.Clone(s.plain)
	}
	s.borrowed = false
	if cap(s.reactor.plain) > keepRecords {
		s.reactor.plain = nil
	}
}

// hand detaches s from the reactor; it reads from and writes to f from now on.
func (s *secure) hand(f *os.File) {
	// What is not decrypted yet must outlive the turn.
	s.wire.in = slices.Clone(s.wire.in)
	s.wire.mode, s.wire.file = handed, f
	s.plain, s.borrowed = nil, false
}

// back attaches s to a reactor again, by way of the connection g.
func (s *secure) back(g gnet.Conn) {
	s.Conn = g
	s.wire.mode, s.wire.file = looped, nil
}
