package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"resound/auth"
)

const (
	testSecret = "7ad3773142a6692b25b8"
	testURL    = "http://receiver.test/hook"
)

// testApp is an app whose key is its id and "-key", and whose secret is its own.
func testApp(id string, hooks ...Hook) App {
	return App{ID: id, Key: id + "-key", Secret: auth.NewSecret(testSecret + id), Hooks: hooks}
}

// request is one webhook as it arrived.
type request struct {
	at     time.Time
	url    string
	header http.Header
	body   string
	events []map[string]any
	timeMS int64
}

// parseRequest also checks the signature, with nothing of ours.
func parseRequest(r *http.Request) (request, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return request{}, err
	}
	out := request{at: time.Now(), url: r.URL.String(), header: r.Header, body: string(body)}
	var parsed struct {
		TimeMS int64 `json:"time_ms"`
		Events []map[string]any
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		return out, fmt.Errorf("body %q: %w", body, err)
	}
	out.timeMS, out.events = parsed.TimeMS, parsed.Events
	id, ok := strings.CutSuffix(r.Header.Get("X-Pusher-Key"), "-key")
	mac := hmac.New(sha256.New, []byte(testSecret+id))
	mac.Write(body)
	if want := hex.EncodeToString(mac.Sum(nil)); !ok || r.Header.Get("X-Pusher-Signature") != want {
		return out, fmt.Errorf("signature of key %q is %q, want %q", r.Header.Get("X-Pusher-Key"), r.Header.Get("X-Pusher-Signature"), want)
	}
	return out, nil
}

// receiver is a fake network: it answers every request with what answer says.
type receiver struct {
	t      *testing.T
	answer func(r request, n int) (status int, err error) // n counts requests from 0; nil means 200

	mu       sync.Mutex
	requests []request
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	got, err := parseRequest(req)
	if err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	n := len(r.requests)
	r.requests = append(r.requests, got)
	r.mu.Unlock()
	status := http.StatusOK
	if r.answer != nil {
		if status, err = r.answer(got, n); err != nil {
			return nil, err
		}
	}
	if status == hang {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

// hang is a status that means no answer.
const hang = -1

func (r *receiver) all() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// events returns "name channel [user]" of every event that arrived, in order.
func (r *receiver) events() []string {
	var all []string
	for _, q := range r.all() {
		all = append(all, q.words()...)
	}
	return all
}

func (q request) words() (all []string) {
	for _, e := range q.events {
		words := fmt.Sprint(e["name"], " ", e["channel"])
		if u := e["user_id"]; u != nil {
			words += fmt.Sprint(" ", u)
		}
		all = append(all, words)
	}
	return all
}

// start returns a Dispatcher over the fake network, or over the real one without
// r, where it is closed with the test. Events go at once unless the options say
// otherwise.
func start(t *testing.T, o Options, r *receiver, apps ...App) *Dispatcher {
	t.Helper()
	if r != nil {
		o.transport = r
	}
	if o.BatchInterval == 0 {
		o.BatchInterval = -1
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := New(o, apps)
	if err != nil {
		t.Fatal(err)
	}
	if r == nil {
		// A test that failed must not wait for its receiver.
		t.Cleanup(func() { _ = closeNow(d) })
	}
	return d
}

// closeNow gives a Dispatcher no time at all.
func closeNow(d *Dispatcher) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return d.Close(ctx)
}

func occupied(channel string) Event { return Event{Type: ChannelOccupied, Channel: channel} }
func vacated(channel string) Event  { return Event{Type: ChannelVacated, Channel: channel} }
func added(channel, user string) Event {
	return Event{Type: MemberAdded, Channel: channel, UserID: user}
}

func removed(channel, user string) Event {
	return Event{Type: MemberRemoved, Channel: channel, UserID: user}
}

func wantEvents(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got events %q, want %q", got, want)
	}
}

// logBuffer is a log that tests can read while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) lines(containing string) (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if strings.Contains(line, containing) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
