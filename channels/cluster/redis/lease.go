package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

const (
	maxPurged     = 100 // statements that one call of purgeScript ends
	maxPurgeCalls = 16  // in one pipeline, see maxPipelineStatements
	maxClaimed    = 1024
)

// errFenced means that this node is dead to a bucket: it has to register anew.
var errFenced = errors.New("this node was cleaned up")

// incarnationName is how scripts name a registration of a node.
type incarnationName struct {
	node   string
	number uint64
}

func (i incarnationName) String() string { return i.node + ":" + decimal(i.number) }

// lease is what heartbeats carry.
type lease struct {
	mu       sync.Mutex
	mine     map[string]int64  // app -> connections on this node
	changed  map[string]bool   // apps whose number was not told yet
	all      map[string]int64  // app -> connections, as of the last heartbeat
	told     map[string]int64  // app -> of this node in all
	nodes    []string          // with a lease, as of the last heartbeat
	cleaning []incarnationName // claimed, to be cleaned up in this order
	cleaned  []incarnationName // to be told
	wake     chan struct{}     // has a value when cleaning may not be empty
}

func (l *lease) init() {
	l.reset()
	l.wake = make(chan struct{}, 1)
}

// reset forgets what was stated, and what is being cleaned up: its claim ends.
func (l *lease) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mine, l.changed = make(map[string]int64), make(map[string]bool)
	l.all, l.told = nil, make(map[string]int64)
	l.cleaning, l.cleaned = nil, nil
}

func (l *lease) setConnections(app string, connections int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if connections == 0 {
		delete(l.mine, app)
	} else {
		l.mine[app] = connections
	}
	l.changed[app] = true
}

func (l *lease) otherConnections(app string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(l.all[app]-l.told[app], 0)
}

func (l *lease) nodeNames() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes
}

// tell returns the end of leaseScript's arguments, and what they tell.
func (l *lease) tell() (args []string, cleaned int, connections map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	args = append(args, strconv.Itoa(len(l.cleaned)))
	for _, i := range l.cleaned {
		args = append(args, i.String())
	}
	args = append(args, strconv.Itoa(len(l.cleaning)))
	for _, i := range l.cleaning {
		args = append(args, i.String())
	}
	connections = make(map[string]int64, len(l.changed))
	for app := range l.changed {
		connections[app] = l.mine[app]
		args = append(args, app, strconv.FormatInt(l.mine[app], 10))
	}
	clear(l.changed)
	return args, len(l.cleaned), connections
}

// keepLease renews the lease until the session ends, and registers anew when it
// was lost.
func (a *Adapter) keepLease(s *session) {
	interval := a.beatInterval()
	beat := time.NewTicker(interval)
	defer beat.Stop()
	renewed := time.Now()
	again := false // the node must register anew
	for {
		if now := a.beatInterval(); now != interval {
			interval = now
			beat.Reset(interval)
		}
		held := true
		var err error
		select {
		case <-s.ctx.Done():
			return
		case <-s.register:
			again = true
		case <-beat.C:
			sent := time.Now()
			ctx, cancel := context.WithTimeout(s.ctx, max(a.staleAfter()-sent.Sub(renewed), s.timeout/4))
			held, err = a.askLease(ctx, s, "renew", a.unfinished())
			cancel()
			renewed = sent
		}
		a.bus.ring() // the others may be back
		// What is being stated is finished first: as long as the lease is held, heartbeats
		// go on meanwhile.
		if err == nil && (!held || again && len(a.stating) == 0) {
			again = false
			if err = a.reregister(s); err == nil {
				renewed = time.Now()
			}
		}
		if err != nil {
			s.fail(fmt.Errorf("the lease was not renewed: %w", err))
			return
		}
	}
}

// reregister begins anew within a session: the lease had ended, or the server may
// lack what was stated.
func (a *Adapter) reregister(s *session) error {
	if a.closing.Load() {
		return nil
	}
	a.options.Logger.Warn("this node states everything again: its lease had ended, or redis was replaced")
	a.counters.fenced.Add(1)
	a.stating <- struct{}{} // when everything was stated for the last registration
	if a.closing.Load() {
		<-a.stating
		return nil
	}
	a.awaitOthers()
	a.forget()
	if err := a.registerAnew(s); err != nil {
		<-a.stating
		return err
	}
	a.accept(s)
	s.spawn(a.restate)
	return nil
}

// restate has everything stated again, and takes the value of a.stating. Heartbeats go on
// meanwhile: a large node needs seconds.
func (a *Adapter) restate() {
	defer func() { <-a.stating }()
	a.deliverer.Restate()
	for i := range a.flushers {
		a.flushers[i].mark()
	}
	a.bus.expect()
	a.restated.Store(true)
}

// registerAnew takes the next incarnation. What the last one stated ends a lease
// after everything was stated again.
func (a *Adapter) registerAnew(s *session) error {
	a.lease.reset()
	a.incarnation.Add(1)
	_, err := a.askLease(s.ctx, s, "register", a.last())
	return err
}

// last names the incarnation before the present one; empty when there is none.
func (a *Adapter) last() string {
	k := a.incarnation.Load()
	if k <= 1 {
		return ""
	}
	return incarnationName{a.node, k - 1}.String()
}

// hasStated reports whether everything was stated again and heard.
func (a *Adapter) hasStated() bool {
	done := a.restated.Load()
	for i := range a.flushers {
		done = done && !a.flushers[i].restating()
	}
	return done
}

// unfinished is last as long as not everything was stated again.
func (a *Adapter) unfinished() string {
	if a.hasStated() {
		return ""
	}
	return a.last()
}

// askLease runs leaseScript. held is false when this node has no lease any more.
func (a *Adapter) askLease(ctx context.Context, s *session, what, old string) (held bool, err error) {
	tail, cleaned, connections := a.lease.tell()
	ms := strconv.FormatInt(a.options.Lease.Milliseconds(), 10)
	listens, since := "", a.comeback.asks()
	if what == "renew" && a.listens() {
		listens = "1"
	}
	args := append([]string{what, a.node, decimal(a.incarnation.Load()), ms, ms, old, listens, since}, tail...)
	results, err := s.eval(ctx, []call{{leaseScript, a.names.root, args}})
	if err != nil {
		return false, err
	}
	answer, err := results[0].ToArray()
	if err != nil {
		return false, err
	}
	if len(answer) == 0 || int64Of(answer[0]) == 0 {
		return false, nil
	}
	if len(answer) < 6 {
		return false, errors.New("the answer about the lease is not understood")
	}
	var lists [4][]string // nodes, listening, claimed, connections of all
	for i := range lists {
		if lists[i], err = answer[2+i].AsStrSlice(); err != nil {
			return false, err
		}
	}
	a.lease.hear(lists[0], cleaned, connections, lists[2], lists[3])
	switch what {
	case "register":
		a.comeback.registered(int64Of(answer[1]))
	case "renew":
		a.hearOthers(lists[0], lists[1], listens != "")
	}
	return true, nil
}

// hear takes leaseScript's answer.
func (l *lease) hear(nodes []string, cleaned int, connections map[string]int64, claimed, all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes = nodes
	l.cleaned = l.cleaned[min(cleaned, len(l.cleaned)):]
	for app, n := range connections {
		l.told[app] = n
	}
	l.all = make(map[string]int64, len(all)/2)
	for i := 0; i+1 < len(all); i += 2 {
		l.all[all[i]], _ = strconv.ParseInt(all[i+1], 10, 64)
	}
	for _, name := range claimed {
		node, number, _ := strings.Cut(name, ":")
		if len(l.cleaning) < maxClaimed {
			l.cleaning = append(l.cleaning, incarnationName{node, seqOf(number)})
		}
	}
	if len(claimed) > 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// next returns the incarnation to clean up.
func (l *lease) next() (i incarnationName, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cleaning) == 0 {
		return incarnationName{}, false
	}
	return l.cleaning[0], true
}

// giveUp forgets an incarnation that is to be cleaned up.
func (l *lease) giveUp(i incarnationName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cleaning) > 0 && l.cleaning[0] == i {
		l.cleaning = l.cleaning[1:]
	}
}

// done moves the incarnation that was cleaned up to those to be told.
func (l *lease) done(i incarnationName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.cleaning) > 0 && l.cleaning[0] == i {
		l.cleaning = l.cleaning[1:]
		l.cleaned = append(l.cleaned, i)
	}
}

// cleanUp ends the statements of nodes that are gone, those this node has claimed.
func (a *Adapter) cleanUp(s *session) {
	for {
		i, ok := a.lease.next()
		if !ok {
			select {
			case <-s.ctx.Done():
				return
			case <-a.lease.wake:
			}
			continue
		}
		err := a.fence(s, i)
		if err == nil {
			err = a.purge(s.ctx, s, i.node, i.number)
		}
		if errors.Is(err, errFenced) {
			s.askRegister()
			a.lease.giveUp(i) // another takes it over when the claim ends
			continue
		}
		if err != nil {
			s.fail(fmt.Errorf("a node that is gone was not cleaned up: %w", err))
			return
		}
		a.options.Logger.Info("cleaned up after a node that is gone", "node", i.node)
		a.lease.done(i)
	}
}

// purge ends all statements of an incarnation, which is refused from then on, and
// tells the edges. It may be repeated.
func (a *Adapter) purge(ctx context.Context, s *session, node string, incarnation uint64) error {
	select {
	case a.cleaning <- struct{}{}:
		defer func() { <-a.cleaning }()
	case <-ctx.Done():
		return ctx.Err()
	}
	left := make([]int, buckets)
	for b := range left {
		left[b] = b
	}
	for len(left) > 0 {
		batch := left[:min(len(left), maxPurgeCalls)]
		left = left[len(batch):]
		calls := make([]call, len(batch))
		for i, b := range batch {
			calls[i] = a.purgeCall(s, b, node, incarnation)
		}
		results, err := s.eval(ctx, calls)
		if err != nil {
			return err
		}
		for i, result := range results {
			more, err := a.purged(result, batch[i])
			if err != nil {
				return err
			}
			if more {
				left = append(left, batch[i])
			}
		}
	}
	return nil
}

func (a *Adapter) purgeCall(s *session, bucket int, node string, incarnation uint64) call {
	return call{purgeScript, a.names.base[bucket], []string{
		s.publish, a.node, decimal(a.incarnation.Load()), decimal(a.calls.Add(1)), node, decimal(incarnation),
		strconv.Itoa(maxPurged), a.options.owed(),
	}}
}

// purged tells the edges and counts of one call of purgeScript.
func (a *Adapter) purged(result rueidis.RedisResult, bucket int) (more bool, err error) {
	answer, err := result.ToArray()
	if isReply(err, "FENCED") {
		return false, errFenced
	}
	if err != nil {
		return false, err
	}
	if len(answer)%5 != 2 {
		return false, fmt.Errorf("an answer of %d values is not understood", len(answer))
	}
	if int64Of(answer[1]) == 1 {
		a.journal.lookIn(bucket, 0)
	}
	for i := 2; i < len(answer); i += 5 {
		var parts [4]string // seq, cid, user, member
		for j := range parts {
			parts[j], _ = answer[i+1+j].ToString()
		}
		r := reader{rest: parts[1]}
		topic, c := r.cid()
		e := cluster.Edge{
			Channel: c,
			Kind:    cluster.EdgeKind(int64Of(answer[i])),
			Member:  readMember(parts[2], parts[3]),
			Seq:     seqOf(parts[0]),
		}
		if e.Kind == 0 {
			total, _ := strconv.Atoi(parts[2])
			a.tell(c, topic, 0, 0, true, func() { a.deliverer.Counted(c, total, e.Seq) })
			continue
		}
		a.tell(c, topic, 0, e.Seq, false, func() { a.deliverer.Decided(e) })
	}
	return int64Of(answer[0]) == 1, nil
}

// int64Of reads an integer, be it sent as a number or as text.
func int64Of(m rueidis.RedisMessage) int64 {
	n, err := m.AsInt64()
	if err != nil {
		return 0
	}
	return n
}
