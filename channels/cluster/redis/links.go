package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// linkCheckInterval is how often a link makes sure that it still leads to a master.
const linkCheckInterval = 5 * time.Second

// maxSlotsAsked is how many silent servers may be asked for the slots within a timeout.
const maxSlotsAsked = 4

// link is a connection that carries subscriptions to one server.
type link struct {
	address string // empty unless in a Cluster
	client  rueidis.DedicatedClient
	release func()
	dropped atomic.Bool // closed by this node
	slots   uint64      // sum of the slotMap that the server told last
}

// links are the connections of a bus: one, or one for each master of a Cluster.
// Used by bus.run, and before it runs.
type links struct {
	bus     *bus
	session *session
	live    []*link
	buckets [buckets]*link
	root    *link             // the one of the topic of all nodes
	opened  bool              // all links were there once
	servers map[string]string // address -> run id, of the masters as of open
	leaving map[string]bool   // topics being unsubscribed; guarded by bus.mu

	// Slots of a Cluster move from one master to another.
	stale bool   // open must look who has what: a server has refused a topic
	knows string // address of the server that has it, if that one told
	moved bool   // buckets are at other servers than when this node registered
}

func newLinks(b *bus, s *session) *links {
	return &links{bus: b, session: s, servers: make(map[string]string), leaving: make(map[string]bool)}
}

// of returns the link of a topic.
func (ls *links) of(topic uint32) *link { return ls.buckets[bucketOf(topic)] }

// open makes every link that is missing, and drops those to servers that are masters
// of nothing any more: such a one may lack what was said meanwhile when it is back.
func (ls *links) open() error {
	ctx, cancel := context.WithTimeout(ls.session.ctx, ls.session.timeout)
	defer cancel()
	addresses, err := ls.addresses(ctx)
	if err != nil {
		return err
	}
	links, fresh := make(map[string]*link), make(map[*link]bool)
	for _, l := range ls.live {
		links[l.address] = l
	}
	for b, address := range addresses {
		if links[address] != nil {
			continue
		}
		l, err := ls.connect(ctx, address, b)
		if err != nil {
			return err
		}
		links[address], fresh[l] = l, true
		ls.live = append(ls.live, l)
	}
	for b := range ls.buckets {
		before, l := ls.buckets[b], links[addresses[b]]
		// For a fresh one meet has seen to it.
		ls.moved = ls.moved || ls.opened && before.address != l.address && !fresh[l]
		ls.buckets[b] = l
	}
	if err := ls.joinAll(ctx, links[addresses[buckets]]); err != nil {
		return err
	}
	for _, l := range slices.Clone(ls.live) {
		if !slices.Contains(addresses, l.address) {
			ls.drop(l)
		}
	}
	maps.DeleteFunc(ls.servers, func(address, _ string) bool { return !slices.Contains(addresses, address) })
	ls.opened, ls.stale, ls.knows = true, false, ""
	return nil
}

// openWithin repeats open until it works or the time is over.
func (ls *links) openWithin(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ls.session.ctx, timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := ls.open()
		if err == nil || !pause(ctx, attempt) {
			return err
		}
	}
}

// addresses returns the address of the master of each bucket, and as the last
// one that of the root.
func (ls *links) addresses(ctx context.Context) ([]string, error) {
	addresses := make([]string, buckets+1)
	if !ls.sharded() {
		return addresses, nil
	}
	slots, err := askSlots(ctx, ls.session.client, ls.knows, ls.session.timeout/maxSlotsAsked)
	if err != nil {
		return nil, err
	}
	for b := range addresses {
		addresses[b] = slots[slotOfTag(ls.tag(b))]
	}
	if slices.Contains(addresses, "") {
		return nil, errors.New("slots of the cluster are not covered")
	}
	return addresses, nil
}

func (ls *links) sharded() bool { return ls.session.publish == "SPUBLISH" }

// tag is the key of a place in addresses.
func (ls *links) tag(b int) string {
	if b == buckets {
		return ls.bus.adapter.names.root
	}
	return ls.bus.adapter.names.base[b]
}

// connect makes one link, to the master of that place in addresses.
func (ls *links) connect(ctx context.Context, address string, b int) (*link, error) {
	client := ls.session.client
	if address != "" {
		var known bool
		if client, known = ls.session.client.Nodes()[address]; !known {
			// The client learns of a new server when it is sent there.
			_ = ls.session.client.Do(ctx, ls.session.client.B().Exists().Key(ls.tag(b)).Build()).Error()
			client, known = ls.session.client.Nodes()[address]
		}
		if !known {
			return nil, fmt.Errorf("server %s of the cluster is not known yet", address)
		}
	}
	l := &link{address: address}
	l.client, l.release = client.Dedicate()
	lost := l.client.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage:      func(m rueidis.PubSubMessage) { ls.bus.adapter.onMessage(m.Message) },
		OnSubscription: func(s rueidis.PubSubSubscription) { ls.onSubscription(s) },
	})
	if err := ls.meet(ctx, l); err != nil {
		l.release()
		return nil, err
	}
	ls.session.spawn(func() {
		select {
		case <-lost:
			if !l.dropped.Load() {
				ls.bus.report(l)
			}
		case <-ls.session.ctx.Done():
		}
	})
	return l, nil
}

// meet finds out whether it is another server than before: then it may lack what
// was said to the one before it.
func (ls *links) meet(ctx context.Context, l *link) error {
	info, err := l.client.Do(ctx, l.client.B().Info().Section("server").Build()).ToString()
	if err != nil {
		if _, answered := rueidis.IsRedisErr(err); !answered {
			return err
		}
		info = "" // not allowed to ask
	}
	_, id, _ := strings.Cut(info, "run_id:")
	id, _, _ = strings.Cut(id, "\r")
	before, known := ls.servers[l.address]
	if ls.opened && (!known || before != id || id == "") {
		ls.bus.adapter.awaitOthers() // before publications go on
		ls.session.askRegister()
	}
	ls.servers[l.address] = id
	return nil
}

// joinAll subscribes to what concerns all nodes, on the link that is in charge.
func (ls *links) joinAll(ctx context.Context, root *link) error {
	if ls.root == root {
		return nil
	}
	if err := root.client.Do(ctx, ls.command(root, "SUBSCRIBE", ls.bus.adapter.names.allName())).Error(); err != nil {
		ls.refused(err)
		return err
	}
	ls.root = root
	return nil
}

// onSubscription notes topics that the server unsubscribed by itself, as it does
// when their slot moves. It runs on the connection's goroutine.
func (ls *links) onSubscription(s rueidis.PubSubSubscription) {
	if !strings.HasSuffix(s.Kind, "unsubscribe") {
		return
	}
	ls.bus.mu.Lock()
	defer ls.bus.mu.Unlock()
	if !ls.leaving[s.Channel] {
		ls.bus.lost = append(ls.bus.lost, s.Channel)
		ls.bus.fallBehind()
	}
}

// report makes bus.run mend a link.
func (b *bus) report(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = append(b.broken, l)
	b.fallBehind()
}

// drop closes a link; false when it was dropped already.
func (ls *links) drop(l *link) bool {
	i := slices.Index(ls.live, l)
	if i < 0 {
		return false
	}
	l.dropped.Store(true)
	ls.live = slices.Delete(ls.live, i, i+1)
	if ls.root == l {
		ls.root = nil
	}
	l.client.Close()
	l.release()
	return true
}

func (ls *links) close() {
	for len(ls.live) > 0 {
		ls.drop(ls.live[0])
	}
}

// subscribe sets topic.subscribed of those that were confirmed. A link that does
// not answer is reported; one that refuses is as good as before for other topics.
func (ls *links) subscribe(ctx context.Context, ids []uint32, topics map[uint32]*topic) (failure error) {
	ctx, cancel := context.WithTimeout(ctx, ls.session.timeout)
	defer cancel()
	for l, mine := range ls.byLink(ids, ls.of) {
		lost := false
		for i, result := range l.client.DoMulti(ctx, ls.commands(l, "SUBSCRIBE", mine)...) {
			if err := result.Error(); err != nil {
				failure = err
				lost = !ls.refused(err) || lost
				continue
			}
			topics[mine[i]].subscribed = l
		}
		if lost {
			ls.bus.report(l)
		}
	}
	return failure
}

// refused reports whether err is a server's answer, and has open look where the topic
// is now.
func (ls *links) refused(err error) bool {
	reply, answered := rueidis.IsRedisErr(err)
	if !answered {
		return false
	}
	ls.stale = true
	if address, moved := reply.IsMoved(); moved {
		ls.knows = address
	}
	return true
}

// unsubscribe ends subscriptions. A link that does not answer is reported; one that
// refuses has ended them, as the topic is another server's.
func (ls *links) unsubscribe(ctx context.Context, ids []uint32, topics map[uint32]*topic) {
	if len(ids) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, ls.session.timeout)
	defer cancel()
	ls.expect(ids, true)
	defer ls.expect(ids, false)
	for l, mine := range ls.byLink(ids, func(id uint32) *link { return topics[id].subscribed }) {
		for _, result := range l.client.DoMulti(ctx, ls.commands(l, "UNSUBSCRIBE", mine)...) {
			err := result.Error()
			if _, answered := rueidis.IsRedisErr(err); err != nil && !answered {
				ls.bus.report(l)
				break
			}
		}
	}
}

func (ls *links) expect(ids []uint32, leaving bool) {
	ls.bus.mu.Lock()
	defer ls.bus.mu.Unlock()
	for _, id := range ids {
		if name := ls.bus.adapter.names.topicName(id); leaving {
			ls.leaving[name] = true
		} else {
			delete(ls.leaving, name)
		}
	}
}

func (ls *links) byLink(ids []uint32, of func(uint32) *link) map[*link][]uint32 {
	out := make(map[*link][]uint32)
	for _, id := range ids {
		out[of(id)] = append(out[of(id)], id)
	}
	return out
}

func (ls *links) commands(l *link, command string, ids []uint32) rueidis.Commands {
	commands := make(rueidis.Commands, 0, len(ids))
	for _, id := range ids {
		commands = append(commands, ls.command(l, command, ls.bus.adapter.names.topicName(id)))
	}
	return commands
}

func (ls *links) command(l *link, command, topic string) rueidis.Completed {
	switch {
	case command == "SUBSCRIBE" && ls.sharded():
		return l.client.B().Ssubscribe().Channel(topic).Build()
	case command == "SUBSCRIBE":
		return l.client.B().Subscribe().Channel(topic).Build()
	case ls.sharded():
		return l.client.B().Sunsubscribe().Channel(topic).Build()
	default:
		return l.client.B().Unsubscribe().Channel(topic).Build()
	}
}

// check reports links to servers that are not masters any more: a demoted one
// stays connected and falls silent only later. And it looks whether slots have moved.
func (ls *links) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ls.session.timeout)
	defer cancel()
	quiet := true // no slot has moved since the last check
	for _, l := range ls.live {
		if ls.sharded() {
			quiet = ls.checkSlots(ctx, l) && quiet
		}
		role, err := l.client.Do(ctx, l.client.B().Role().Build()).ToArray()
		if err != nil || len(role) == 0 {
			continue // not allowed to ask; a lost connection reports itself
		}
		if name, _ := role[0].ToString(); name != "master" {
			ls.bus.report(l)
		}
	}
	if ls.moved && quiet && !ls.stale {
		// Mostly the keys have moved along. A slot that was given away without them,
		// as by a repair of the cluster, has nothing of what was stated.
		ls.bus.adapter.options.Logger.Info("slots of the cluster have moved")
		ls.moved = false
		ls.session.askRegister()
	}
}

// checkSlots asks a server whether it has its buckets still: it knows best what it gave
// away. It reports whether the answer is the same as before.
func (ls *links) checkSlots(ctx context.Context, l *link) (same bool) {
	slots, err := slotsOf(ctx, l.client, l.address)
	if err != nil {
		return false
	}
	for b, mine := range ls.buckets {
		address := slots[slotOfTag(ls.tag(b))]
		ls.stale = ls.stale || mine == l && address != l.address && address != ""
	}
	before := l.slots
	l.slots = slots.sum()
	return l.slots == before
}
