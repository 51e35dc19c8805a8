package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// scrapeInterval is how often a watcher reads the metrics.
	scrapeInterval = time.Second

	// maxStreamLine bounds a line of a stream.
	maxStreamLine = 8 << 20
)

// watcher looks at a server as an operator does: a page of its dashboard, and
// Prometheus.
type watcher struct {
	base   string
	client http.Client
	ctx    context.Context // of the run
	seen   struct {
		frames, tailed, scrapes atomic.Int64 // tailed events, and those said to be left out
	}

	cancel  context.CancelFunc
	looking sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

// newWatcher logs in.
func newWatcher(ctx context.Context, base, password string) (*watcher, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	w := &watcher{base: base, ctx: ctx, cancel: func() {}}
	w.client = http.Client{
		Jar:           jar,
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/reverb/login", strings.NewReader(url.Values{"password": {password}}.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return nil, fmt.Errorf("POST /reverb/login: %s", response.Status)
	}
	return w, nil
}

// start begins to look, and returns once both streams have begun.
func (w *watcher) start() error {
	w.seen.frames.Store(0)
	w.seen.tailed.Store(0)
	w.seen.scrapes.Store(0)
	ctx, cancel := context.WithCancel(w.ctx)
	w.cancel = cancel
	live, err := w.get(ctx, "/reverb/live")
	if err != nil {
		cancel()
		return err
	}
	tail, err := w.get(ctx, "/reverb/tail")
	if err != nil {
		cancel()
		_ = live.Close()
		return err
	}
	w.looking.Go(func() { w.follow(ctx, live, func(string) { w.seen.frames.Add(1) }) })
	w.looking.Go(func() { w.follow(ctx, tail, w.onTail) })
	w.looking.Go(func() { w.scrape(ctx) })
	return nil
}

// stop ends looking. It may be called again.
func (w *watcher) stop() {
	w.cancel()
	w.looking.Wait()
	w.client.CloseIdleConnections()
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// fail keeps an error that comes before looking ends.
func (w *watcher) fail(ctx context.Context, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && ctx.Err() == nil {
		w.err = err
	}
}

func (w *watcher) get(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return response.Body, nil
}

// follow reads messages until the stream or looking ends.
func (w *watcher) follow(ctx context.Context, stream io.ReadCloser, message func(data string)) {
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxStreamLine)
	for lines.Scan() {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			message(data)
		}
	}
	w.fail(ctx, fmt.Errorf("a stream of the dashboard ended: %v", lines.Err()))
}

func (w *watcher) onTail(data string) {
	var e struct{ Dropped int64 }
	if strings.Contains(data, `"dropped":`) && json.Unmarshal([]byte(data), &e) == nil && e.Dropped > 0 {
		w.seen.tailed.Add(e.Dropped)
		return
	}
	w.seen.tailed.Add(1)
}

func (w *watcher) scrape(ctx context.Context) {
	again := time.NewTicker(scrapeInterval)
	defer again.Stop()
	for {
		body, err := w.get(ctx, "/metrics")
		if err != nil {
			w.fail(ctx, err)
			return
		}
		n, err := io.Copy(io.Discard, body)
		_ = body.Close()
		if err != nil || n == 0 {
			w.fail(ctx, fmt.Errorf("GET /metrics: %d bytes: %v", n, err))
			return
		}
		w.seen.scrapes.Add(1)
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}
