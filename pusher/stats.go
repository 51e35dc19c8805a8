package pusher

import (
	"maps"
	"sync"
	"sync/atomic"

	"resound/channels"
)

// AppStats is what happened to an app on this node, each counter read at its own
// moment. Counters begin when the app is configured.
type AppStats struct {
	Connections   int64          // open now
	Subscriptions int64          // held now
	Opened        uint64         // connections admitted
	Closed        uint64         // connections that ended
	Received      uint64         // messages from clients
	ReceivedBytes uint64         // their payloads
	Sent          uint64         // messages queued for clients
	SentBytes     uint64         // their frames
	ClientEvents  uint64         // events of clients that were relayed
	Triggered     uint64         // events the application triggered here
	CachedBytes   int64          // memory of the last events of cache channels
	CacheDropped  uint64         // last events that were not kept, see AppOptions.MaxCachedBytes
	Errors        map[int]uint64 // errors told to clients, by code

	Requests      uint64 // requests of the HTTP API, once the app was known
	RequestBytes  uint64 // bodies that came
	ResponseBytes uint64 // bodies that went
}

// appCounters are one app's: a tally for each reactor that ever had a connection
// of the app, and what is counted where there is no reactor.
type appCounters struct {
	tallies [channels.MaxReactors]atomic.Pointer[tally]

	triggered     atomic.Uint64
	requests      atomic.Uint64
	requestBytes  atomic.Uint64
	responseBytes atomic.Uint64
}

// tally is one app's on one reactor. Written by the reactor, read by anyone, so
// that counting a delivery never waits for another core.
type tally struct {
	subscriptions atomic.Int64
	opened        atomic.Uint64
	closed        atomic.Uint64
	received      atomic.Uint64
	receivedBytes atomic.Uint64
	sent          atomic.Uint64
	sentBytes     atomic.Uint64
	clientEvents  atomic.Uint64
	errors        errorCounts
	_             [48]byte // own cache lines
}

func (t *tally) receive(bytes int) {
	t.received.Add(1)
	t.receivedBytes.Add(uint64(bytes))
}

func (t *tally) send(messages, bytes int) {
	t.sent.Add(uint64(messages))
	t.sentBytes.Add(uint64(bytes))
}

// errorCounts counts errors by code. Safe for concurrent use.
type errorCounts struct {
	mu     sync.Mutex
	byCode map[int]uint64
}

func (c *errorCounts) add(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byCode == nil {
		c.byCode = make(map[int]uint64)
	}
	c.byCode[code]++
}

func (c *errorCounts) addTo(sum map[int]uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for code, n := range maps.All(c.byCode) {
		sum[code] += n
	}
}

// Stats sums the app's counters. O(reactors). Safe for concurrent use.
func (a *App) Stats() AppStats {
	c := &a.stats
	out := AppStats{
		Connections:   a.connections.Load(),
		Triggered:     c.triggered.Load(),
		CachedBytes:   a.directory.CachedBytes(),
		CacheDropped:  a.directory.CacheDropped(),
		Requests:      c.requests.Load(),
		RequestBytes:  c.requestBytes.Load(),
		ResponseBytes: c.responseBytes.Load(),
		Errors:        make(map[int]uint64),
	}
	for i := range a.node.mailboxes {
		t := c.tallies[i].Load()
		if t == nil {
			continue
		}
		out.Subscriptions += t.subscriptions.Load()
		out.Opened += t.opened.Load()
		out.Closed += t.closed.Load()
		out.Received += t.received.Load()
		out.ReceivedBytes += t.receivedBytes.Load()
		out.Sent += t.sent.Load()
		out.SentBytes += t.sentBytes.Load()
		out.ClientEvents += t.clientEvents.Load()
		t.errors.addTo(out.Errors)
	}
	return out
}

// tally returns the app's on a reactor. Call it on the reactor.
func (a *App) tally(reactor int) *tally {
	t := a.stats.tallies[reactor].Load()
	if t == nil {
		t = &tally{}
		a.stats.tallies[reactor].Store(t)
	}
	return t
}

// CountRequest counts a request of the HTTP API for the app.
func (a *App) CountRequest(requestBytes, responseBytes int) {
	a.stats.requests.Add(1)
	a.stats.requestBytes.Add(uint64(requestBytes))
	a.stats.responseBytes.Add(uint64(responseBytes))
}

// Refusals counts the connections that were refused before they belonged to an
// app, by the code they were closed with.
func (n *Node) Refusals() map[int]uint64 {
	out := make(map[int]uint64)
	n.refusals.addTo(out)
	return out
}
