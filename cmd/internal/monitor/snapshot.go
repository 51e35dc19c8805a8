package monitor

import "time"

// States of a node.
const (
	StateRunning  = "running"
	StateDraining = "draining"
)

// States of what connects a node with others.
const (
	RedisOff       = "off" // the node is alone
	RedisConnected = "connected"
	RedisDegraded  = "degraded" // out of reach
)

// Snapshot is a node at one moment; each counter is read at a moment of its own.
// Counters begin when the node starts.
type Snapshot struct {
	Version   string    `json:"version"`
	PID       int       `json:"pid"`
	Address   string    `json:"address"` // host:port it listens on
	Unix      string    `json:"unix_socket,omitempty"`
	State     string    `json:"state"` // "running" or "draining"
	StartedAt time.Time `json:"started_at"`
	Uptime    float64   `json:"uptime_seconds"`

	Connections Connections  `json:"connections"`
	Channels    int          `json:"channels"`
	Totals      Totals       `json:"totals"`
	Rates       Rates        `json:"rates"`
	Process     Process      `json:"process"`
	Reactors    []Reactor    `json:"reactors"`
	Apps        []App        `json:"apps"` // in the order of their ids
	HTTP        HTTP         `json:"http"`
	Shield      Shield       `json:"shield"`
	Webhooks    *Webhooks    `json:"webhooks"` // nil: no app has any
	Closes      []CloseCount `json:"closes"`   // the most frequent first
	Errors      []ErrorCount `json:"errors"`   // told to clients, by code
	Refusals    []ErrorCount `json:"refusals"` // connections refused, by code
	Redis       string       `json:"redis"`    // "off", "connected" or "degraded"
	Cluster     *Cluster     `json:"cluster"`  // nil: the node is alone
	Watch       Watch        `json:"watch"`
	Custom      []Custom     `json:"custom"` // counted by the applications, in the order of apps and names
}

// Watch is how the node's own monitoring does.
type Watch struct {
	AlertsFiring      int    `json:"alerts_firing"`       // now
	AlertMessagesLost uint64 `json:"alert_messages_lost"` // could not be sent
	HistoryPointsLost uint64 `json:"history_points_lost"` // could not be written
}

// Connections are open now.
type Connections struct {
	Open    int64 `json:"open"`    // WebSocket, or its substitute over HTTP
	Limit   int64 `json:"limit"`   // 0 means none
	Sockets int64 `json:"sockets"` // TCP, those that speak HTTP excepted
	HTTP    int64 `json:"http"`    // TCP connections that speak HTTP

	Addresses int `json:"addresses"` // of clients whose connections are limited
}

// Totals are counted since the start.
type Totals struct {
	Received            uint64 `json:"messages_received"` // from clients
	Sent                uint64 `json:"messages_sent"`     // to clients
	Opened              uint64 `json:"connections_opened"`
	RejectedHandshakes  uint64 `json:"handshakes_rejected"`
	RefusedSockets      uint64 `json:"sockets_refused"`       // for want of descriptors, or of room for handshakes of TLS
	RefusedForAddress   uint64 `json:"address_limited"`       // connections whose client's address has too many
	RefusedForHeader    uint64 `json:"proxy_headers_refused"` // connections with a PROXY header that may not be, or without one that must
	TLS                 uint64 `json:"tls_handshakes"`
	TLSFailed           uint64 `json:"tls_handshakes_failed"`
	TLSStalled          uint64 `json:"tls_handshakes_stalled"` // closed to make room: their clients kept silent
	RefusedPublications uint64 `json:"publications_refused"`
	ShedPublications    uint64 `json:"publications_shed"`  // of other nodes: too many waited
	Slow                uint64 `json:"slow_connections"`   // closed because they did not read
	Broken              uint64 `json:"broken_connections"` // failed while written to
	Panics              uint64 `json:"panics"`             // recovered, in HTTP requests too
}

// Process is what the process takes of the host.
type Process struct {
	CPUSeconds  float64 `json:"cpu_seconds"`
	MemoryBytes int64   `json:"memory_bytes"`       // resident
	MemoryLimit int64   `json:"memory_limit_bytes"` // of the control group or the host; 0 when not known
	Goroutines  int     `json:"goroutines"`
}

// Reactor is one event loop.
type Reactor struct {
	Connections  int64   `json:"connections"`
	Writes       uint64  `json:"writes"` // write(2) calls
	WrittenBytes uint64  `json:"written_bytes"`
	Mailbox      int     `json:"mailbox"`       // items that wait
	MailboxBytes int64   `json:"mailbox_bytes"` // of publications that wait
	Lag          float64 `json:"lag_seconds"`   // how late its last sweep was
}

// App is one app.
type App struct {
	ID            string `json:"id"`
	Connections   int64  `json:"connections"`
	Channels      int    `json:"channels"`
	Subscriptions int64  `json:"subscriptions"`
	Opened        uint64 `json:"connections_opened"`
	Closed        uint64 `json:"connections_closed"`
	Received      uint64 `json:"messages_received"`
	ReceivedBytes uint64 `json:"received_bytes"`
	Sent          uint64 `json:"messages_sent"`
	SentBytes     uint64 `json:"sent_bytes"`
	ClientEvents  uint64 `json:"client_events"`
	Triggered     uint64 `json:"events_triggered"`
	CachedBytes   int64  `json:"cached_bytes"`
	CacheDropped  uint64 `json:"cache_events_dropped"`
	Requests      uint64 `json:"http_requests"`
	RequestBytes  uint64 `json:"http_request_bytes"`
	ResponseBytes uint64 `json:"http_response_bytes"`
}

// add sums two apps, for those that share a label.
func (a *App) add(b *App) {
	a.Connections += b.Connections
	a.Channels += b.Channels
	a.Subscriptions += b.Subscriptions
	a.Opened += b.Opened
	a.Closed += b.Closed
	a.Received += b.Received
	a.CachedBytes += b.CachedBytes
	a.CacheDropped += b.CacheDropped
	a.ReceivedBytes += b.ReceivedBytes
	a.Sent += b.Sent
	a.SentBytes += b.SentBytes
	a.ClientEvents += b.ClientEvents
	a.Triggered += b.Triggered
	a.Requests += b.Requests
	a.RequestBytes += b.RequestBytes
	a.ResponseBytes += b.ResponseBytes
}

// HTTP is the API and what else speaks HTTP.
type HTTP struct {
	Responses         [6]uint64 `json:"responses"` // by class of status: [2] is 200-299
	SignatureFailures uint64    `json:"signature_failures"`
	RateLimited       uint64    `json:"rate_limited"`
	FallbackSessions  int       `json:"fallback_sessions"` // open now
}

// Shield is the auth shield of all apps.
type Shield struct {
	Asked       uint64 `json:"asked"`
	Shared      uint64 `json:"shared"`
	Cached      uint64 `json:"cached"`
	Refused     uint64 `json:"refused"`
	Unavailable uint64 `json:"unavailable"`
}

// Webhooks are those of all apps.
type Webhooks struct {
	SentEvents     uint64 `json:"sent_events"`
	SentRequests   uint64 `json:"sent_requests"`
	FailedRequests uint64 `json:"failed_requests"`
	Dropped        []Drop `json:"dropped"`
	QueuedEvents   int    `json:"queued_events"` // now
	HeldEvents     int    `json:"held_events"`   // now
	Failing        int    `json:"failing"`       // receivers whose last request failed
}

// Drop counts webhook events that were given up.
type Drop struct {
	Reason string `json:"reason"`
	Events uint64 `json:"events"`
}

// CloseCount counts closed connections.
type CloseCount struct {
	Code   int    `json:"code"` // 1005 had none, 1006 no close frame
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
}

// ErrorCount counts by code.
type ErrorCount struct {
	Code  int    `json:"code"`
	Count uint64 `json:"count"`
}

// Cluster is what a node tells of the others, and of what it exchanges with them.
type Cluster struct {
	Nodes      int    `json:"nodes"`   // this one included; 0 while degraded
	Topics     int    `json:"topics"`  // subscribed on the bus
	Spooled    int    `json:"spooled"` // publications that wait to be sent
	Published  uint64 `json:"published"`
	Received   uint64 `json:"received"`
	Unwanted   uint64 `json:"unwanted"` // received for nobody here
	Junk       uint64 `json:"junk"`     // not understood
	Dropped    uint64 `json:"dropped"`  // publications that did not fit the spool
	Unkept     uint64 `json:"unkept"`   // events of cache channels that Redis had no room to keep
	Unheard    uint64 `json:"unheard"`  // spooled publications that left though a node was not back
	Fenced     uint64 `json:"fenced"`   // times the node lost its lease
	Reconnects uint64 `json:"reconnects"`
}
