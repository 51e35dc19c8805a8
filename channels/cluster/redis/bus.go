package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"resound/channels/cluster"
)

const (
	maxTopicBatch = 2048 // topics in one pipeline of SUBSCRIBEs, 2 ms of Redis
	maxAnswered   = 4096 // channels that one turn answers

	// maxSnapshotMembers is how many members one pipeline reads, 15 ms of Redis. A channel
	// counts as smallRoster at least; how many more it has Redis tells first. One of
	// 100,000 members takes Redis about a tenth of a second all the same.
	maxSnapshotMembers = 1 << 14
	smallRoster        = 64

	// maxSubscribeFailures in a row end the session.
	maxSubscribeFailures = 5
)

// request is a Watch or an Unwatch.
type request struct {
	channel  cluster.Channel
	watch    bool
	snapshot bool
	members  int    // of a channel that is known to have more than smallRoster
	number   uint64 // of the Watch, see bus.goal
	after    uint64 // the snapshot is read when its flusher has heard of this place
}

// coming is how often a channel is to be watched, and how often with a snapshot.
type coming struct{ watches, snapshots int }

func (c coming) plus(r request, by int) coming {
	c.watches += by
	if r.snapshot {
		c.snapshots += by
	}
	return c
}

// topic is one to which this node is or wants to be subscribed. Owned by bus.run.
type topic struct {
	channels   []request // those watched; snapshot is true when one was asked for
	asked      []request // those to be answered once subscribed
	subscribed *link     // nil when not
	dirty      bool      // is in bus.dirty
}

// bus keeps the subscriptions of topics in step with what is watched. One
// goroutine does all: it takes the requests that came meanwhile, subscribes and
// unsubscribes, reads the snapshots, answers.
type bus struct {
	adapter *Adapter
	links   *links

	mu       sync.Mutex
	requests []request
	watching map[cluster.Channel]coming // among requests, and taken but not begun
	broken   []*link                    // links that were lost
	lost     []string                   // topics that the server unsubscribed by itself
	topics   int                        // subscribed, for Stats
	number   uint64                     // of the last Watch
	caughtUp bool                       // what was watched up to goal is answered: nothing is missed
	goal     uint64
	awaiting bool          // what is watched again is still being asked for: see expect
	wake     chan struct{} // has a value when there is something to do

	// Owned by run.
	byTopic   map[uint32]*topic
	dirty     []uint32
	ready     []request            // channels whose snapshot is to be read
	large     []request            // those of them that are known to have a large one
	later     []request            // those whose statements must be heard before
	heard     [flusherCount]uint64 // as of which later was looked through
	partial   bool                 // snapshots were told that may lack nodes
	cleared   uint64               // the epoch of the above
	forgotten bool                 // topics may be subscribed to that nobody asked for again
	failures  int                  // of subscribing, in a row
}

func (b *bus) init(a *Adapter) {
	b.adapter = a
	b.watching = make(map[cluster.Channel]coming)
	b.byTopic = make(map[uint32]*topic)
	b.wake = make(chan struct{}, 1)
	b.caughtUp = true
}

func (b *bus) ring() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// ask enqueues a request. A snapshot knows what was stated of its channel before.
func (b *bus) ask(r request) {
	if r.watch && r.snapshot {
		r.after = b.adapter.flusher(b.adapter.names.topic(r.channel)).after(r.channel)
	}
	b.mu.Lock()
	if b.adapter.accepting.Load() {
		b.number++
		r.number = b.number
		b.requests = append(b.requests, r)
		if r.watch {
			b.watching[r.channel] = b.watching[r.channel].plus(r, +1)
		}
	}
	b.mu.Unlock()
	b.ring()
}

// coming tells which Watches of a channel wait for their turn.
func (b *bus) coming(c cluster.Channel) coming {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watching[c]
}

// clear forgets the requests that wait; run forgets the rest when it sees that
// the epoch has changed.
func (b *bus) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests = nil
	clear(b.watching)
	b.caughtUp, b.awaiting = false, true
	b.ring()
}

// expect notes that everything was asked for again: once it is answered this
// node listens.
func (b *bus) expect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.caughtUp, b.awaiting, b.goal = false, false, b.number
	b.ring()
}

// fallBehind notes that watched channels miss messages. b.mu is held.
func (b *bus) fallBehind() {
	b.caughtUp, b.goal = false, b.number
	b.adapter.comeback.setDeaf(true)
	b.ring()
}

// catchUp looks whether everything that was expected is answered. What is behind is
// mostly in front, and found at once.
func (b *bus) catchUp(epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.caughtUp || b.awaiting || epoch != b.adapter.epoch.Load() || len(b.broken)+len(b.lost) > 0 {
		return
	}
	behind := func(r request) bool { return r.number <= b.goal }
	for _, list := range [][]request{b.requests, b.ready, b.large, b.later} {
		if slices.ContainsFunc(list, behind) {
			return
		}
	}
	for _, id := range b.dirty {
		if slices.ContainsFunc(b.byTopic[id].asked, behind) {
			return
		}
	}
	b.caughtUp = true
}

// listens reports whether nothing is missed of what was watched.
func (b *bus) listens() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.caughtUp
}

func (b *bus) subscribed() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.topics
}

// open connects to the servers that publish, and subscribes to what concerns all.
func (b *bus) open(s *session) error {
	b.byTopic, b.dirty, b.ready, b.large, b.later, b.forgotten = make(map[uint32]*topic), nil, nil, nil, nil, false
	b.mu.Lock()
	b.broken, b.lost, b.topics = nil, nil, 0
	b.adapter.comeback.setDeaf(false)
	b.mu.Unlock()
	b.links = newLinks(b, s)
	return b.links.open()
}

// close drops the connections.
func (b *bus) close() {
	if b.links != nil {
		b.links.close()
	}
	b.mu.Lock()
	b.topics = 0
	b.mu.Unlock()
}

func (b *bus) run(s *session) {
	check := time.NewTicker(linkCheckInterval)
	defer check.Stop()
	for {
		if err := b.turn(s); err != nil {
			s.fail(fmt.Errorf("the bus is lost: %w", err))
			return
		}
		if len(b.dirty) > 0 || len(b.ready) > 0 || len(b.large) > 0 {
			continue
		}
		select {
		case <-s.ctx.Done():
			return
		case <-b.wake:
		case <-check.C:
			b.links.check(s.ctx)
		}
	}
}

// turn does a bounded part of what there is to do.
func (b *bus) turn(s *session) error {
	epoch := b.adapter.epoch.Load()
	if epoch != b.cleared {
		b.forget()
		b.cleared = epoch
	}
	if err := b.mend(s, epoch); err != nil {
		return err
	}
	b.completeSnapshots()
	b.takeRequests(epoch)
	b.lookLater()
	if err := b.synchronize(s.ctx); err != nil {
		return err
	}
	if err := b.readSnapshots(s, epoch, &b.ready, strconv.Itoa(smallRoster)); err != nil {
		return err
	}
	if err := b.readSnapshots(s, epoch, &b.large, ""); err != nil {
		return err
	}
	b.catchUp(epoch)
	return nil
}

// forget ends all watches. The topics stay subscribed until everything was watched
// again.
func (b *bus) forget() {
	b.ready, b.large, b.later = nil, nil, nil
	for _, t := range b.byTopic {
		t.channels, t.asked = nil, nil
	}
	b.forgotten = true
}

// dropForgotten unsubscribes from topics that were not asked for again.
func (b *bus) dropForgotten() {
	b.forgotten = false
	for id, t := range b.byTopic {
		if len(t.channels) == 0 {
			b.mark(id, t)
		}
	}
}

func (b *bus) mark(id uint32, t *topic) {
	if !t.dirty {
		t.dirty = true
		b.dirty = append(b.dirty, id)
	}
}

// mend opens links that were lost, and finds the topics that went with them or that
// another server has now.
func (b *bus) mend(s *session, epoch uint64) error {
	b.mu.Lock()
	broken, lost := b.broken, b.lost
	b.broken, b.lost = nil, nil
	b.mu.Unlock()
	if len(broken) == 0 && len(lost) == 0 && !b.links.stale {
		return nil
	}
	for _, l := range broken {
		if b.links.drop(l) {
			b.adapter.options.Logger.Warn("a connection for subscriptions was lost", "address", l.address)
		}
	}
	for _, name := range lost {
		if name == b.adapter.names.allName() {
			b.links.root = nil
		}
		if id, ok := b.adapter.names.topicOf(name); ok && b.byTopic[id] != nil {
			b.unsubscribed(id, b.byTopic[id], epoch)
		}
	}
	for id, t := range b.byTopic {
		if t.subscribed != nil && slices.Contains(broken, t.subscribed) {
			b.unsubscribed(id, t, epoch)
		}
	}
	if err := b.links.openWithin(s.timeout); err != nil {
		return err
	}
	missed := false
	for id, t := range b.byTopic {
		if t.subscribed != nil && t.subscribed != b.links.of(id) {
			missed = true
			b.unsubscribed(id, t, epoch)
		}
	}
	b.mu.Lock()
	if missed {
		b.fallBehind()
	}
	if len(b.broken)+len(b.lost) == 0 {
		b.adapter.comeback.setDeaf(false)
	}
	b.mu.Unlock()
	b.adapter.release(false)
	return nil
}

// completeSnapshots has all snapshots read again that may have lacked nodes, once
// those are back.
func (b *bus) completeSnapshots() {
	if !b.partial || b.adapter.othersComeBack() {
		return
	}
	b.partial = false
	for _, t := range b.byTopic {
		for _, r := range t.channels {
			if r.snapshot {
				b.ready = append(b.ready, r)
			}
		}
	}
}

// unsubscribed notes that a topic's messages are missed: its channels are answered
// again.
func (b *bus) unsubscribed(id uint32, t *topic, epoch uint64) {
	if t.subscribed != nil {
		b.count(-1)
	}
	t.subscribed = nil
	b.mark(id, t)
	for _, r := range t.channels {
		b.adapter.missing(r.channel, id, epoch)
		b.adapter.begin(r, id, epoch, true)
		if !slices.ContainsFunc(t.asked, func(a request) bool { return a.channel == r.channel && a.snapshot == r.snapshot }) {
			t.asked = append(t.asked, r)
		}
	}
}

func (b *bus) count(by int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.topics += by
}

// takeRequests begins what was asked for. Once that is all that was watched before,
// what nobody asked for again is dropped: not earlier, and not by the requests of an epoch
// that has ended, or topics would be left for a moment that are watched throughout.
func (b *bus) takeRequests(epoch uint64) {
	b.mu.Lock()
	if b.adapter.epoch.Load() != epoch {
		b.mu.Unlock()
		b.ring() // they are of the next epoch
		return
	}
	requests, all := b.requests, !b.awaiting
	b.requests = nil
	b.mu.Unlock()
	for _, r := range requests {
		id := b.adapter.names.topic(r.channel)
		t := b.byTopic[id]
		if r.watch {
			if t == nil {
				t = &topic{}
				b.byTopic[id] = t
			}
			b.watchOn(id, t, r, epoch)
			b.came(r, epoch)
		} else if t != nil {
			t.remove(r.channel)
			b.adapter.unwatch(r.channel, id, epoch)
			if len(t.channels) == 0 {
				b.mark(id, t)
			}
		}
	}
	if b.forgotten && all {
		b.dropForgotten()
	}
}

// came counts a Watch as begun, before anything that was said behind it is done.
func (b *bus) came(r request, epoch uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.adapter.epoch.Load() != epoch {
		return // clear has seen or will see to it
	}
	left := b.watching[r.channel].plus(r, -1)
	b.watching[r.channel] = left
	if left.watches <= 0 {
		delete(b.watching, r.channel)
	}
}

func (b *bus) watchOn(id uint32, t *topic, r request, epoch uint64) {
	if i := t.find(r.channel); i < 0 {
		t.channels = append(t.channels, r)
	} else {
		t.channels[i].snapshot = t.channels[i].snapshot || r.snapshot
	}
	b.adapter.begin(r, id, epoch, false)
	if t.subscribed == nil {
		t.asked = append(t.asked, r)
		b.mark(id, t)
	} else {
		b.ready = append(b.ready, r)
	}
}

// lookLater makes ready those whose statements were heard by now.
func (b *bus) lookLater() {
	before := b.heard
	for i := range b.heard {
		b.heard[i] = b.adapter.flushers[i].heardUpTo()
	}
	if b.heard == before {
		return
	}
	b.later = slices.DeleteFunc(b.later, func(r request) bool {
		heard := b.heardOf(r)
		if heard {
			b.ready = append(b.ready, r)
		}
		return heard
	})
}

// heardOf reports whether what was stated before a Watch was heard, as of lookLater.
func (b *bus) heardOf(r request) bool {
	return r.after <= b.heard[flusherOf(b.adapter.names.topic(r.channel))]
}

// find returns the place of a watched channel, -1 when it is not.
func (t *topic) find(c cluster.Channel) int {
	return slices.IndexFunc(t.channels, func(r request) bool { return r.channel == c })
}

func (t *topic) remove(c cluster.Channel) {
	of := func(r request) bool { return r.channel == c }
	t.channels = slices.DeleteFunc(t.channels, of)
	t.asked = slices.DeleteFunc(t.asked, of)
}

// synchronize subscribes to and unsubscribes from some of the dirty topics.
func (b *bus) synchronize(ctx context.Context) error {
	batch := b.dirty[:min(len(b.dirty), maxTopicBatch)]
	b.dirty = b.dirty[len(batch):]
	var add, remove []uint32
	for _, id := range batch {
		t := b.byTopic[id]
		t.dirty = false
		switch {
		case len(t.channels) > 0 && t.subscribed == nil:
			add = append(add, id)
		case len(t.channels) > 0:
			b.answer(t)
		case t.subscribed != nil && b.forgotten: // it may be asked for again
		case t.subscribed != nil:
			remove = append(remove, id)
		default:
			delete(b.byTopic, id)
		}
	}
	b.links.unsubscribe(ctx, remove, b.byTopic)
	for _, id := range remove {
		b.count(-1)
		delete(b.byTopic, id)
	}
	failure := b.links.subscribe(ctx, add, b.byTopic)
	for _, id := range add {
		if t := b.byTopic[id]; t.subscribed != nil {
			b.failures = 0
			b.count(+1)
			b.answer(t)
		} else {
			b.mark(id, t)
		}
	}
	if failure == nil {
		b.failures = 0
		return nil
	}
	if b.failures++; b.failures > maxSubscribeFailures || !pause(ctx, b.failures) {
		return failure
	}
	return nil
}

// answer makes ready those who waited for a topic.
func (b *bus) answer(t *topic) {
	b.ready = append(b.ready, t.asked...)
	t.asked = nil
}

// readSnapshots answers some of the waiting channels, whose topic is subscribed. It
// leaves those for b.large that have more members than most, which may be empty.
func (b *bus) readSnapshots(s *session, epoch uint64, waiting *[]request, most string) error {
	n := 0
	for members := 0; n < min(len(*waiting), maxAnswered); n++ {
		if r := &(*waiting)[n]; r.snapshot {
			members += max(r.members, smallRoster)
		}
		if n > 0 && members > maxSnapshotMembers {
			break
		}
	}
	batch := (*waiting)[:n]
	*waiting = (*waiting)[n:]
	byBucket := make(map[int][]request)
	reading := make(map[cluster.Channel]bool)
	for _, r := range batch {
		id := b.adapter.names.topic(r.channel)
		t := b.byTopic[id]
		switch {
		case t == nil || t.find(r.channel) < 0: // unwatched meanwhile
			continue
		case t.subscribed == nil: // lost meanwhile
			t.asked = append(t.asked, r)
			b.mark(id, t)
			continue
		case !r.snapshot:
			b.adapter.finish(r.channel, id, epoch, nil)
			continue
		case !b.heardOf(r):
			b.later = append(b.later, r)
			continue
		case reading[r.channel]:
			// Once it is answered more is told, which one read now would not know.
			b.ready = append(b.ready, r)
			continue
		}
		reading[r.channel] = true
		byBucket[bucketOf(id)] = append(byBucket[bucketOf(id)], r)
	}
	if len(byBucket) == 0 {
		return nil
	}
	var calls []call
	var asked [][]request
	for bucket, list := range byBucket {
		args := []string{"", most}
		for _, r := range list {
			args = append(args, b.adapter.names.cid(b.adapter.names.topic(r.channel), r.channel))
			b.adapter.begin(r, b.adapter.names.topic(r.channel), epoch, false)
		}
		calls = append(calls, call{snapshotScript, b.adapter.names.base[bucket], args})
		asked = append(asked, list)
	}
	partial := b.adapter.othersComeBack()
	b.partial = b.partial || partial
	results, err := s.eval(s.ctx, calls)
	if err != nil {
		return err
	}
	for i, result := range results {
		snapshots, members, err := readSnapshots(result, len(asked[i]), b.adapter.node)
		if err != nil {
			return err
		}
		for j, r := range asked[i] {
			if snapshots[j] == nil {
				r.members = members[j]
				b.large = append(b.large, r)
				continue
			}
			snapshots[j].Partial = partial
			if !b.adapter.finish(r.channel, b.adapter.names.topic(r.channel), epoch, snapshots[j]) {
				b.ready = append(b.ready, r)
			}
		}
	}
	return nil
}
