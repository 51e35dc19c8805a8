package dashboard

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor/history"
)

const (
	// maxListed is how many channels, and users of a channel, an answer has.
	maxListed = 200

	// maxCharted is how many points of a series an answer has; more are put
	// together.
	maxCharted = 400

	// maxEventBytes bounds the request that sends an event.
	maxEventBytes = 1 << 20

	// maxTailed is how many events a second a page is shown; nobody reads more, and
	// a browser that shows ten thousand answers to nothing else.
	maxTailed = 100

	// tailBeat is how long a tail without events is silent.
	tailBeat = 15 * time.Second
)

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error says that the page left
}

func fail(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": why})
}

// chart is series over time.
type chart struct {
	Step   int64                 `json:"step_seconds"` // between two points
	Times  []int64               `json:"times"`        // seconds since 1970
	Series map[string][]*float64 `json:"series"`       // null where nothing is known
}

// history answers the series that are asked for over the last seconds.
func (d *Dashboard) history(w http.ResponseWriter, r *http.Request) {
	store := d.options.Node.History()
	if store == nil {
		fail(w, http.StatusNotFound, "this server keeps no history (monitoring.storage)")
		return
	}
	q := r.URL.Query()
	seconds, err := strconv.ParseInt(q.Get("seconds"), 10, 64)
	if err != nil || seconds < 60 || seconds > int64(history.CoarseFor/time.Second) {
		fail(w, http.StatusBadRequest, "seconds must be 60 to the length of the history")
		return
	}
	names := q["series"]
	if len(names) == 0 || len(names) > history.MaxSeries {
		fail(w, http.StatusBadRequest, "too few or too many series")
		return
	}
	step := int64(history.FineStep)
	if seconds > int64(history.FineFor/time.Second)/6 {
		step = history.CoarseStep
	}
	every := step * max(1, (seconds+maxCharted*step-1)/(maxCharted*step))
	now := d.options.Now()
	c := newCharting(names, every)
	from := now.Unix() - seconds
	err = store.EachOf(d.life, step, time.Unix(from-from%every, 0), now, names, c.add)
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	c.flush()
	answer(w, &c.chart)
}

// charting puts points together.
type charting struct {
	chart
	names  []string
	at     int64
	sums   []float64
	counts []float64
}

func newCharting(names []string, every int64) *charting {
	c := &charting{names: names, sums: make([]float64, len(names)), counts: make([]float64, len(names))}
	c.Step, c.Times, c.Series = every, []int64{}, make(map[string][]*float64, len(names))
	return c
}

func (c *charting) add(p *history.Point) error {
	if at := p.Time - p.Time%c.Step; at != c.at {
		c.flush()
		c.at = at
	}
	for i, name := range c.names {
		if value, has := p.Values[name]; has {
			c.sums[i] += value
			c.counts[i]++
		}
	}
	return nil
}

func (c *charting) flush() {
	if c.at == 0 {
		return
	}
	c.Times = append(c.Times, c.at)
	for i, name := range c.names {
		var mean *float64
		if c.counts[i] > 0 {
			m := c.sums[i] / c.counts[i]
			mean = &m
		}
		c.Series[name] = append(c.Series[name], mean)
		c.sums[i], c.counts[i] = 0, 0
	}
}

// channels answers the first occupied channels with a prefix.
func (d *Dashboard) channels(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	list, err := d.options.Node.Channels(q.Get("app"), q.Get("prefix"))
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	total := len(list)
	answer(w, map[string]any{"total": total, "channels": append([]control.Channel{}, list[:min(total, maxListed)]...)})
}

func (d *Dashboard) users(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ids, total, err := d.options.Node.Users(q.Get("app"), q.Get("channel"), maxListed)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	answer(w, map[string]any{"total": total, "users": ids})
}

// send publishes an event.
func (d *Dashboard) send(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		fail(w, http.StatusUnsupportedMediaType, "the body must be JSON")
		return
	}
	var e struct{ App, Channel, Event, Data string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxEventBytes)).Decode(&e); err != nil {
		fail(w, http.StatusBadRequest, "the body is not an event")
		return
	}
	if err := d.options.Node.Send(e.App, e.Channel, e.Event, e.Data); err != nil {
		fail(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	answer(w, map[string]bool{"sent": true})
}

// streamTail tells events until the page leaves, its session ends or the dashboard
// does. What a page does not take, and what is above maxTailed, is left out and
// counted.
func (d *Dashboard) streamTail(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if !d.live.enter(false) {
		fail(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	defer d.live.leave(false)
	feed, err := d.options.Node.Tail(control.TailQuery{
		App: strings.Clone(q.Get("app")), Channel: strings.Clone(q.Get("channel")), Event: strings.Clone(q.Get("event")),
	})
	if err != nil {
		fail(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer feed.Close()
	s, allowed := newStream(w), d.renewed(r)
	var p tailPace
	err = s.beat()
	for err == nil {
		e, ok := d.receive(feed, p.leftOut > 0)
		if !ok && d.life.Err() != nil {
			return
		}
		p.leftOut += feed.TakeDropped()
		if p.next(d.options.Now()) {
			if !allowed() {
				return
			}
			if p.leftOut > 0 {
				err = s.sendJSON(&control.Event{Dropped: p.leftOut})
				p.leftOut = 0
			}
		}
		switch {
		case err != nil:
		case !ok:
			err = s.beat()
		case p.take():
			err = s.sendJSON(&e)
		}
	}
}

// tailPace counts the events of a second.
type tailPace struct {
	second  int64
	shown   int
	leftOut uint64 // and not told yet
}

// next reports whether another second has begun.
func (p *tailPace) next(now time.Time) bool {
	if now.Unix() == p.second {
		return false
	}
	p.second, p.shown = now.Unix(), 0
	return true
}

// take reports whether one more event may be shown.
func (p *tailPace) take() bool {
	if p.shown == maxTailed {
		p.leftOut++
		return false
	}
	p.shown++
	return true
}

// receive waits for an event, at most until the page should hear a beat, or soon of
// what was left out.
func (d *Dashboard) receive(feed *control.Feed, soon bool) (control.Event, bool) {
	wait := tailBeat
	if soon {
		wait = time.Second
	}
	ctx, cancel := context.WithTimeout(d.life, wait)
	defer cancel()
	return feed.Receive(ctx)
}

func (s *stream) sendJSON(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.send(text)
}
