package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"resound/channels/cluster"
)

var errAnswer = errors.New("an answer of redis is not understood")

// Channel implements cluster.Adapter.
func (a *Adapter) Channel(ctx context.Context, c cluster.Channel) (cluster.Occupancy, error) {
	topic := a.names.topic(c)
	results, err := a.query(ctx, []call{a.queryCall(bucketOf(topic), "one", a.names.cid(topic, c))})
	if err != nil {
		return cluster.Occupancy{}, err
	}
	answer, err := results[0].ToArray()
	if err != nil || len(answer) < 4 {
		return cluster.Occupancy{}, outOfReach(errors.Join(err, errAnswer))
	}
	kept, err := readKept(answer[2], answer[3], a.node)
	if err != nil {
		return cluster.Occupancy{}, outOfReach(err)
	}
	return cluster.Occupancy{Subscriptions: int(int64Of(answer[0])), Users: int(int64Of(answer[1])), Kept: kept}, a.partial()
}

// partial is the error of answers in which nodes may be missing.
func (a *Adapter) partial() error {
	if !a.hasStated() || a.comeback.awaits() {
		return cluster.ErrPartial
	}
	return nil
}

// Channels implements cluster.Adapter. Each page of a bucket is a moment of its own.
func (a *Adapter) Channels(ctx context.Context, app, prefix string, limit int) ([]cluster.NamedOccupancy, error) {
	l := listing{limit: limit}
	left := make([]page, buckets)
	for b := range left {
		left[b] = page{bucket: b, cursor: "0"}
	}
	for n := maxCalls; len(left) > 0; n = l.calls() {
		batch := left[:min(n, len(left))]
		left = left[len(batch):]
		calls := make([]call, len(batch))
		for i, p := range batch {
			calls[i] = a.queryCall(p.bucket, "all", app, p.cursor, strconv.Itoa(pageRows), prefix, cluster.UserPrefix)
		}
		results, err := a.query(ctx, calls)
		if err != nil {
			return nil, err
		}
		var on []page // first, so that few buckets are under way
		l.asked, l.looked = len(batch), 0
		for i, result := range results {
			p := batch[i]
			if err := l.read(result, &p); err != nil {
				return nil, err
			}
			if p.cursor != "0" {
				on = append(on, p)
			}
		}
		left = append(on, left...)
	}
	return l.rows, a.partial()
}

const (
	pageRows = 256 // looked at by one call, about

	// maxPipelineRows is how many are looked at in one pipeline, about, for which Redis
	// answers nobody else: some milliseconds.
	maxPipelineRows = 2048
	callRows        = 8 // what a call costs beside its rows, in rows
)

// page is where reading a bucket goes on.
type page struct {
	bucket int
	cursor string
	seen   map[string]bool // names, when the bucket has more than one page: some come twice
}

// listing collects an app's channels.
type listing struct {
	rows   []cluster.NamedOccupancy
	limit  int
	asked  int // calls of the last pipeline
	looked int // rows that they looked at
}

// calls is how many the next pipeline may have.
func (l *listing) calls() int {
	return min(max(maxPipelineRows/(callRows+l.looked/l.asked), 1), 4*maxCalls)
}

// read takes a page and says in p where the next one begins.
func (l *listing) read(result rueidis.RedisResult, p *page) error {
	answer, err := result.ToArray()
	if err != nil || len(answer) != 3 {
		return outOfReach(errors.Join(err, errAnswer))
	}
	first := p.cursor == "0"
	p.cursor, _ = answer[0].ToString()
	l.looked += int(int64Of(answer[1]))
	text, err := answer[2].ToString()
	if err != nil {
		return outOfReach(err)
	}
	if p.seen == nil && (!first || p.cursor != "0") {
		p.seen = make(map[string]bool)
	}
	for r := (reader{rest: text}); r.rest != ""; {
		subscriptions, users, name := r.number(), r.number(), r.field()
		if r.short {
			return outOfReach(errAnswer)
		}
		if p.seen[name] {
			continue
		}
		if p.seen != nil {
			p.seen[name] = true
		}
		if len(l.rows) == l.limit {
			return cluster.ErrTooMany
		}
		l.rows = append(l.rows, cluster.NamedOccupancy{Name: name, Occupancy: cluster.Occupancy{
			Subscriptions: int(subscriptions), Users: int(users),
		}})
	}
	return nil
}

// Members implements cluster.Adapter.
func (a *Adapter) Members(ctx context.Context, c cluster.Channel) ([]cluster.Member, error) {
	topic := a.names.topic(c)
	args := []string{"", "", a.names.cid(topic, c)}
	results, err := a.query(ctx, []call{{snapshotScript, a.names.base[bucketOf(topic)], args}})
	if err != nil {
		return nil, err
	}
	snapshots, _, err := readSnapshots(results[0], 1, a.node)
	if err != nil {
		return nil, outOfReach(err)
	}
	return snapshots[0].Members, a.partial()
}

func (a *Adapter) queryCall(bucket int, arguments ...string) call {
	return call{queryScript, a.names.base[bucket], append([]string{""}, arguments...)}
}

func (a *Adapter) query(ctx context.Context, calls []call) ([]rueidis.RedisResult, error) {
	s := a.session.Load()
	if s == nil {
		return nil, cluster.ErrDegraded
	}
	results, err := s.eval(ctx, calls)
	if err != nil {
		return nil, outOfReach(err)
	}
	return results, nil
}

func outOfReach(err error) error { return fmt.Errorf("%w: %w", cluster.ErrDegraded, err) }

// readSnapshots reads the answer of snapshotScript, asked by node about n channels; nil
// stands for one with more members than were asked for, and how many those are is in
// members.
func readSnapshots(result rueidis.RedisResult, n int, node string) (out []*cluster.Snapshot, members []int, err error) {
	answer, err := result.ToArray()
	if err != nil {
		return nil, nil, err
	}
	if len(answer) != 5*n {
		return nil, nil, errAnswer
	}
	out, members = make([]*cluster.Snapshot, n), make([]int, n)
	for i := range out {
		part := answer[5*i : 5*i+5]
		seq, _ := part[0].ToString()
		if seq == "" {
			members[i] = int(int64Of(part[1]))
			continue
		}
		list, err := readMembers(part[2])
		if err != nil {
			return nil, nil, err
		}
		kept, err := readKept(part[3], part[4], node)
		if err != nil {
			return nil, nil, err
		}
		out[i] = &cluster.Snapshot{Seq: seqOf(seq), Occupied: int64Of(part[1]) > 0, Members: list, Kept: kept}
	}
	return out, members, nil
}

// readMembers reads users and members in turn and sorts them by their numbers,
// which is the order of joining.
func readMembers(m rueidis.RedisMessage) ([]cluster.Member, error) {
	pairs, err := m.AsStrSlice()
	if err != nil {
		return nil, err
	}
	type joined struct {
		seq    uint64
		member cluster.Member
	}
	list := make([]joined, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		seq, member, ok := strings.Cut(pairs[i+1], " ")
		if !ok {
			return nil, errAnswer
		}
		list = append(list, joined{seqOf(seq), readMember(pairs[i], member)})
	}
	slices.SortFunc(list, func(a, b joined) int { return cmp.Compare(a.seq, b.seq) })
	var members []cluster.Member
	for _, j := range list {
		members = append(members, j.member)
	}
	return members, nil
}

// readKept reads a kept publication, asked by node, and how long it is kept; nil when
// there is none.
func readKept(value, left rueidis.RedisMessage, node string) (*cluster.Kept, error) {
	text, err := value.ToString()
	if err != nil {
		return nil, err
	}
	ms := int64Of(left)
	if text == "" || ms <= 0 {
		return nil, nil
	}
	var e envelope
	r := reader{rest: text}
	e.readKept(&r)
	if r.short {
		return nil, errJunk
	}
	return &cluster.Kept{
		Payload: []byte(e.payload), Name: e.name, Data: e.data, For: time.Duration(ms) * time.Millisecond,
		Seq: e.seq, Except: e.except, Mine: e.node == node,
	}, nil
}
