package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

var (
	// ErrQueueFull is Put's answer when an event would cross the queue's limits.
	ErrQueueFull = errors.New("the queue is full")

	// ErrQueueClosed is Put's answer after Close.
	ErrQueueClosed = errors.New("the queue is closed")
)

// Destination is a URL of one app: what has a queue and a sender of its own.
type Destination struct {
	AppID string
	URL   string
}

// Record is one accepted event. Immutable: the queues of several destinations
// share its bytes.
type Record struct {
	// ID names the event at its destination, the same however often and from
	// whichever node it is sent. Where Event.ID gave none it is set by Peek of an
	// Outbox that nodes share, and empty otherwise. Visible ASCII without commas.
	ID    string
	Event json.RawMessage // the event as it stands in the body
	At    time.Time       // when it was accepted, after any hold-back
	Condition
}

// Condition says when an Outbox that nodes share leaves a record out. The zero value is
// never; at most one of Number, Once and Teller is set.
type Condition struct {
	Subject string        `json:"subject,omitempty"` // what Number and Once are about
	Number  uint64        `json:"number,omitempty"`  // left out after a higher number
	Once    time.Duration `json:"once,omitempty"`    // left out within that time after another
	Teller  string        `json:"teller,omitempty"`  // left out when that one's work fell to another, who tells it
}

// Outbox stands between the events that were accepted and the senders. The one
// in memory belongs to one node. One that nodes share gives each record to the
// sender of one node at a time.
type Outbox interface {
	// Open returns the queue of to. It is called again only after the queue it
	// returned before was closed.
	Open(to Destination) (Queue, error)
}

// Queue holds the records of one destination in the order they were put. Put is
// called from any goroutine, the others from one sender.
type Queue interface {
	// Put adds r at the end. It never blocks and does no I/O: a shared queue
	// buffers. ErrQueueFull and ErrQueueClosed mean that r was not taken.
	Put(r Record) error

	// Peek returns the oldest records, at most maxEvents, and after the first
	// only as many as keep their events within maxBytes. It waits for one until
	// ctx ends, and answers from what is there even when ctx has ended already.
	// The slice is valid until the next call.
	Peek(ctx context.Context, maxEvents, maxBytes int) ([]Record, error)

	// Remove forgets the n oldest records, which Peek has returned.
	Remove(n int)

	// Size returns what waits.
	Size() (events, bytes int)

	// Close ends the queue and returns the records that only this process holds.
	Close() []Record
}
