package population

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"resound/bench/process"
)

// defaultRequestTimeout is for requests whose context has no deadline.
const defaultRequestTimeout = time.Minute

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
