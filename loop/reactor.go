package loop

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"resound/channels/slab"
	"resound/frame"
)

const (
	// flushSlice is how many connections a turn writes to before other I/O.
	flushSlice = 256

	// mailSlice is how many frames a turn queues before it begins to write.
	mailSlice = 8192

	// mailItems is how many posted items a turn handles at most, for those that
	// queue nothing.
	mailItems = 1024

	// trafficSlice is how many connections have a turn, or end, before what is
	// posted has one. gnet passes on up to 1,024 events in a row: in a storm of
	// handshakes the mail would wait 40 ms for its own among them.
	trafficSlice = 32

	// maxQueued is how many frames may wait in all lists of a reactor before it
	// writes first and takes mail later. What exceeds it stays in the mailbox,
	// whose length publishers look at.
	maxQueued = 1 << 18

	// closeTimeout is how long a connection may linger after the server's close
	// frame, in seconds. The peer's answer and what it still had under way is
	// read and dropped meanwhile: closing at once would make the kernel reset the
	// connection, and the peer would never see the code.
	//
	// RFC 6455 section 7.1.1.
	closeTimeout = 5

	never = ^uint32(0)
)

type stage uint8

const (
	opening stage = iota // waiting for a handshake
	open
	closing // close frame or refusal queued; the handler is done with it
	shut    // closing, and the peer is told that nothing follows
)

// connBits makes blocks of connections whole pages; see slab.Slab.
const connBits = 10

// conn is one TCP connection with its WebSocket. Owned by its reactor. It is
// kept small, as there may be a million; what few connections need is in maps of
// the reactor.
type conn struct {
	reactor *Reactor
	tcp     gnet.Conn
	out     list
	handle  int32
	grace   int32 // bytes that may wait beyond MaxOutboundBytes: the rest of one large write
	need    int32 // bytes the frame at the front is known to take, 0 unknown; when closing, the second it ends

	maxMessageBytes uint32
	stage           stage
	dirty           bool // in the queue of connections to flush
	doomed          bool // to be closed when its turn ends
	marks           mark
}

// mark is something that a connection is or has.
type mark uint8

const (
	fragmented mark = 1 << iota // inside a fragmented message: its reader is in Reactor.readers
	deflates                    // compressed frames were negotiated
	expectant                   // a PROXY header comes first, or may
	proxied                     // a PROXY header came
	told                        // a proxy told the client's address: it is in Reactor.clients
	held                        // counts for the address in Reactor.clients
	tooMany                     // its address has too many: to be told so
)

// Reactor is one event loop and all it owns. Its methods, those said to be safe
// for concurrent use excepted, may be called only on the reactor, that is from its
// Handler or a visit.
type Reactor struct {
	index   int
	engine  *Engine
	handler Handler
	mailbox *mailbox

	loop  gnet.EventLoop // bound when its first connection opens
	peer  peerFields     // of the connections of loop
	conns slab.Slab[conn]

	// deadlines holds for each handle the second at which a sweep must look
	// at it. It is apart from conn so that a sweep over a million of them reads
	// four megabytes in a row.
	deadlines []uint32
	now       uint32 // seconds since the engine was made, as of the last tick

	plain   []byte // scratch: what was decrypted in this turn
	records []byte // scratch: what is encrypted for one write

	readers map[int32]frame.Reader // by handle, of connections inside a fragmented message
	clients clients

	out       outbound
	queued    uint64        // frames ever queued, to measure a turn by
	mail      []any         // taken from the mailbox, being handled
	mailAt    int           // items of mail finished
	mailSince time.Time     // when the first item of mail was posted
	late      bucket        // handshakes taken though the reactor is late
	visitAt   int           // the next visit in mail at or behind mailAt, or its end; below mailAt when not known
	current   *conn         // whose turn it is
	onMail    bool          // it is the turn of what was posted
	pinned    pinned        // bytes of finished mail that lists may still hold
	events    int           // turns and ends of connections since the last such turn
	request   frame.Request // scratch: the handshake being accepted
	drained   int32         // handles below it were told to go

	// What must not wait behind the mail: a sweep that is due, and how far a
	// drain has come. Set by anyone, taken by the reactor.
	ticking  atomic.Bool
	tickedAt atomic.Int64 // Unix nanoseconds
	draining atomic.Pointer[drain]

	// bound is set once the reactor has an event loop. Until then it has no
	// connection, and nobody would take its mail.
	bound atomic.Bool

	faults faultLog
	owner  owner
	stats  counters
}

// Index is the reactor's number, 0 up to Options.Reactors.
func (r *Reactor) Index() int { return r.index }

// Now is the time in whole seconds since the engine was made, at most a tick old.
func (r *Reactor) Now() uint32 { return r.now }

// Post hands item to the handler's OnMail. Items posted by one goroutine arrive
// in order. A reactor that never had a connection drops it: there is nobody it
// could concern. Safe for concurrent use; it never blocks on the reactor.
func (r *Reactor) Post(item any) {
	if r.bound.Load() {
		r.mailbox.post(item)
	}
}

// Pending is the number of posted items that OnMail has not finished, and one
// more while a sweep is due. Safe for concurrent use.
func (r *Reactor) Pending() int {
	n := int(r.mailbox.pending.Load())
	if r.bound.Load() && r.ticking.Load() {
		n++
	}
	return n
}

// PendingBytes is the memory of posted items, see Sized, until what they queued is
// written or left to the kernel: an upper bound. Safe for concurrent use.
func (r *Reactor) PendingBytes() int64 { return r.mailbox.bytes.Load() }

// Send queues one or more whole frames for conn. They are written when the turn
// ends, together with whatever else waits for it. frame must not change until
// then: share it among as many connections as you like. Frames for a connection
// that is not open are dropped.
func (r *Reactor) Send(conn int32, frame []byte) {
	r.owner.assert()
	c := r.conns.At(conn)
	if c.stage == open {
		r.queue(c, frame)
	}
}

// SendCopy is Send for a frame in memory that the caller wants back.
func (r *Reactor) SendCopy(conn int32, frame []byte) {
	r.owner.assert()
	c := r.conns.At(conn)
	if c.stage == open {
		r.queue(c, r.out.keep(frame))
	}
}

func (r *Reactor) queue(c *conn, frame []byte) {
	if c.out != 0 && r.out.bytes(c.out)+len(frame) > r.engine.options.MaxOutboundBytes {
		// The list may be long because this reactor is late, not the peer: only
		// what the kernel then refuses counts against the connection.
		r.flush(c)
		if c.gone() || c.stage != open {
			return
		}
	}
	r.out.push(&c.out, frame)
	r.queued++
	if !c.dirty {
		c.dirty = true
		r.out.pushDirty(c.handle)
	}
}

// SetReadLimit sets the longest message conn may send, in bytes. It is 0 before.
func (r *Reactor) SetReadLimit(conn int32, bytes uint32) {
	r.conns.At(conn).maxMessageBytes = bytes
}

// Deflates reports whether conn takes compressed frames.
func (r *Reactor) Deflates(conn int32) bool { return r.conns.At(conn).marks&deflates != 0 }

// SetDeadline asks for OnDeadline once Now reaches at, replacing any earlier
// wish. O(1): a sweep finds it. On a connection that is not open it does nothing:
// the deadline of one that is closing is the reactor's.
func (r *Reactor) SetDeadline(conn int32, at uint32) {
	r.owner.assert()
	if r.conns.At(conn).stage == open {
		r.deadlines[conn] = at
	}
}

// ClientAddr is the client's address: as a trusted proxy told it, else the peer's,
// for which the kernel is asked. It is the zero value when nobody knows.
func (r *Reactor) ClientAddr(conn int32) netip.AddrPort {
	c := r.conns.At(conn)
	if c.marks&told != 0 {
		return r.clients.at(conn)
	}
	return addrPort(remoteAddr(c.tcp))
}

// OutboundBytes is what waits to be written to conn, in bytes.
func (r *Reactor) OutboundBytes(conn int32) int {
	c := r.conns.At(conn)
	return r.out.bytes(c.out) + c.tcp.OutboundBuffered()
}

// Close sends a close frame after what is queued, then closes the connection
// once the peer has, or after a few seconds. OnClosed is called before Close
// returns. Closing a connection that is not open does nothing. Closes are counted
// by code and reason: reason is kept, and should be one of few.
func (r *Reactor) Close(conn int32, code int, reason string) {
	r.owner.assert()
	c := r.conns.At(conn)
	if c.stage == open {
		r.closeWith(c, code, reason)
	}
}

func (r *Reactor) closeWith(c *conn, code int, reason string) {
	var buf [128]byte
	r.out.push(&c.out, r.out.keep(frame.AppendClose(buf[:0], code, reason)))
	r.stats.closed(code, reason)
	r.linger(c)
}

// linger writes what is queued and lets the connection end by itself.
func (r *Reactor) linger(c *conn) {
	r.leave(c)
	r.flush(c)
	if !c.gone() && !c.doomed {
		r.shut(c)
	}
}

// leave takes c from its handler; what is left of it is the end of its TCP
// connection.
func (r *Reactor) leave(c *conn) {
	wasOpen := c.stage == open
	c.stage = closing
	c.need = int32(r.now + closeTimeout)
	r.deadlines[c.handle] = r.now + 1
	if wasOpen {
		r.stats.connections.Add(-1)
		r.dismiss(c.handle)
	}
}

// dismiss tells the handler that a connection is closed. A panic there must keep
// neither this connection from being closed nor its caller from going on: the
// caller may be writing to many others.
func (r *Reactor) dismiss(h int32) {
	defer func() {
		if p := recover(); p != nil {
			r.fault(p)
		}
	}()
	r.handler.OnClosed(h)
}

// shut tells the peer that nothing follows, once everything is out.
func (r *Reactor) shut(c *conn) {
	if c.virtual() {
		r.destroy(c) // nobody answers, and the stream keeps what it has
		return
	}
	if s := c.secure(); s != nil && c.stage == closing {
		if s.notify(); c.gone() {
			return
		}
	}
	if c.stage == closing && c.tcp.OutboundBuffered() == 0 {
		c.stage = shut
		_ = unix.Shutdown(c.tcp.Fd(), unix.SHUT_WR)
		r.deadlines[c.handle] = uint32(c.need)
	}
}

// gone reports whether c was closed, by a write that failed for example, while
// its caller still held it.
func (c *conn) gone() bool { return c.reactor == nil }

// virtual reports whether c is the connection of a Virtual.
func (c *conn) virtual() bool { return c.tcp.Fd() < 0 }

// destroy closes the TCP connection without another word.
func (r *Reactor) destroy(c *conn) {
	if r.current == c {
		c.doomed = true // it is closed when its turn ends
		return
	}
	if c.virtual() {
		r.onClosed(c)
		return
	}
	_ = r.loop.Close(c.socket())
}

// flush writes everything queued for c. The connection may be gone afterwards.
func (r *Reactor) flush(c *conn) {
	if c.out == 0 {
		return
	}
	if c.doomed {
		r.out.drop(&c.out)
		return
	}
	if waiting := c.tcp.OutboundBuffered(); waiting > 0 {
		if waiting > r.engine.options.MaxOutboundBytes+int(c.grace) {
			r.overflow(c)
			return
		}
		// The kernel has no room; gnet writes on when it has.
		_, _ = c.tcp.Write(r.out.gather(&c.out))
		return
	}
	data, fd := r.out.gather(&c.out), c.tcp.Fd()
	if fd < 0 {
		c.grace = 0
		if len(data) > r.engine.options.MaxOutboundBytes {
			c.grace = int32(len(data)) // as for a socket, below
		}
		_, _ = c.tcp.Write(data)
		return
	}
	if s := c.secure(); s != nil {
		var err error
		if data, err = s.encrypt(data); err != nil {
			r.broke(c)
			return
		}
	}
	n, err := writeNow(fd, data)
	r.stats.written(len(data))
	if n == len(data) {
		return
	}
	if err != nil {
		r.broke(c)
		return
	}
	// What one write brings may be larger than all that may wait, a large roster
	// for example. That alone makes no slow reader; what comes on top of it counts.
	c.grace = int32(len(data) - n)
	_, _ = c.socket().Write(data[n:])
}

// broke takes leave of a connection that cannot be written to. The event loop is
// about to be told of it and closes it then; closing it here would do so under
// the feet of whoever is sending, and of the event.
func (r *Reactor) broke(c *conn) {
	r.stats.broken.Add(1)
	if c.stage == open {
		r.stats.closed(frame.CloseAbnormal, connectionLost)
	}
	r.leave(c)
	r.out.drop(&c.out)
	c.stage = shut
	c.need = int32(r.now) // for the next sweep, should the event not come
	if r.current == c {
		c.doomed = true
	}
}

// overflow closes a connection that does not read. The close frame is queued
// behind the rest, for the case that the peer wakes up within closeTimeout.
func (r *Reactor) overflow(c *conn) {
	r.out.drop(&c.out)
	if c.stage != open {
		return
	}
	o := &r.engine.options
	r.stats.slow.Add(1)
	r.stats.closed(o.SlowCode, o.SlowReason)
	r.leave(c)
	_, _ = c.tcp.Write(frame.AppendClose(nil, o.SlowCode, o.SlowReason))
	if c.virtual() {
		r.destroy(c)
	}
}

// onBell is the turn that posted items get: what may not wait, some mail, some
// writes, then whatever I/O is ready, and on from there in the next turn.
func (r *Reactor) onBell() {
	r.owner.assert()
	r.onMail, r.events = true, 0
	defer func() {
		if p := recover(); p != nil {
			r.fault(p)
			r.mailbox.again()
		}
		r.onMail = false
	}()
	// First of all: what asks for a turn from here on rings again. A sweep that comes
	// due behind the last one and before the mail is taken would wait for ever.
	r.mailbox.heard()
	if r.ticking.Load() {
		r.sweep()
	}
	if d := r.draining.Swap(nil); d != nil {
		d.run(r)
	}
	if r.mailAt == len(r.mail) {
		if cap(r.mail) > keepNodes {
			r.mail = nil
		}
		r.mail, r.mailSince = r.mailbox.take(r.mail)
		r.mailAt, r.visitAt = 0, -1
	}
	start, handled := r.queued, 0
	for r.mailAt < len(r.mail) && handled < mailItems && r.queued-start < mailSlice && r.out.used < maxQueued {
		n := r.handleMail()
		r.pinned.young += bytesOf(r.mail[r.mailAt : r.mailAt+n]...)
		clear(r.mail[r.mailAt : r.mailAt+n])
		r.mailAt += n
		handled += max(1, n)
		r.mailbox.finished(n)
	}
	r.flushSome()
	r.mailbox.bytes.Add(-r.pinned.release(&r.out))
	r.mailbox.rest(r.out.count > 0 || r.mailAt < len(r.mail))
}

// interlude gives what is posted a turn between those of connections, when it has
// waited for many. The bell then rings for little or nothing.
func (r *Reactor) interlude() {
	if r.current != nil || r.onMail {
		return // a connection that another's turn closed
	}
	if r.events++; r.events >= trafficSlice {
		r.events = 0
		if r.mailbox.waits() {
			r.onBell()
		}
	}
}

// handleMail passes mail on and answers how many items are done with. An item
// whose handling panics counts as done.
func (r *Reactor) handleMail() (finished int) {
	defer func() {
		if p := recover(); p != nil {
			r.fault(p)
			finished = 1
		}
	}()
	// Each item is looked at once, however many calls a batch takes.
	if r.visitAt < r.mailAt {
		r.visitAt = r.mailAt
		for r.visitAt < len(r.mail) && !isVisit(r.mail[r.visitAt]) {
			r.visitAt++
		}
	}
	if r.visitAt == r.mailAt {
		r.mail[r.mailAt].(visit)()
		return 1
	}
	return r.handler.OnMail(r.mail[r.mailAt:r.visitAt])
}

// isVisit reports whether an item is for the reactor rather than its handler.
func isVisit(item any) bool {
	_, ok := item.(visit)
	return ok
}

func (r *Reactor) flushSome() {
	for range flushSlice {
		if r.out.count == 0 {
			return
		}
		c := r.conns.At(r.out.popDirty())
		c.dirty = false
		if !c.gone() {
			r.flush(c)
		}
	}
}
