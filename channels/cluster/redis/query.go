package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	kept, err := readKept(answer[2], answer[3])
	if err != nil {
		return cluster.Occupancy{}, outOfReach(err)
	}
	return cluster.Occupancy{Subscriptions: int(int64Of(answer[0])), Users: int(int64Of(answer[1])), Kept: kept}, nil
}

// Channels implements cluster.Adapter. Each bucket is a moment of its own.
func (a *Adapter) Channels(ctx context.Context, app, prefix string) ([]cluster.NamedOccupancy, error) {
	var rows []cluster.NamedOccupancy
	for first := 0; first < buckets; first += 4 * maxCalls {
		calls := make([]call, 4*maxCalls)
		for i := range calls {
			calls[i] = a.queryCall(first+i, "all", app)
		}
		results, err := a.query(ctx, calls)
		if err != nil {
			return nil, err
		}
		for _, result := range results {
			answer, err := result.ToArray()
			if err != nil || len(answer)%3 != 0 {
				return nil, outOfReach(errors.Join(err, errAnswer))
			}
			for i := 0; i < len(answer); i += 3 {
				text, _ := answer[i].ToString()
				r := reader{rest: text}
				if _, c := r.cid(); strings.HasPrefix(c.Name, prefix) {
					rows = append(rows, cluster.NamedOccupancy{Name: c.Name, Occupancy: cluster.Occupancy{
						Subscriptions: int(int64Of(answer[i+1])), Users: int(int64Of(answer[i+2])),
					}})
				}
			}
		}
	}
	return rows, nil
}

// Members implements cluster.Adapter.
func (a *Adapter) Members(ctx context.Context, c cluster.Channel) ([]cluster.Member, error) {
	topic := a.names.topic(c)
	args := []string{"", a.names.cid(topic, c)}
	results, err := a.query(ctx, []call{{snapshotScript, a.names.base[bucketOf(topic)], args}})
	if err != nil {
		return nil, err
	}
	snapshots, err := readSnapshots(results[0], 1)
	if err != nil {
		return nil, outOfReach(err)
	}
	return snapshots[0].Members, nil
}

func (a *Adapter) queryCall(bucket int, what, argument string) call {
	return call{queryScript, a.names.base[bucket], []string{"", what, argument}}
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

// readSnapshots reads the answer of snapshotScript about n channels.
func readSnapshots(result rueidis.RedisResult, n int) ([]*cluster.Snapshot, error) {
	answer, err := result.ToArray()
	if err != nil {
		return nil, err
	}
	if len(answer) != 5*n {
		return nil, errAnswer
	}
	out := make([]*cluster.Snapshot, n)
	for i := range out {
		part := answer[5*i : 5*i+5]
		seq, _ := part[0].ToString()
		members, err := readMembers(part[2])
		if err != nil {
			return nil, err
		}
		kept, err := readKept(part[3], part[4])
		if err != nil {
			return nil, err
		}
		out[i] = &cluster.Snapshot{Seq: seqOf(seq), Occupied: int64Of(part[1]) > 0, Members: members, Kept: kept}
	}
	return out, nil
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

// readKept reads a kept publication and how long it is kept; nil when there is none.
func readKept(value, left rueidis.RedisMessage) (*cluster.Kept, error) {
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
	}, nil
}
