package bench

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"resound/bench/process"
)

// ErrDeliveries means that events were lost, repeated or came out of order. The
// rates of such a run mean nothing.
var ErrDeliveries = errors.New("deliveries were lost, repeated or reordered")

// ErrRefused means that the server answered requests with another status than 200.
var ErrRefused = errors.New("requests were refused")

// Names of what is measured.
const (
	SubjectServer    = "server"
	SubjectFloor     = "floor"
	SubjectUnchecked = "unchecked" // trigger: the bare server, which checks no signature
)

// subjects are all of them, in the order of the tables.
var subjects = []string{SubjectServer, SubjectFloor, SubjectUnchecked}

// Result is everything about one run.
type Result struct {
	Scenario string          `json:"scenario"`
	Started  time.Time       `json:"started"`
	Commit   string          `json:"commit"`
	Machine  process.Machine `json:"machine"`
	Settings Settings        `json:"settings"`
	Floor    string          `json:"floor,omitempty"` // FloorC or FloorGo, "" without one
	Rounds   []Round         `json:"rounds,omitempty"`
	Medians  []Median        `json:"medians,omitempty"`
	Memory   []Memory        `json:"memory,omitempty"`
	Ratios   []Ratio         `json:"ratios,omitempty"`
	Series   []Series        `json:"series,omitempty"`
	Census   *Census         `json:"census,omitempty"`   // of the million scenario
	Verdicts []string        `json:"verdicts,omitempty"` // what a reader must know before quoting it

	pairs []pair // of modes, to be compared beside server and floor
}

// Round is one measurement of one subject.
type Round struct {
	Number     int     `json:"number"`
	Subject    string  `json:"subject"`
	Mode       string  `json:"mode"`       // what the operations were
	Operations uint64  `json:"operations"` // deliveries, requests or connections
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`

	// Nil, or zero, when the server's processes are not known.
	CPUMicros   *float64 `json:"cpu_micros,omitempty"`   // of the server per operation
	ServerCores *float64 `json:"server_cores,omitempty"` // busy on average
	OtherCores  float64  `json:"other_cores"`            // busy with processes that are no part of the run

	ClientCores float64  `json:"client_cores"` // of all client processes together
	BusiestCore float64  `json:"busiest_core"` // of the busiest of them
	Latency     *Latency `json:"latency,omitempty"`
	Failed      uint64   `json:"failed,omitempty"` // requests with another status than 200

	Refused      uint64 `json:"refused,omitempty"`       // connections, each time
	RefusedAgain int    `json:"refused_again,omitempty"` // connections refused more than once

	// What Latency sums up: at most maxBuckets, empty ones left out.
	Histogram []Bucket `json:"histogram,omitempty"`
}

// Bucket counts the values of a histogram up to its bound and above that of the
// bucket before it.
type Bucket struct {
	UpToMicros int64  `json:"up_to_micros"`
	Count      uint64 `json:"count"`
}

// Series is a value of one subject over time.
type Series struct {
	Subject string  `json:"subject"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Points  []Point `json:"points"`
	Max     float64 `json:"max"` // of all that were read, those that are no points any more too
}

// Point is a value at a time since the start of the run.
type Point struct {
	Seconds float64 `json:"seconds"`
	Value   float64 `json:"value"`
}

// Latency is a distribution in microseconds.
type Latency struct {
	P50 int64 `json:"p50_micros"`
	P90 int64 `json:"p90_micros"`
	P99 int64 `json:"p99_micros"`
	Max int64 `json:"max_micros"`
}

// measured keeps a distribution of microseconds as the round's, unless it is empty.
func (r *Round) measured(h *hdrhistogram.Histogram) {
	if h.TotalCount() == 0 {
		return
	}
	r.Latency = &Latency{P50: h.ValueAtQuantile(50), P90: h.ValueAtQuantile(90), P99: h.ValueAtQuantile(99), Max: h.Max()}
	r.Histogram = bucketsOf(h)
}

// Memory is what connections cost at rest.
type Memory struct {
	Subject            string  `json:"subject"`
	Connections        int     `json:"connections"`
	EmptyBytes         int64   `json:"empty_bytes"`  // resident, before the first connection
	LoadedBytes        int64   `json:"loaded_bytes"` // resident, with all of them, settled
	BytesPerConnection float64 `json:"bytes_per_connection"`
	SettleSeconds      float64 `json:"settle_seconds"`
	Settled            bool    `json:"settled"` // false: it still changed when the wait ended

	// Of the client processes, which are no part of the subject.
	ClientBytesPerConnection float64 `json:"client_bytes_per_connection"`

	// Kernel slabs of the host per connection, both ends of it included.
	KernelBytesPerConnection float64 `json:"kernel_bytes_per_connection"`
}

// WriteJSON writes the result, raw figures included.
func (r Result) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
