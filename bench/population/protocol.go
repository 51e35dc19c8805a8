package population

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A client process reads one request per line and answers each with one line, in
// the order in which they finish; Number ties the two together.
//
//	{"number":1,"op":"open","options":{...}}       all connections are subscribed
//	{"number":2,"op":"await","events":8}           each has 8 distinct events
//	{"number":3,"op":"totals","reset":true}        what was seen
//	{"number":4,"op":"close"}                      all connections are gone
type request struct {
	Number  int           `json:"number"`
	Op      string        `json:"op"`
	Timeout time.Duration `json:"timeout,omitempty"` // for this request, in nanoseconds
	Options *Options      `json:"options,omitempty"`
	Events  uint64        `json:"events,omitempty"`
	Reset   bool          `json:"reset,omitempty"`
}

const (
	opOpen   = "open"
	opAwait  = "await"
	opTotals = "totals"
	opClose  = "close"
)

type response struct {
	Number    int                    `json:"number"`
	Error     string                 `json:"error,omitempty"`
	Totals    *Totals                `json:"totals,omitempty"`
	Latencies *hdrhistogram.Snapshot `json:"latencies,omitempty"`
}
