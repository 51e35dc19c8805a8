package population

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A client process reads one request per line and answers each with one line, in
// the order in which they finish; Number ties the two together.
//
//	{"number":1,"op":"open","options":{...}}                       all connections are subscribed
//	{"number":2,"op":"await","lane":0,"events":8}                  each has 8 distinct events of the lane
//	{"number":3,"op":"counts"}                                     what was seen
//	{"number":4,"op":"latencies","reset":true}                     how late the events were
//	{"number":5,"op":"connects"}                                   how long connecting took
//	{"number":6,"op":"join","conn":0,"channel":"c","user":9}       the connection is a member
//	{"number":7,"op":"leave","conn":0,"channel":"c"}               it will not be
//	{"number":8,"op":"send","conn":0,"rate":100,"size":100}        it sends client events
//	{"number":9,"op":"close"}                                      all connections are gone
type request struct {
	Number  int           `json:"number"`
	Op      string        `json:"op"`
	Timeout time.Duration `json:"timeout,omitempty"` // for this request, in nanoseconds
	Options *Options      `json:"options,omitempty"`
	Lane    int           `json:"lane,omitempty"`
	Events  uint64        `json:"events,omitempty"`
	Reset   bool          `json:"reset,omitempty"`
	Conn    int           `json:"conn,omitempty"`
	Channel string        `json:"channel,omitempty"`
	User    uint32        `json:"user,omitempty"`
	Rate    int           `json:"rate,omitempty"`
	Size    int           `json:"size,omitempty"`
}

const (
	opOpen      = "open"
	opAwait     = "await"
	opCounts    = "counts"
	opLatencies = "latencies"
	opConnects  = "connects"
	opJoin      = "join"
	opLeave     = "leave"
	opSend      = "send"
	opClose     = "close"
)

type response struct {
	Number    int                    `json:"number"`
	Error     string                 `json:"error,omitempty"`
	Totals    *Totals                `json:"totals,omitempty"`
	Latencies *hdrhistogram.Snapshot `json:"latencies,omitempty"`
	Members   int                    `json:"members,omitempty"` // that the roster counts
	Sent      uint64                 `json:"sent,omitempty"`    // client events
}
