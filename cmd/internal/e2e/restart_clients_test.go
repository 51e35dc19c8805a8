package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pace is how often a publisher triggers: a client that does not keep up is closed.
const pace = 10 * time.Millisecond

// publisher triggers numbered events, one after the other. All have to be taken.
type publisher struct {
	api     rest
	event   string
	channel string
	client  *http.Client
	stop    chan struct{}
	done    sync.WaitGroup
	sent    atomic.Int64
	problem atomic.Pointer[error]
}

func publishNumbers(t *testing.T, api rest, channel, event string, keepAlive bool) *publisher {
	t.Helper()
	p := &publisher{
		api: api, event: event, channel: channel, stop: make(chan struct{}),
		client: &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: !keepAlive}},
	}
	p.done.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
			}
			if err := p.once(); err != nil {
				p.problem.Store(&err)
				return
			}
			p.sent.Add(1)
		}
	})
	t.Cleanup(func() { p.end(t) })
	return p
}

func (p *publisher) once() error {
	path := "/apps/" + testApp.id + "/events"
	body := fmt.Sprintf(`{"name":%q,"channel":%q,"data":"%d"}`, p.event, p.channel, p.sent.Load()+1)
	url := p.api.server.url(path) + "?" + p.api.signedQuery(http.MethodPost, path, nil, body)
	response, err := p.client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s", response.Status, text)
	}
	return err
}

// end stops the publisher and returns the number of its last event.
func (p *publisher) end(t *testing.T) int64 {
	t.Helper()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.done.Wait()
	p.client.CloseIdleConnections()
	if err := p.problem.Swap(nil); err != nil {
		t.Errorf("event %d of %s: %v", p.sent.Load()+1, p.event, *err)
	}
	return p.sent.Load()
}

// more waits until n more events were taken.
func (p *publisher) more(t *testing.T, n int64) {
	t.Helper()
	want := p.sent.Load() + n
	eventually(t, fmt.Sprintf("%d more events of %s", n, p.event), func() bool { return p.problem.Load() != nil || p.sent.Load() >= want })
}

// TestPusherJSAcrossARestart has stock clients that stay subscribed while events are
// triggered without a break, and the server hands over. None comes twice or out of
// order, and none is missing but those triggered while a client was on its way.
func TestPusherJSAcrossARestart(t *testing.T) {
	t.Parallel()
	needPackages(t)
	c := startCommanded(t, startOptions{restarts: true, env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"}})
	a := serveApplication(t, testApp)
	s := &stage{server: c.server, application: a, auth: a.URL, driver: drive(t, "client.mjs")}

	const channel = "private-numbers"
	clients := []string{"ann", "bob", "cid", "dan"}
	for _, client := range clients {
		s.pusher(t, client, testApp.key, s.as(client))
		s.expectState(t, client, "connected")
		s.subscribeRaw(t, client, channel)
	}
	// One goes to the new process at once, the other has a connection to the old one.
	publishers := []*publisher{
		publishNumbers(t, c.server.api(), channel, "fresh", false),
		publishNumbers(t, c.server.api(), channel, "kept", true),
	}
	pid := c.cmd.Process.Pid
	for i := range 2 {
		for _, p := range publishers {
			p.more(t, 20)
		}
		var done struct{ PID int }
		c.runJSON(t, &done, "restart")
		for _, client := range clients {
			s.expectState(t, client, "connecting")
			s.expectState(t, client, "connected")
			s.expectEvent(t, client, channel, "pusher:subscription_succeeded")
		}
		eventually(t, "the old process ends", func() bool { return !runs(pid) })
		pid = done.PID
		c.expectOutput(t, fmt.Sprintf(`(?s)(the process before has ended.*){%d}`, i+1))
	}
	for _, p := range publishers {
		p.more(t, 20)
		last := p.end(t)
		for _, client := range clients {
			s.expectWhere(t, client, "event", channel, func(h happening) bool { return h.Event == p.event && numberOf(h) == last })
		}
	}
	for _, client := range clients {
		s.checkNumbers(t, client, channel, 2)
	}
}

// numberOf is what a publisher's event carries; pusher-js reads the text as JSON.
func numberOf(h happening) (n int64) {
	_ = json.Unmarshal(h.Value, &n)
	return n
}

// checkNumbers looks at all numbered events that a client had.
func (s *stage) checkNumbers(t *testing.T, client, channel string, moves int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := map[string]int64{}
	gap := map[string]bool{"fresh": true, "kept": true} // the first may have any number
	subscribed := 0
	for _, h := range s.happenings {
		if h.Client != client || h.Name != "event" || h.Channel != channel {
			continue
		}
		if h.Event == "pusher:subscription_succeeded" {
			subscribed++
			gap["fresh"], gap["kept"] = true, true
			continue
		}
		n := numberOf(h)
		if n != last[h.Event]+1 && (!gap[h.Event] || n <= last[h.Event]) {
			t.Errorf("%s: event %d of %s follows %d", client, n, h.Event, last[h.Event])
		}
		last[h.Event], gap[h.Event] = n, false
	}
	if subscribed != moves+1 {
		t.Errorf("%s: subscribed %d times, want %d", client, subscribed, moves+1)
	}
}
