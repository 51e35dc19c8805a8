package population

import (
	"context"
	"errors"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"

	"resound/bench/process"
)

// ConnectionsPerSource is how many connections use ports of one source address.
const ConnectionsPerSource = connectionsPerSource

// Fleet is one population spread over client processes. Its methods are safe for
// concurrent use, but for Connect, beside which only Counts and Latencies are.
type Fleet struct {
	clients []*remote
	options Options
	limit   int
}

// NewFleet starts as many processes by command as connections need when each
// holds at most perProcess. It connects nothing yet. They end with children.
func NewFleet(children *process.Children, command process.Command, connections, perProcess int) (*Fleet, error) {
	if connections < 1 || perProcess < 1 {
		return nil, fmt.Errorf("%d connections at %d per process, want 1 or more of each", connections, perProcess)
	}
	f := &Fleet{limit: perProcess}
	for range (connections + perProcess - 1) / perProcess {
		child, err := children.Start(command)
		if err != nil {
			return nil, err
		}
		f.clients = append(f.clients, newRemote(child))
	}
	return f, nil
}

// PIDs returns the client processes.
func (f *Fleet) PIDs() []int {
	pids := make([]int, len(f.clients))
	for i, c := range f.clients {
		pids[i] = c.child.PID
	}
	return pids
}

// Connect opens o.Connections connections, divided over the processes, and
// returns when each holds its subscriptions.
func (f *Fleet) Connect(ctx context.Context, o Options) error {
	return <-f.ConnectAsync(ctx, o)
}

// ConnectAsync begins what Connect does. The channel gets one value. Connections
// are numbered from o.First on.
func (f *Fleet) ConnectAsync(ctx context.Context, o Options) <-chan error {
	result := make(chan error, 1)
	if capacity := f.limit * len(f.clients); o.Connections > capacity {
		result <- fmt.Errorf("%d connections exceed the %d of %d client processes", o.Connections, capacity, len(f.clients))
		return result
	}
	f.options = o
	wait := f.send(ctx, func(i int) request {
		mine := o
		mine.First, mine.Total = o.First+f.share(i), o.First+o.Connections
		mine.Connections = f.share(i+1) - f.share(i)
		// The bound holds for the whole fleet.
		mine.InFlight = max(o.InFlight/len(f.clients), min(o.InFlight, 1))
		return request{Op: opOpen, Options: &mine}
	})
	go func() {
		_, err := wait()
		result <- err
	}()
	return result
}

// share returns the first connection of process i: equal parts, so that none is the
// slowest.
func (f *Fleet) share(i int) int { return f.options.Connections * i / len(f.clients) }

// owner returns the process of a connection, and its number there.
func (f *Fleet) owner(conn int) (client, number int) {
	for client = len(f.clients) - 1; client > 0 && conn < f.share(client); client-- {
	}
	return client, conn - f.share(client)
}

// AwaitAsync begins to wait until every connection has received as many distinct
// events of a lane since Connect. The channel gets one value.
func (f *Fleet) AwaitAsync(ctx context.Context, lane int, events uint64) <-chan error {
	result := make(chan error, 1)
	wait := f.send(ctx, func(int) request { return request{Op: opAwait, Lane: lane, Events: events} })
	go func() {
		_, err := wait()
		result <- err
	}()
	return result
}

// Counts returns the sums over all processes.
func (f *Fleet) Counts(ctx context.Context) (Totals, error) {
	answers, err := f.all(ctx, func(int) request { return request{Op: opCounts} })
	var sum Totals
	for _, a := range answers {
		if a.Totals != nil {
			sum = sum.Add(*a.Totals)
		}
	}
	return sum, err
}

// Latencies returns the latencies of all events since the last call with reset.
func (f *Fleet) Latencies(ctx context.Context, reset bool) (*hdrhistogram.Histogram, error) {
	return f.histogram(ctx, request{Op: opLatencies, Reset: reset})
}

// ConnectTimes returns how long each connection took from connect to its last
// subscription.
func (f *Fleet) ConnectTimes(ctx context.Context) (*hdrhistogram.Histogram, error) {
	return f.histogram(ctx, request{Op: opConnects})
}

func (f *Fleet) histogram(ctx context.Context, q request) (*hdrhistogram.Histogram, error) {
	answers, err := f.all(ctx, func(int) request { return q })
	sum := NewLatencies()
	for _, a := range answers {
		if a.Latencies != nil {
			sum.Merge(hdrhistogram.Import(a.Latencies))
		}
	}
	return sum, err
}

// Join makes a connection of a fleet without a channel a member of channel as user,
// and returns how many members it was told of, itself among them.
func (f *Fleet) Join(ctx context.Context, conn int, channel string, user uint32) (members int, err error) {
	a, err := f.one(ctx, conn, request{Op: opJoin, Channel: channel, User: user})
	return a.Members, err
}

// Leave ends a membership.
func (f *Fleet) Leave(ctx context.Context, conn int, channel string) error {
	_, err := f.one(ctx, conn, request{Op: opLeave, Channel: channel})
	return err
}

// Send makes a connection send perSecond client events a second to its channel, with
// data of size bytes. Zero stops it and returns how many it sent.
func (f *Fleet) Send(ctx context.Context, conn, perSecond, size int) (sent uint64, err error) {
	a, err := f.one(ctx, conn, request{Op: opSend, Rate: perSecond, Size: size})
	return a.Sent, err
}

// one asks the process of a connection.
func (f *Fleet) one(ctx context.Context, conn int, q request) (response, error) {
	client, number := f.owner(conn)
	q.Conn = number
	return f.clients[client].send(ctx, q)()
}

// Disconnect closes all connections. The processes stay for the next Connect.
func (f *Fleet) Disconnect(ctx context.Context) error {
	_, err := f.all(ctx, func(int) request { return request{Op: opClose} })
	return err
}

// Close ends the processes, and their connections with them.
func (f *Fleet) Close() {
	for _, c := range f.clients {
		c.child.Stop(0)
	}
}

func (f *Fleet) all(ctx context.Context, newRequest func(i int) request) ([]response, error) {
	return f.send(ctx, newRequest)()
}

// send sends a request to each process and returns a function that waits for the
// answers. The requests are out when it returns.
func (f *Fleet) send(ctx context.Context, newRequest func(i int) request) func() ([]response, error) {
	waits := make([]func() (response, error), len(f.clients))
	for i, c := range f.clients {
		waits[i] = c.send(ctx, newRequest(i))
	}
	return func() ([]response, error) {
		answers := make([]response, len(waits))
		var errs []error
		for i, wait := range waits {
			var err error
			if answers[i], err = wait(); err != nil {
				errs = append(errs, fmt.Errorf("client process %d: %w", i, err))
			}
		}
		return answers, errors.Join(errs...)
	}
}
