package population

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	answer, known := operations[r.Op]
	if !known {
		return nil, fmt.Errorf("request %q is unknown or out of order", r.Op)
	}
	p := c.population
	return func(ctx context.Context) response {
		q, err := answer(ctx, p, r)
		if err != nil {
			return outcome(err)
		}
		return q
	}, nil
}

// operations are what an open population can be asked. They may wait.
var operations = map[string]func(context.Context, *Population, request) (response, error){
	opAwait: func(ctx context.Context, p *Population, r request) (response, error) {
		return response{}, p.Await(ctx, r.Lane, r.Events)
	},
	opCounts: func(ctx context.Context, p *Population, _ request) (response, error) {
		totals, err := p.Counts(ctx)
		return response{Totals: &totals}, err
	},
	opLatencies: func(ctx context.Context, p *Population, r request) (response, error) {
		h, err := p.Latencies(ctx, r.Reset)
		return snapshot(h), err
	},
	opConnects: func(ctx context.Context, p *Population, _ request) (response, error) {
		h, err := p.ConnectTimes(ctx)
		return snapshot(h), err
	},
	opJoin: func(ctx context.Context, p *Population, r request) (response, error) {
		members, err := p.Join(ctx, r.Conn, r.Channel, r.User)
		return response{Members: members}, err
	},
	opLeave: func(ctx context.Context, p *Population, r request) (response, error) {
		return response{}, p.Leave(ctx, r.Conn, r.Channel)
	},
	opSend: func(ctx context.Context, p *Population, r request) (response, error) {
		sent, err := p.Send(ctx, r.Conn, r.Rate, r.Size)
		return response{Sent: sent}, err
	},
}

func snapshot(h *hdrhistogram.Histogram) response {
	if h == nil {
		return response{}
	}
	return response{Latencies: h.Export()}
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
