package pusher

import (
	"resound/channels"
	"resound/frame"
)

// Reactor is what a Shard needs of the event loop it runs on. Owned by one
// goroutine, the same that calls the Shard.
type Reactor interface {
	// Send queues whole frames that do not change until written; SendCopy
	// copies them first. Both do nothing for a connection that is not open.
	Send(conn int32, frame []byte)
	SendCopy(conn int32, frame []byte)

	// Close sends a close frame and calls OnClosed before it returns.
	Close(conn int32, code int, reason string)

	// Deflates reports whether conn takes compressed frames.
	Deflates(conn int32) bool

	SetReadLimit(conn int32, bytes uint32)
	SetDeadline(conn int32, at uint32)

	// Now is a coarse clock in seconds from an arbitrary start.
	Now() uint32
}

// walkStep is how many subscribers of a channel one call of OnMail serves. The
// reactor does other work between calls.
const walkStep = 4096

// Shard is one reactor's part of a node: the sessions of its connections, their
// subscriptions, and the delivery of what arrives in its mailbox. Owned by one
// reactor.
type Shard struct {
	node    *Node
	reactor Reactor
	index   int

	sessions []*[sessionBlock]session // by connection, in blocks that never move
	openedAt []*[sessionBlock]uint32  // second of Reactor.Now, by connection
	apps     map[*App]*appShard

	walk      walk
	scratch   []byte // the frame being encoded
	heldBytes int    // client events of all sessions, see maxHeldBytes
}

// walk is a delivery under way; it may take several calls of OnMail.
type walk struct {
	of       *Publication // first of the run; nil between deliveries
	run      int          // publications put together
	tally    *tally
	registry *channels.Registry
	frames   []byte
	deflated []byte // the same, compressed where that is shorter; nil until somebody takes it
	except   int32
}

// appShard is one app's part of a shard.
type appShard struct {
	app      *App
	registry *channels.Registry // channels
	signedIn *channels.Registry // by user id: connections signed in as the user
	watchers *channels.Registry // by user id: connections that watch for the user
	tally    *tally
	members  map[string]map[int32]int32 // user id -> connection -> presence channels joined with it
}

// audience returns the registry a publication is for.
func (a *appShard) audience(to audience) *channels.Registry {
	switch to {
	case toUser:
		return a.signedIn
	case toWatchers:
		return a.watchers
	}
	return a.registry
}

// Sessions lie in blocks, so that a million of them are few objects for the
// garbage collector, and a pointer to one stays valid. Blocks above 32 KB are
// whole pages, without the loss to the allocator's size classes.
const (
	sessionBits  = 10
	sessionBlock = 1 << sessionBits
)

// NewShard returns the part of the node that runs on one reactor. index is the
// reactor's place in the mailboxes given to Attach.
func (n *Node) NewShard(index int, r Reactor) *Shard {
	return &Shard{node: n, reactor: r, index: index, apps: make(map[*App]*appShard)}
}

func (s *Shard) session(conn int32) *session {
	return &s.sessions[conn>>sessionBits][conn&(sessionBlock-1)]
}

func (s *Shard) grow(conn int32) {
	for int(conn>>sessionBits) >= len(s.sessions) {
		s.sessions = append(s.sessions, new([sessionBlock]session))
		s.openedAt = append(s.openedAt, new([sessionBlock]uint32))
	}
}

func (s *Shard) appShard(a *App) *appShard {
	as, ok := s.apps[a]
	if !ok {
		as = &appShard{
			app:      a,
			tally:    a.tally(s.index),
			registry: channels.NewRegistry(func(conn int32) *channels.Subscriptions { return &s.session(conn).subscriptions }),
			signedIn: channels.NewRegistry(func(conn int32) *channels.Subscriptions { return &s.session(conn).user().self }),
			watchers: channels.NewRegistry(func(conn int32) *channels.Subscriptions { return &s.session(conn).user().watched }),
		}
		s.apps[a] = as
	}
	return as
}

// OnMail handles what was posted to the reactor, a run of publications for one
// channel at a time.
//
// When a delivery panicked, the reactor has given up its first publication. The
// others of its run may have reached some subscribers, so they are given up too:
// lost and counted is better than twice.
func (s *Shard) OnMail(batch []any) (finished int) {
	if s.walk.of != nil && s.walk.of != batch[0] {
		rest := min(s.walk.run-1, len(batch))
		s.walk = walk{}
		if rest > 0 {
			return rest
		}
	}
	switch item := batch[0].(type) {
	case *Publication:
		return s.deliver(item, batch)
	case *terminateUser:
		s.terminate(item)
	case *settled:
		s.settle(item)
	}
	return 1
}

// deliver sends a publication to the subscribers of its channel, together with
// those behind it that have the same ones.
func (s *Shard) deliver(p *Publication, batch []any) (finished int) {
	if s.walk.of != p {
		run := p.run(batch)
		as, ok := s.apps[p.app]
		if !ok {
			return run
		}
		registry := as.audience(p.audience)
		registry.Walk(p.name)
		s.walk = walk{of: p, run: run, tally: as.tally, registry: registry, frames: merged(batch[:run], (*Publication).plain), except: s.connOf(p.except)}
	}
	subscribers := s.walk.registry.Step(walkStep)
	sent, bytes := 0, 0
	// From the end to the start: a send may close the connection it is for.
	for i := subscribers.Len() - 1; i >= 0; i-- {
		if conn := subscribers.Conn(i); conn != s.walk.except && subscribers.Wants(i, p.seq) && subscribers.Joined(i, p.since) {
			if s.node.options.Compression && s.reactor.Deflates(conn) {
				bytes += s.sendDeflated(conn, batch)
			} else {
				s.reactor.Send(conn, s.walk.frames)
				bytes += len(s.walk.frames)
			}
			sent++
		}
	}
	s.walk.tally.send(sent*s.walk.run, bytes)
	if subscribers.Len() == walkStep {
		return 0
	}
	run := s.walk.run
	s.walk = walk{}
	return run
}

// sendDeflated sends the publications under way, the first of batch, compressed.
func (s *Shard) sendDeflated(conn int32, batch []any) (bytes int) {
	if s.walk.deflated == nil {
		s.walk.deflated = merged(batch[:s.walk.run], (*Publication).deflate)
	}
	s.reactor.Send(conn, s.walk.deflated)
	return len(s.walk.deflated)
}

// connOf returns the connection that has an id, or -1 when it is not open here.
func (s *Shard) connOf(id SocketID) int32 {
	conn := id.conn()
	if id.IsZero() || id.reactor() != s.index || int(conn>>sessionBits) >= len(s.sessions) {
		return -1
	}
	if ss := s.session(conn); ss.app == nil || ss.nonce() != id.nonce {
		return -1
	}
	return conn
}

// terminate closes the connections that are signed in as a user, or on which
// the user is a presence member.
func (s *Shard) terminate(t *terminateUser) {
	as, ok := s.apps[t.app]
	if !ok {
		return
	}
	for conn := range as.members[t.userID] {
		s.fail(conn, ErrTerminated)
	}
	as.signedIn.Walk(t.userID)
	for {
		left := as.signedIn.Step(walkStep)
		for i := left.Len() - 1; i >= 0; i-- {
			s.fail(left.Conn(i), ErrTerminated)
		}
		if left.Len() < walkStep {
			return
		}
	}
}

// send queues a text frame with the payload that encode appends.
func (s *Shard) send(conn int32, encode func(dst []byte) []byte) {
	var room [frame.HeaderRoom]byte
	s.scratch = encode(append(s.scratch[:0], room[:]...))
	sealed := frame.Seal(s.scratch)
	s.sending(conn, len(sealed))
	s.reactor.SendCopy(conn, sealed)
	if cap(s.scratch) > maxScratchBytes {
		s.scratch = nil
	}
}

// sendFrame queues a text frame that does not change.
func (s *Shard) sendFrame(conn int32, frame []byte) {
	s.sending(conn, len(frame))
	s.reactor.Send(conn, frame)
}

// sending counts a message for conn. It comes before the message is sent, which
// may close the connection.
func (s *Shard) sending(conn int32, bytes int) {
	if as := s.session(conn).app; as != nil {
		as.tally.send(1, bytes)
	}
}

// maxScratchBytes is what a shard keeps of a large frame's memory.
const maxScratchBytes = 64 << 10

// sendError tells conn what it did wrong and leaves it open.
func (s *Shard) sendError(conn int32, e *Error) {
	if as := s.session(conn).app; as != nil {
		as.tally.errors.add(e.Code)
	}
	s.send(conn, func(dst []byte) []byte { return appendError(dst, e) })
}

// fail tells conn what is wrong and closes it with the error's code.
//
// Departs: Reverb leaves refused connections open and usable, and never uses
// 4xxx as a close code.
func (s *Shard) fail(conn int32, e *Error) {
	s.sendError(conn, e)
	s.reactor.Close(conn, e.Code, e.Message)
}
