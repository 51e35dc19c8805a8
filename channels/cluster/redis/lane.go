package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

const (
	maxBatchItems = 256
	maxBatchBytes = 1 << 20
	maxTopicNames = 4096 // remembered by a lane

	answerFull = 2 // of keepScript: Redis had no room to keep it
)

// item is a publication that waits to be sent, or a Terminate.
type item struct {
	publication cluster.Publication
	topic       uint32
	number      uint64    // in its bucket, given when it is sent the first time
	until       time.Time // when it is not kept any more, of one that is
	bytes       int       // what it counts in the spool

	terminate   string
	isTerminate bool
}

// itemBytes is what an item costs beside its bytes: the item, its message, a
// place in the lane.
const itemBytes = 256

// envelopeBytes is at most the header, lengths, topic and origin of a message.
const envelopeBytes = 112

// contentBytes is the room that a message needs apart from envelopeBytes.
func (i *item) contentBytes() int {
	p := &i.publication
	return len(p.Payload) + len(p.Name) + len(p.Data) + len(p.Except) + len(p.Channel.App) + len(p.Channel.Name)
}

// lane sends the publications of every fourth bucket in their order, and is the
// spool in which they wait while Redis is lost. A batch that failed is sent again
// with the same numbers, by which receivers tell what they have had.
type lane struct {
	adapter *Adapter
	numbers map[int]uint64    // last number of a bucket; used by run alone
	topics  map[uint32]string // names of topics used lately; used by run alone

	mu      sync.Mutex
	changed sync.Cond // on mu
	items   []*item
	bytes   int
	owed    int // of the oldest items, those that were held back
	closed  bool
}

func (l *lane) init(a *Adapter) {
	l.adapter = a
	l.numbers = make(map[int]uint64)
	l.topics = make(map[uint32]string)
	l.changed.L = &l.mu
}

func (l *lane) put(i *item) {
	o := &l.adapter.options
	i.bytes = i.contentBytes() + itemBytes
	if i.publication.Keep > 0 {
		i.until = time.Now().Add(i.publication.Keep)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || len(l.items) >= o.SpoolPublications/laneCount || l.bytes+i.bytes > o.SpoolBytes/laneCount {
		l.adapter.counters.dropped.Add(1)
		return
	}
	l.items = append(l.items, i)
	l.bytes += i.bytes
	if len(l.items) == 1 {
		l.changed.Broadcast()
	}
}

func (l *lane) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.items)
}

// close takes no more; what waits is counted as dropped.
func (l *lane) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.adapter.counters.dropped.Add(uint64(len(l.items)))
}

// release wakes who waits while publications are held back, and returns how many.
func (l *lane) release() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.owed = len(l.items)
	l.changed.Broadcast()
	return l.owed
}

// owing reports whether something that was held back is still to be sent.
func (l *lane) owing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owed > 0
}

// wait returns when everything was sent.
func (l *lane) wait(ctx context.Context, s *session) error {
	return waitUntil(ctx, s, &l.changed, func() bool { return len(l.items) == 0 })
}

// head waits for items, and until they are not held back, and returns the oldest,
// which stay in the lane. Nil means that ctx ended.
func (l *lane) head(ctx context.Context) []*item {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (len(l.items) == 0 || l.adapter.comeback.holds()) && ctx.Err() == nil {
		l.changed.Wait()
	}
	if ctx.Err() != nil {
		return nil
	}
	n, bytes := 0, 0
	for n < len(l.items) && n < maxBatchItems && (n == 0 || bytes < maxBatchBytes) {
		bytes += l.items[n].bytes
		n++
	}
	return l.items[:n:n]
}

// remove takes the n oldest items out.
func (l *lane) remove(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.items[:n] {
		l.bytes -= l.items[i].bytes
		l.items[i] = nil
	}
	l.owed = max(l.owed-n, 0)
	if l.items = l.items[n:]; len(l.items) == 0 {
		l.items = nil
		l.changed.Broadcast()
	}
}

func (l *lane) run(s *session) {
	defer context.AfterFunc(s.ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.changed.Broadcast()
	})()
	for {
		batch := l.head(s.ctx)
		if batch == nil {
			return
		}
		err := l.send(s, batch)
		if errors.Is(err, errHeld) {
			continue
		}
		if err != nil {
			s.fail(fmt.Errorf("publications were not sent: %w", err))
			return
		}
		l.adapter.counters.published.Add(uint64(len(batch)))
		l.remove(len(batch))
	}
}

// errHeld is lane.send's answer when a batch must wait: it is sent again, and who had
// a part of it knows by the numbers.
var errHeld = errors.New("publications are held back")

// send repeats what failed until everything was sent or Options.Timeout is over.
func (l *lane) send(s *session, batch []*item) error {
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	left := append([]*item(nil), batch...)
	for _, i := range left {
		if i.number == 0 {
			l.number(i)
		}
	}
	source := false
	for attempt := 0; ; attempt++ {
		commands := make(rueidis.Commands, len(left))
		scripted := make(map[int]bool) // buckets of an item that a script sends
		for j, i := range left {
			if i.keeps() {
				scripted[bucketOf(i.topic)] = true
			}
			commands[j] = l.command(s, i, scripted[bucketOf(i.topic)], source)
		}
		var failure error
		again := left[:0]
		sent := make(map[int]uint64) // highest number of a bucket
		for j, result := range s.client.DoMulti(ctx, commands...) {
			i := left[j]
			err := result.Error()
			if err == nil {
				sent[bucketOf(i.topic)] = i.number
				if i.keeps() {
					if n, _ := result.AsInt64(); n == answerFull {
						l.adapter.counters.unkept.Add(1)
					}
				}
				continue
			}
			if isReply(err, "NOSCRIPT") {
				source = true
			} else {
				failure = err
			}
			again = append(again, i)
		}
		if left = again; len(left) == 0 {
			return nil
		}
		behind := make(map[int]bool)
		for _, i := range left {
			// A later one of the bucket got through: with their old numbers, this one and
			// those behind it would be taken for repetitions.
			b := bucketOf(i.topic)
			if behind[b] = behind[b] || sent[b] > i.number; behind[b] {
				l.number(i)
			}
		}
		if failure != nil && !pause(ctx, attempt) {
			return failure
		}
		if failure != nil && l.adapter.comeback.holds() {
			return errHeld
		}
	}
}

func (l *lane) number(i *item) {
	b := bucketOf(i.topic)
	l.numbers[b]++
	i.number = l.numbers[b]
}

// topicName is names.topicName, remembered.
func (l *lane) topicName(topic uint32) string {
	name, ok := l.topics[topic]
	if !ok {
		if len(l.topics) >= maxTopicNames {
			clear(l.topics)
		}
		name = l.adapter.names.topicName(topic)
		l.topics[topic] = name
	}
	return name
}

// keeps reports whether keepScript must send the item.
func (i *item) keeps() bool { return i.publication.Keep > 0 || i.publication.Forget }

// command sends an item. scripted has a script do it, behind an item of which a script
// keeps something: a Redis that lacks the script takes neither then.
func (l *lane) command(s *session, i *item, scripted, source bool) rueidis.Completed {
	a, p := l.adapter, &i.publication
	if i.isTerminate {
		message := append(appendHeader(nil, kindTerminate), a.node...)
		message = appendField(appendField(message, p.Channel.App), i.terminate)
		return s.send(a.names.allName(), message)
	}
	keep := func(args ...string) rueidis.Completed {
		args = append([]string{s.publish, a.names.cid(i.topic, p.Channel)}, args...)
		return keepScript.command(s.client, a.names.base[bucketOf(i.topic)], args, source)
	}
	if i.keeps() {
		left := uint64(0)
		if !p.Forget {
			left = keptMilliseconds(i.until)
		}
		origin := appendOrigin(make([]byte, 0, originBytes), a.node, i.number)
		rest := appendKeptTail(make([]byte, 0, i.contentBytes()+envelopeBytes), p, left)
		return keep(decimal(left), string(origin), string(rest), a.node, decimal(i.number))
	}
	kind, about := byte(kindPlain), p.Except
	if p.Counted > 0 {
		kind, about = kindCount, decimal(p.Counted)
	}
	message := appendHeader(make([]byte, 0, i.contentBytes()+envelopeBytes), kind)
	message = a.names.appendCID(message, i.topic, p.Channel)
	message = appendOrigin(message, a.node, i.number)
	message = appendField(appendField(message, about), p.Payload)
	if scripted {
		return keep("", string(message))
	}
	return s.send(l.topicName(i.topic), message)
}

// send is the command that publishes message.
func (s *session) send(topic string, message []byte) rueidis.Completed {
	text := rueidis.BinaryString(message)
	if s.publish == "SPUBLISH" {
		return s.client.B().Spublish().Channel(topic).Message(text).Build()
	}
	return s.client.B().Publish().Channel(topic).Message(text).Build()
}
