package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

const (
	// maxPendingEnds is how many statements that end something may wait in one
	// flusher: Redis is too slow for this node beyond it. The others are bounded by
	// what the node has: its channels and members, and what ended meanwhile.
	maxPendingEnds = 1 << 18

	maxBatchStatements = 8192 // taken at a time, but for those of one channel

	// Redis runs a pipeline in one go, and everybody else waits: nodes that state
	// everything again at the same time must get their answers within the timeout.
	maxPipelineStatements = 256

	maxCallStatements = 128 // in one call of stateScript, to keep it short
	maxCalls          = 64  // in one pipeline
)

const (
	opHold        = "h"
	opCountedHold = "c" // to stateScript
	opSeat        = "s"
	opUnseat      = "u"
)

type statement struct {
	op            string
	subscriptions int // hold
	counted       bool
	user          string         // seat, unseat
	member        cluster.Member // seat
}

// ends is 1 for a statement that ends a hold or a seat, else 0.
func (st *statement) ends() int {
	if st.op == opUnseat || st.op == opHold && st.subscriptions == 0 {
		return 1
	}
	return 0
}

// statements are those about one channel that wait, in their order.
type statements struct {
	channel cluster.Channel
	topic   uint32
	place   uint64 // among all that its flusher was given
	list    []statement
	hold    int // index of the last opHold in list, -1 for none
}

// add appends st. A hold takes the place of one that still waits, unless that
// would move the end of a hold before what was said in between. It returns by how
// much the number of ends has grown.
func (w *statements) add(st statement) (ends int) {
	if st.op == opHold && w.hold >= 0 {
		last := &w.list[w.hold]
		if w.hold == len(w.list)-1 || (last.subscriptions > 0) == (st.subscriptions > 0) {
			ends = st.ends() - last.ends()
			last.subscriptions = st.subscriptions
			last.counted = last.counted || st.counted
			return ends
		}
	}
	if st.op == opHold {
		w.hold = len(w.list)
	}
	w.list = append(w.list, st)
	return st.ends()
}

// flusher sends the statements of every fourth bucket, one pipeline at a time: a
// channel's statements keep their order, and what comes meanwhile is one batch.
type flusher struct {
	adapter *Adapter

	mu       sync.Mutex
	changed  sync.Cond // on mu
	pending  map[cluster.Channel]*statements
	order    []*statements                   // values of pending as they came
	sent     map[cluster.Channel]*statements // those of the batch under way
	given    uint64                          // the last place
	heard    uint64                          // everything up to this place was answered
	awaited  uint64                          // the bus waits for places up to this one
	ends     int                             // statements among them that end something
	overflow bool
	busy     bool   // a batch is under way
	taken    int    // channels of that batch
	last     uint64 // the last place of that batch
	again    int    // channels that are left of those that were stated again
}

func (f *flusher) init(a *Adapter) {
	f.adapter = a
	f.changed.L = &f.mu
	f.pending = make(map[cluster.Channel]*statements)
}

func (f *flusher) put(c cluster.Channel, topic uint32, st statement) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.adapter.accepting.Load() {
		return
	}
	w, ok := f.pending[c]
	if !ok {
		f.given++
		w = &statements{channel: c, topic: topic, place: f.given, hold: -1}
		f.pending[c] = w
		f.order = append(f.order, w)
	}
	f.ends += w.add(st)
	f.overflow = f.overflow || f.ends > maxPendingEnds
	f.changed.Broadcast()
}

// clear forgets what waits.
func (f *flusher) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = make(map[cluster.Channel]*statements)
	f.order, f.ends, f.overflow = nil, 0, false
	f.again = 0
	f.sent, f.heard, f.awaited = nil, f.given, 0
}

// after returns the place of what was stated of a channel and not answered yet, 0
// when there is nothing. The bus is woken when heard comes nearer to it.
func (f *flusher) after(c cluster.Channel) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.pending[c]
	if w == nil {
		w = f.sent[c]
	}
	if w == nil {
		return 0
	}
	f.awaited = max(f.awaited, w.place)
	return w.place
}

// heardUpTo returns the place up to which everything was answered.
func (f *flusher) heardUpTo() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.heard
}

// batchHeard notes that the batch under way was answered. f.mu is held.
func (f *flusher) batchHeard() {
	f.busy, f.sent = false, nil
	f.again = max(f.again-f.taken, 0)
	f.heard = max(f.heard, f.last)
	if f.awaited > 0 {
		if f.heard >= f.awaited {
			f.awaited = 0
		}
		f.adapter.bus.ring()
	}
}

// mark notes that everything was stated again.
func (f *flusher) mark() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.again = len(f.order)
	if f.busy {
		f.again += f.taken
	}
}

// restating reports whether something of that waits to be sent or to be answered.
func (f *flusher) restating() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.again > 0
}

// batch is what leaves of a flusher at a time, of one registration.
type batch struct {
	list        []*statements
	epoch       uint64
	incarnation uint64
}

// take waits for statements, or returns false when ctx ends.
func (f *flusher) take(ctx context.Context) (b batch, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.busy {
		f.batchHeard()
	}
	f.changed.Broadcast()
	for len(f.order) == 0 {
		if ctx.Err() != nil {
			return batch{}, false
		}
		f.changed.Wait()
	}
	if ctx.Err() != nil {
		return batch{}, false
	}
	if f.overflow {
		f.adapter.fail(fmt.Errorf("%d channels and members that are left wait for redis to hear of it: more than %d", f.ends, maxPendingEnds))
		return batch{}, false
	}
	f.busy = true
	n := 0
	for size := 0; n < len(f.order) && size < maxBatchStatements; n++ {
		w := f.order[n]
		size += len(w.list)
		for i := range w.list {
			f.ends -= w.list[i].ends()
		}
	}
	b = batch{f.order[:n:n], f.adapter.epoch.Load(), f.adapter.incarnation.Load()}
	f.taken, f.last = n, f.order[n-1].place
	if f.order = f.order[n:]; len(f.order) == 0 {
		// Fast path: all of it. A map does not shrink.
		f.order = nil
		f.sent, f.pending = f.pending, make(map[cluster.Channel]*statements)
		return b, true
	}
	f.sent = make(map[cluster.Channel]*statements, n)
	for _, w := range b.list {
		f.sent[w.channel] = w
		delete(f.pending, w.channel)
	}
	return b, true
}

// wait returns when everything was sent.
func (f *flusher) wait(ctx context.Context, s *session) error {
	return waitUntil(ctx, s, &f.changed, func() bool { return len(f.order) == 0 && !f.busy })
}

// waitUntil waits until done is true under the lock of changed.
func waitUntil(ctx context.Context, s *session, changed *sync.Cond, done func() bool) error {
	wake := func() {
		changed.L.Lock()
		defer changed.L.Unlock()
		changed.Broadcast()
	}
	defer context.AfterFunc(ctx, wake)()
	defer context.AfterFunc(s.ctx, wake)()
	changed.L.Lock()
	defer changed.L.Unlock()
	for !done() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			return cluster.ErrDegraded
		}
		changed.Wait()
	}
	return nil
}

func (f *flusher) run(s *session) {
	defer context.AfterFunc(s.ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changed.Broadcast()
	})()
	for {
		b, ok := f.take(s.ctx)
		if !ok {
			return
		}
		if err := f.send(s, b); err != nil {
			s.fail(fmt.Errorf("statements were not heard: %w", err))
			return
		}
	}
}

// told is a statement with what is needed to tell its answer.
type told struct {
	*statements
	statement
}

// send makes calls of one bucket each, so many at a time that no bucket has two. What is
// left of a registration that has ended is not sent: nobody would take it back.
func (f *flusher) send(s *session, of batch) error {
	byBucket := make(map[int][]told)
	for _, w := range of.list {
		b := bucketOf(w.topic)
		for _, st := range w.list {
			byBucket[b] = append(byBucket[b], told{w, st})
		}
	}
	for len(byBucket) > 0 && of.epoch == f.adapter.epoch.Load() {
		var calls []call
		var sent [][]told
		room := maxPipelineStatements
		for b, waiting := range byBucket {
			if len(calls) == maxCalls || room == 0 {
				break
			}
			n := min(len(waiting), maxCallStatements, room)
			room -= n
			calls = append(calls, f.adapter.stateCall(s, b, of.incarnation, waiting[:n]))
			sent = append(sent, waiting[:n])
			if byBucket[b] = waiting[n:]; n == len(waiting) {
				delete(byBucket, b)
			}
		}
		results, err := s.eval(s.ctx, calls)
		if err != nil {
			return err
		}
		fenced := false
		for i, result := range results {
			answer, err := result.ToArray()
			if isReply(err, "FENCED") {
				fenced = true
				continue
			}
			if err != nil {
				return err
			}
			for j, t := range sent[i] {
				if len(answer) < 3*j+3 {
					break // overtaken by a later call, which only happens after a fence
				}
				seq, _ := answer[3*j+1].ToString()
				f.adapter.answer(t, of, int64Of(answer[3*j]), seqOf(seq), answer[3*j+2])
			}
		}
		if fenced {
			if of.epoch == f.adapter.epoch.Load() {
				s.askRegister()
			}
			return nil
		}
	}
	return nil
}

func (a *Adapter) stateCall(s *session, bucket int, incarnation uint64, list []told) call {
	args := make([]string, 0, 5+4*len(list))
	args = append(args, s.publish, a.node, decimal(incarnation), decimal(a.calls.Add(1)), a.options.owed())
	for _, t := range list {
		args = append(args, a.opOf(&t), a.names.cid(t.topic, t.channel))
		switch t.op {
		case opHold:
			args = append(args, strconv.Itoa(t.subscriptions))
		case opSeat:
			args = append(args, t.user, memberBytes(t.member))
		default:
			args = append(args, t.user)
		}
	}
	return call{stateScript, a.names.base[bucket], args}
}

// opOf is the letter of a statement for stateScript: a capital when its edge is to be
// noted in the journal.
func (a *Adapter) opOf(t *told) string {
	op := t.op
	if t.counted {
		op = opCountedHold
	}
	if a.options.Owed != nil && a.options.Owed(t.channel) {
		return strings.ToUpper(op)
	}
	return op
}

// answer tells what became of a statement.
func (a *Adapter) answer(t told, of batch, kind int64, seq uint64, extra rueidis.RedisMessage) {
	d := a.deliverer
	if kind&inJournal != 0 {
		flags := kind & (inJournal | behindLeave)
		a.noted(t, of, cluster.EdgeKind(kind&^flags), flags, seq)
	} else if kind != 0 {
		e := cluster.Edge{Channel: t.channel, Kind: cluster.EdgeKind(kind), Seq: seq}
		switch t.op {
		case opSeat:
			e.Member = t.member
		case opUnseat:
			member, _ := extra.ToString()
			e.Member = readMember(t.user, member)
		}
		a.tell(t.channel, t.topic, of.epoch, seq, false, func() { d.Decided(e) })
	}
	switch {
	case t.op == opSeat:
		a.tell(t.channel, t.topic, of.epoch, seq, false, func() { d.Seated(t.channel, t.user, seq) })
	case t.op == opUnseat:
		a.tell(t.channel, t.topic, of.epoch, seq, false, func() { d.Unseated(t.channel, t.user) })
	case t.op == opHold && t.counted:
		count, _ := extra.AsStrSlice()
		if len(count) == 2 {
			total, _ := strconv.Atoi(count[0])
			a.tell(t.channel, t.topic, of.epoch, seq, true, func() { d.Counted(t.channel, total, seqOf(count[1])) })
		}
	}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// seqOf reads a number of a script's answer; 0 when there is none.
func seqOf(decimal string) uint64 {
	n, _ := strconv.ParseUint(decimal, 10, 64)
	return n
}
