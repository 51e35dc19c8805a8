package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/alert"
	"resound/cmd/internal/monitor/history"
)

const (
	// liveInterval is how often a page is told of the figures.
	liveInterval = 2 * time.Second

	// maxStreams is how many streams may be open, 503 above: two for each page.
	maxStreams = 32

	// maxApps is how many apps a page is told of, the first in the order of ids.
	maxApps = 200

	// streamPatience is how long a write to a page may take.
	streamPatience = 10 * time.Second
)

// frame is what a page is told.
type frame struct {
	At       int64             `json:"at"` // milliseconds since 1970
	Snapshot monitor.Snapshot  `json:"snapshot"`
	Nodes    []monitor.Node    `json:"nodes"` // null: the node is alone
	Apps     int               `json:"apps"`  // how many there are
	Largest  []control.Channel `json:"largest"`
	Unranked bool              `json:"unranked"` // there are more than maxRanked channels
	Busiest  []busyChannel     `json:"busiest"`
	Alerts   []alert.State     `json:"alerts"`
	History  *history.State    `json:"history"` // null: none is kept
}

// live makes frames, one for all pages, while somebody looks. Safe for concurrent
// use.
type live struct {
	node  Node
	now   func() time.Time
	rates rates

	mu      sync.Mutex
	streams int    // of both kinds
	pages   int    // that look at figures
	stop    func() // of watching events, while there are pages

	text      []byte // the last frame
	at        time.Time
	largest   []control.Channel
	unranked  bool
	rankAfter time.Time
}

// enter takes the place of a stream; leave must follow unless it answers false.
func (l *live) enter(figures bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams == maxStreams {
		return false
	}
	l.streams++
	if !figures {
		return true
	}
	if l.pages++; l.pages == 1 {
		l.rates.reset(l.now())
		l.rankAfter = time.Time{}
		l.stop, _ = l.node.Watch(l.rates.count) // without a place rates stay empty
	}
	return true
}

func (l *live) leave(figures bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams--
	if !figures {
		return
	}
	if l.pages--; l.pages == 0 {
		l.stop()
		l.text = nil
	}
}

// frame returns the figures as JSON, not older than half of liveInterval.
func (l *live) frame() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.text != nil && now.Sub(l.at) < liveInterval/2 {
		return l.text
	}
	f := frame{At: now.UnixMilli(), Snapshot: l.node.Snapshot(), Busiest: l.rates.top(now), Alerts: l.node.Alerts()}
	f.Nodes = l.node.Nodes(context.Background()) // which bounds it
	f.Apps = len(f.Snapshot.Apps)
	f.Snapshot.Apps = f.Snapshot.Apps[:min(f.Apps, maxApps)]
	l.rank(now, f.Snapshot.Channels)
	f.Largest, f.Unranked = l.largest, l.unranked
	if h := l.node.History(); h != nil {
		state := h.State()
		f.History = &state
	}
	text, err := json.Marshal(&f)
	if err != nil {
		panic(err) // every value of it is finite
	}
	l.text, l.at = text, l.now()
	return text
}

// rank looks for the largest channels, at a pace that costs little. l.mu is held.
func (l *live) rank(now time.Time, channels int) {
	if now.Before(l.rankAfter) {
		return
	}
	if l.unranked = channels > maxRanked; l.unranked {
		l.largest = nil
		return
	}
	all, err := l.node.Channels("", "")
	if err != nil {
		return
	}
	l.largest = largest(all)
	l.rankAfter = now.Add(max(rankingInterval, rankingShare*l.now().Sub(now)))
}

// stream is a text/event-stream under way. Owned by the goroutine of its request.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx shall pass it on at once
	return &stream{w, http.NewResponseController(w)}
}

// send sends one message; text has no line break.
func (s *stream) send(text []byte) error {
	return s.write("data: ", string(text), "\n\n")
}

// beat shows that the stream is there.
func (s *stream) beat() error { return s.write(":\n\n") }

func (s *stream) write(parts ...string) error {
	// A server without deadlines has none to break.
	_ = s.control.SetWriteDeadline(time.Now().Add(streamPatience))
	for _, part := range parts {
		if _, err := s.w.Write([]byte(part)); err != nil {
			return err
		}
	}
	return s.control.Flush()
}

// streamLive tells the figures until the page leaves, its session ends or the
// dashboard does.
func (d *Dashboard) streamLive(w http.ResponseWriter, r *http.Request) {
	if !d.live.enter(true) {
		fail(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	defer d.live.leave(true)
	s := newStream(w)
	tick := time.NewTicker(liveInterval)
	defer tick.Stop()
	allowed := d.renewed(r)
	for allowed() {
		if s.send(d.live.frame()) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-d.life.Done():
			return
		}
	}
}

// renewed returns a function that reports whether a request may still go on. It
// keeps nothing of the request but copies of what decides it.
func (d *Dashboard) renewed(r *http.Request) func() bool {
	again := &http.Request{Host: strings.Clone(r.Host), Header: http.Header{"Cookie": {strings.Clone(r.Header.Get("Cookie"))}}}
	return func() bool { return d.options.Access().Enabled && d.access.allows(again) }
}
