package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"resound/channels/cluster"
)

const (
	// inJournal is added to the kind of an edge that a script has put into the
	// journal, and behindLeave to one that must not be told yet: another node may be
	// telling the leave before it.
	inJournal   = 8
	behindLeave = 16

	// retryAfter is when such an edge is looked at; common.lua has it as retry.
	retryAfter = 500 * time.Millisecond

	// A call of journalScript forgets and returns up to maxEntries, and a pipeline has
	// up to maxJournalCalls: some milliseconds of Redis.
	maxEntries      = 64
	maxJournalCalls = 16
)

// journal has the Deliverer told of edges that must not be lost. The script that
// decides an edge notes it in its bucket, under the incarnation that has to tell it;
// it is forgotten there when Decided has returned and what that put into queues of
// an Outbox is in Redis. Until then the edge is told by whoever cleans up after the
// incarnation. Leaves are due when Options.HoldBack is over and nobody has come back.
type journal struct {
	adapter *Adapter
	wake    chan struct{} // has a value when there is more to do

	mu      sync.Mutex
	changed sync.Cond           // on mu
	due     [buckets]time.Time  // when to look at a bucket's entries; zero: not at all
	told    map[ledger][]string // entries to be forgotten
	busy    bool                // a pipeline is under way

	// disowned is the latest incarnation of this node that an Outbox refused to hear.
	disowned uint64
}

// ledger is where an incarnation's entries of a bucket are.
type ledger struct {
	bucket      int
	incarnation uint64
}

func (j *journal) init(a *Adapter) {
	j.adapter = a
	j.wake = make(chan struct{}, 1)
	j.told = make(map[ledger][]string)
	j.changed.L = &j.mu
}

// lookIn has a bucket's entries looked at after d.
func (j *journal) lookIn(bucket int, d time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if at := time.Now().Add(d); j.due[bucket].IsZero() || at.Before(j.due[bucket]) {
		j.due[bucket] = at
		j.ring()
	}
}

// forget ends an entry that was told.
func (j *journal) forget(l ledger, entry string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.told[l] = append(j.told[l], entry)
	j.ring()
}

// disown has this node forget no more entries of an incarnation or those before it: an
// Outbox has left out what was told of one, and whoever cleans up tells it.
func (j *journal) disown(incarnation uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.disowned = max(j.disowned, incarnation)
}

func (j *journal) owns(l ledger) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return l.incarnation > j.disowned
}

// ring wakes run. j.mu is held.
func (j *journal) ring() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// take returns up to maxJournalCalls ledgers of different buckets, with the entries to be
// forgotten in each. For none it returns how long there is nothing to do.
func (j *journal) take() (work map[ledger][]string, wait time.Duration) {
	j.mu.Lock()
	defer j.mu.Unlock()
	work = make(map[ledger][]string)
	var taken [buckets]bool
	for l, entries := range j.told {
		if len(work) == maxJournalCalls {
			break
		}
		if taken[l.bucket] {
			continue
		}
		taken[l.bucket] = true
		n := min(len(entries), maxEntries)
		work[l] = entries[:n:n]
		if j.told[l] = entries[n:]; n == len(entries) {
			delete(j.told, l)
		}
	}
	now, mine := time.Now(), j.adapter.incarnation.Load()
	wait = time.Hour
	for b := range j.due {
		switch {
		case j.due[b].IsZero():
		case j.due[b].After(now):
			wait = min(wait, j.due[b].Sub(now))
		case len(work) < maxJournalCalls && !taken[b]:
			work[ledger{b, mine}] = nil
		}
	}
	for l := range work {
		if l.incarnation == mine {
			j.due[l.bucket] = time.Time{} // the answer tells when again
		}
	}
	j.busy = len(work) > 0
	return work, wait
}

// done ends what take has begun. What failed is taken again.
func (j *journal) done(failed map[ledger][]string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for l, entries := range failed {
		if len(entries) > 0 {
			j.told[l] = append(entries, j.told[l]...)
		}
	}
	j.busy = false
	j.changed.Broadcast()
}

func (j *journal) run(s *session) {
	// The entries of this node's earlier registrations are told by whoever cleans
	// up after those.
	for {
		work, wait := j.take()
		if len(work) == 0 {
			timer := time.NewTimer(wait)
			select {
			case <-s.ctx.Done():
			case <-j.wake:
			case <-timer.C:
			}
			timer.Stop()
			if s.ctx.Err() != nil {
				return
			}
			continue
		}
		err := j.exchange(s, work)
		if err != nil {
			j.done(work)
			s.fail(fmt.Errorf("the journal of edges was not heard: %w", err))
			return
		}
		j.done(nil)
	}
}

// exchange forgets what was told, as soon as Redis has the webhooks of it, and tells
// what is due.
func (j *journal) exchange(s *session, work map[ledger][]string) error {
	a := j.adapter
	var ledgers []ledger
	var calls []call
	stored := false
	for l, entries := range work {
		if len(entries) > 0 && !stored {
			if err := a.flushQueues(s); err != nil {
				return err
			}
			stored = true
		}
		if !j.owns(l) {
			continue
		}
		args := append([]string{
			"", a.node, decimal(a.calls.Add(1)), strconv.Itoa(maxEntries), incarnationName{a.node, l.incarnation}.String(),
		}, entries...)
		ledgers = append(ledgers, l)
		calls = append(calls, call{journalScript, a.names.base[l.bucket], args})
	}
	results, err := s.eval(s.ctx, calls)
	if err != nil {
		return err
	}
	for i, result := range results {
		answer, err := result.ToArray()
		if err != nil {
			return err
		}
		if len(answer) == 0 {
			continue // overtaken by a later call, which only happens after a fence
		}
		for _, m := range answer[1:] {
			entry, _ := m.ToString()
			a.tellEntry(ledgers[i], entry)
		}
		if ms := int64Of(answer[0]); ms >= 0 {
			j.lookIn(ledgers[i].bucket, time.Duration(ms)*time.Millisecond)
		}
	}
	return nil
}

// tellEntry tells an edge that is due.
func (a *Adapter) tellEntry(l ledger, entry string) {
	digits := strings.IndexFunc(entry, func(r rune) bool { return r < '0' || r > '9' })
	r := reader{rest: entry[digits+1:]}
	topic, c := r.cid()
	a.tellNoted(topic, 0, l, cluster.Edge{
		Channel: c,
		Kind:    cluster.EdgeKind(entry[digits]),
		Member:  cluster.Member{ID: r.rest},
		Seq:     seqOf(entry[:digits]),
	})
}

// tellNoted tells an edge of the journal and has it forgotten there.
func (a *Adapter) tellNoted(topic uint32, epoch uint64, l ledger, e cluster.Edge) {
	e.ID = strconv.Itoa(l.bucket) + "-" + decimal(e.Seq)
	e.Teller = incarnationName{a.node, l.incarnation}.String()
	entry := decimal(e.Seq) + string(byte(e.Kind)) + a.names.cid(topic, e.Channel) + e.Member.ID
	a.tell(e.Channel, topic, epoch, e.Seq, false, func() {
		a.deliverer.Decided(e)
		a.journal.forget(l, entry)
	})
}

// noted takes an edge that a script has put into the journal of this node. flags are
// those of inJournal.
func (a *Adapter) noted(t told, of batch, kind cluster.EdgeKind, flags int64, seq uint64) {
	bucket := bucketOf(t.topic)
	switch {
	case flags&behindLeave != 0:
		a.journal.lookIn(bucket, retryAfter)
		return
	case kind == cluster.Vacated || kind == cluster.MemberRemoved:
		a.journal.lookIn(bucket, a.options.HoldBack)
		return
	}
	e := cluster.Edge{Channel: t.channel, Kind: kind, Member: t.member, Seq: seq}
	a.tellNoted(t.topic, of.epoch, ledger{bucket, of.incarnation}, e)
}

// settle waits until nothing is due any more, or until ctx ends.
func (j *journal) settle(ctx context.Context, s *session) {
	_ = waitUntil(ctx, s, &j.changed, func() bool {
		idle := !j.busy && len(j.told) == 0
		for b := range j.due {
			idle = idle && j.due[b].IsZero()
		}
		return idle
	})
}

// owed is what HoldBack is for scripts: empty when nothing is noted.
func (o *Options) owed() string {
	if o.Owed == nil {
		return ""
	}
	return strconv.FormatInt(o.HoldBack.Milliseconds(), 10)
}
