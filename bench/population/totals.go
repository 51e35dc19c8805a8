package population

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bounds of the latency histograms, in microseconds: longer ones count as the
// longest. Two significant figures keep a histogram at 20 kB.
const (
	minLatencyMicros  = 1
	maxLatencyMicros  = int64(time.Minute / time.Microsecond)
	latencyPrecision  = 2
	maxReportedErrors = 5
)

// NewLatencies returns an empty histogram of microseconds.
func NewLatencies() *hdrhistogram.Histogram {
	return hdrhistogram.New(minLatencyMicros, maxLatencyMicros, latencyPrecision)
}

// Totals is what a population has seen since it was opened.
type Totals struct {
	Subscribed int    `json:"subscribed"` // connections that hold their subscription now
	Failed     int    `json:"failed"`     // connections that never got that far
	Retried    int    `json:"retried"`    // connections refused before it and tried again
	Dropped    int    `json:"dropped"`    // connections lost after it
	Received   uint64 `json:"received"`   // distinct events
	Duplicated uint64 `json:"duplicated"` // events received again
	Reordered  uint64 `json:"reordered"`  // distinct events that came after a later one
	Foreign    uint64 `json:"foreign"`    // messages that are neither events of ours nor protocol
	Pings      uint64 `json:"pings"`      // answered

	// Frame sizes of the events, header included; 0 when there were none.
	MinFrameBytes int `json:"min_frame_bytes"`
	MaxFrameBytes int `json:"max_frame_bytes"`

	Errors []string `json:"errors,omitempty"` // the first few different ones
}

// Add returns the totals of two populations together.
func (t Totals) Add(u Totals) Totals {
	t.Subscribed += u.Subscribed
	t.Failed += u.Failed
	t.Retried += u.Retried
	t.Dropped += u.Dropped
	t.Received += u.Received
	t.Duplicated += u.Duplicated
	t.Reordered += u.Reordered
	t.Foreign += u.Foreign
	t.Pings += u.Pings
	if t.MinFrameBytes == 0 || u.MinFrameBytes != 0 && u.MinFrameBytes < t.MinFrameBytes {
		t.MinFrameBytes = u.MinFrameBytes
	}
	t.MaxFrameBytes = max(t.MaxFrameBytes, u.MaxFrameBytes)
	for _, e := range u.Errors {
		t.noteError(e)
	}
	return t
}

// noteError keeps text unless it is known or there are enough.
func (t *Totals) noteError(text string) {
	if len(t.Errors) >= maxReportedErrors {
		return
	}
	for _, known := range t.Errors {
		if known == text {
			return
		}
	}
	t.Errors = append(t.Errors, text)
}

// noteFrame counts the size of an event's frame.
func (t *Totals) noteFrame(bytes int) {
	if t.MinFrameBytes == 0 || bytes < t.MinFrameBytes {
		t.MinFrameBytes = bytes
	}
	t.MaxFrameBytes = max(t.MaxFrameBytes, bytes)
}
