package pusher

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"

	"resound/channels/cluster"
	"resound/channels/cluster/local"
)

// listed is an adapter whose Channels does what a test says.
type listed struct {
	cluster.Adapter
	channels func(ctx context.Context, limit int) ([]cluster.NamedOccupancy, error)
}

func (l *listed) Channels(ctx context.Context, _, _ string, limit int) ([]cluster.NamedOccupancy, error) {
	return l.channels(ctx, limit)
}

// incomplete is an adapter whose answers lack this node.
type incomplete struct{ cluster.Adapter }

func (incomplete) Channel(_ context.Context, c cluster.Channel) (cluster.Occupancy, error) {
	return cluster.Occupancy{Subscriptions: 2, Users: 1}, cluster.ErrPartial
}

func (incomplete) Channels(context.Context, string, string, int) ([]cluster.NamedOccupancy, error) {
	return []cluster.NamedOccupancy{
		{Name: "news", Occupancy: cluster.Occupancy{Subscriptions: 2}},
		{Name: "theirs", Occupancy: cluster.Occupancy{Subscriptions: 2}},
	}, cluster.ErrPartial
}

func (incomplete) Members(context.Context, cluster.Channel) ([]cluster.Member, error) {
	return []cluster.Member{{ID: "ann"}, {ID: "bob"}}, cluster.ErrPartial
}

// TestAnswersInWhichNodesAreMissing: while nodes state everything again, this node answers
// no less than it knows itself.
func TestAnswersInWhichNodesAreMissing(t *testing.T) {
	f := newFakeCluster(t, AppConfig{ID: "1", Key: "k", Secret: "s"}, 1, 0, func(o *Options) { o.Cluster = incomplete{o.Cluster} })
	n := f.nodes[0]
	for range 3 {
		n.Open("k", "").Send(`{"event":"pusher:subscribe","data":{"channel":"news"}}`)
	}
	n.Open("k", "").Send(`{"event":"pusher:subscribe","data":{"channel":"ours"}}`)
	for _, user := range []string{"bob", "cyd"} {
		c := n.Open("k", "")
		c.Send(string(subscribeMessage(n.reactor.shard, c.handle, "presence-room", `{"user_id":"`+user+`"}`)))
	}
	f.pump()
	if got := n.node.Channel(n.app, "news").Subscriptions; got != 3 {
		t.Errorf("news has %d subscriptions, want 3", got)
	}
	rows, err := n.node.Channels(n.app, "")
	got := make(map[string]int)
	for _, row := range rows {
		got[row.Name] = row.Subscriptions
	}
	if want := map[string]int{"news": 3, "theirs": 2, "ours": 1, "presence-room": 2}; err != nil || !maps.Equal(got, want) {
		t.Errorf("channels: got %v, %v; want %v", got, err, want)
	}
	list, ok := n.node.Members(n.app, "presence-room")
	var ids []string
	for _, m := range list {
		ids = append(ids, m.ID)
	}
	if want := []string{"ann", "bob", "cyd"}; !ok || !slices.Equal(ids, want) {
		t.Errorf("members: got %q, want %q", ids, want)
	}
}

func TestAListOfChannelsIsBounded(t *testing.T) {
	for _, test := range []struct {
		name     string
		channels func(ctx context.Context, limit int) ([]cluster.NamedOccupancy, error)
		want     error
	}{
		{"in number", func(_ context.Context, limit int) ([]cluster.NamedOccupancy, error) {
			if limit != MaxListedChannels {
				return nil, errors.New("another limit")
			}
			return nil, cluster.ErrTooMany
		}, ErrTooManyChannels},
		{"in time", func(ctx context.Context, _ int) ([]cluster.NamedOccupancy, error) {
			<-ctx.Done()
			return nil, cluster.ErrDegraded
		}, ErrListTimeout},
		{"but an outage is none", func(context.Context, int) ([]cluster.NamedOccupancy, error) {
			return nil, cluster.ErrDegraded
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, err := NewNode(Options{Apps: []AppConfig{{ID: "1", Key: "k", Secret: "s"}}, Cluster: &listed{local.New(), test.channels}})
				if err != nil {
					t.Fatal(err)
				}
				// More at a time than are let in: the others wait, and get an answer too.
				answers := make(chan error)
				for range 2 * maxListings {
					go func() {
						_, err := n.Channels(n.AppByID("1"), "")
						answers <- err
					}()
				}
				for range 2 * maxListings {
					if err := <-answers; !errors.Is(err, test.want) {
						t.Errorf("got %v, want %v", err, test.want)
					}
				}
			})
		})
	}
}
