package population

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"resound/bench/process"
)

// ConnectionsPerSource is how many connections use ports of one source address.
const ConnectionsPerSource = connectionsPerSource

// defaultRequestTimeout is for requests whose context has no deadline.
const defaultRequestTimeout = time.Minute

// Fleet is one population spread over client processes. Its methods are for one
// goroutine, which may call others while what an Async method began goes on.
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
// returns when each holds its subscription.
func (f *Fleet) Connect(ctx context.Context, o Options) error {
	return <-f.ConnectAsync(ctx, o)
}

// ConnectAsync begins what Connect does. The channel gets one value.
func (f *Fleet) ConnectAsync(ctx context.Context, o Options) <-chan error {
	result := make(chan error, 1)
	if capacity := f.limit * len(f.clients); o.Connections > capacity {
		result <- fmt.Errorf("%d connections exceed the %d of %d client processes", o.Connections, capacity, len(f.clients))
		return result
	}
	f.options = o
	wait := f.send(ctx, func(i int) request {
		mine := o
		mine.First, mine.Connections = f.share(i)
		mine.First += o.First
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

// share returns the part of process i: equal ones, so that none is the slowest.
func (f *Fleet) share(i int) (first, connections int) {
	n := len(f.clients)
	first = f.options.Connections * i / n
	return first, f.options.Connections*(i+1)/n - first
}

// AwaitAsync begins to wait until every connection has received as many distinct
// events since Connect. The channel gets one value.
func (f *Fleet) AwaitAsync(ctx context.Context, events uint64) <-chan error {
	result := make(chan error, 1)
	wait := f.send(ctx, func(int) request { return request{Op: opAwait, Events: events} })
	go func() {
		_, err := wait()
		result <- err
	}()
	return result
}

// Totals returns the sums over all processes, and the latencies since the last
// call with reset.
func (f *Fleet) Totals(ctx context.Context, reset bool) (Totals, *hdrhistogram.Histogram, error) {
	answers, err := f.all(ctx, func(int) request { return request{Op: opTotals, Reset: reset} })
	if err != nil {
		return Totals{}, nil, err
	}
	var sum Totals
	latencies := NewLatencies()
	for _, a := range answers {
		sum = sum.Add(*a.Totals)
		latencies.Merge(hdrhistogram.Import(a.Latencies))
	}
	return sum, latencies, nil
}

// Disconnect closes all connections. The processes stay for the next Connect.
func (f *Fleet) Disconnect(ctx context.Context) error {
	_, err := f.all(ctx, func(int) request { return request{Op: opClose} })
	return err
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

// remote is one client process as the coordinator sees it. Safe for concurrent use.
type remote struct {
	child *process.Child

	mu      sync.Mutex
	output  *json.Encoder
	number  int
	pending map[int]chan response
	err     error // why no more answers come
}

func newRemote(child *process.Child) *remote {
	r := &remote{child: child, output: json.NewEncoder(child.Stdin), pending: make(map[int]chan response)}
	go r.readAnswers()
	return r
}

// readAnswers hands each answer to the call that waits for it. It ends when the
// process does, or when its Children is closed.
func (r *remote) readAnswers() {
	for decoder := json.NewDecoder(r.child.Stdout); ; {
		var answer response
		err := decoder.Decode(&answer)
		r.mu.Lock()
		if err != nil {
			r.err = fmt.Errorf("ended: %w", err)
			for _, waiting := range r.pending {
				close(waiting)
			}
			clear(r.pending)
			r.mu.Unlock()
			return
		}
		if waiting, ok := r.pending[answer.Number]; ok {
			waiting <- answer
			delete(r.pending, answer.Number)
		}
		r.mu.Unlock()
	}
}

// send sends q and returns a function that waits for its answer.
func (r *remote) send(ctx context.Context, q request) func() (response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		err := r.err
		return func() (response, error) { return response{}, err }
	}
	r.number++
	q.Number = r.number
	q.Timeout = defaultRequestTimeout
	if deadline, ok := ctx.Deadline(); ok {
		q.Timeout = time.Until(deadline)
	}
	answer := make(chan response, 1)
	r.pending[q.Number] = answer
	if err := r.output.Encode(q); err != nil {
		delete(r.pending, q.Number)
		return func() (response, error) { return response{}, fmt.Errorf("send request: %w", err) }
	}
	return func() (response, error) {
		select {
		case a, ok := <-answer:
			switch {
			case !ok:
				return response{}, r.ended()
			case a.Error != "":
				return response{}, errors.New(a.Error)
			}
			return a, nil
		case <-ctx.Done():
			return response{}, ctx.Err()
		}
	}
}

func (r *remote) ended() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
