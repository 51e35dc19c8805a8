package population

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// client is the state of a client process. Owned by Serve; requests that wait run
// on goroutines of their own, which touch only output.
type client struct {
	population *Population

	mu     sync.Mutex
	output *json.Encoder
}

// Serve runs a client process: it answers the requests read from input on output
// until input ends, then closes what is open.
func Serve(input io.Reader, output io.Writer) error {
	c := &client{output: json.NewEncoder(output)}
	ctx, cancel := context.WithCancel(context.Background())
	var pending sync.WaitGroup
	defer pending.Wait()
	defer cancel()
	defer func() { c.close() }()
	for decoder := json.NewDecoder(input); ; {
		var r request
		if err := decoder.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read request: %w", err)
		}
		answer, err := c.prepare(r)
		if err != nil {
			c.write(response{Number: r.Number, Error: err.Error()})
			continue
		}
		pending.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, r.Timeout)
			defer cancel()
			answer := answer(ctx)
			answer.Number = r.Number
			c.write(answer)
		})
	}
}

// prepare does what must happen in order and returns the rest, which may wait.
func (c *client) prepare(r request) (func(context.Context) response, error) {
	switch {
	case r.Op == opOpen && c.population == nil && r.Options != nil:
		p, err := Open(*r.Options)
		if err != nil {
			return nil, err
		}
		c.population = p
		return func(ctx context.Context) response { return outcome(p.Connect(ctx)) }, nil
	case r.Op == opClose:
		c.close()
		return func(context.Context) response { return response{} }, nil
	case c.population == nil:
		return nil, fmt.Errorf("request %q without an open population", r.Op)
	}
	p := c.population
	switch r.Op {
	case opAwait:
		return func(ctx context.Context) response { return outcome(p.Await(ctx, r.Events)) }, nil
	case opTotals:
		return func(ctx context.Context) response {
			totals, latencies, err := p.Totals(ctx, r.Reset)
			if err != nil {
				return outcome(err)
			}
			return response{Totals: &totals, Latencies: latencies.Export()}
		}, nil
	default:
		return nil, fmt.Errorf("request %q is unknown or out of order", r.Op)
	}
}

func (c *client) close() {
	if c.population != nil {
		c.population.Close()
		c.population = nil
	}
}

// write sends one answer. When the coordinator is gone there is nobody to tell;
// the end of input ends the process.
func (c *client) write(r response) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.output.Encode(r)
}

func outcome(err error) response {
	if err != nil {
		return response{Error: err.Error()}
	}
	return response{}
}
