package pusher

import (
	"context"
	"errors"
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
