package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"resound/cmd/internal/config"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/history"
)

// Errors of a Node.
var (
	ErrUnknownApp = errors.New("no app has this id")
	ErrTooMany    = errors.New("too many watch the events already")
)

// Node is what the socket shows and commands. Safe for concurrent use.
type Node interface {
	Snapshot() monitor.Snapshot

	// Nodes returns the nodes of the cluster, this one first and alone while the
	// others are out of reach; nil when the node is alone for good.
	Nodes(ctx context.Context) []monitor.Node

	// Connections calls yield for every open connection that q asks for, until it
	// returns an error. It takes its time, so as not to hold the reactors up.
	// ErrUnknownApp says that q names no app.
	Connections(ctx context.Context, q ConnectionQuery, yield func(*Connection) error) error

	// Channels returns the occupied channels, by app and name.
	Channels(app, prefix string) ([]Channel, error)

	// Tail returns the events from now on. The caller must close it.
	Tail(q TailQuery) (*Feed, error)

	// Credentials are those of an app; an empty id means the only one there is.
	Credentials(app string) (Credentials, error)

	// Reload reads the configuration again. An error leaves the old one.
	Reload(ctx context.Context) (Reloaded, error)

	// Restart starts another process, which takes the port over, and begins to
	// drain. It returns the new process's id. An error leaves this one running.
	Restart(ctx context.Context) (pid int, err error)

	// Stop begins to drain.
	Stop()

	// RecordCustom takes the custom metrics of the process before this one.
	RecordCustom(metrics []monitor.Custom) error

	WriteMetrics(w io.Writer) error

	// History is the file of the node's figures, nil when it keeps none.
	History() *history.Store

	// DashboardLink makes a link that opens the dashboard once.
	DashboardLink() (string, error)
}

// Status is the answer of Client.Status.
type Status struct {
	monitor.Snapshot
	Nodes []monitor.Node `json:"nodes"` // Node.Nodes
}

// ConnectionQuery chooses connections; an empty field chooses all.
type ConnectionQuery struct {
	App     string // id
	Channel string // whole name
}

// Connection is an open connection.
type Connection struct {
	SocketID      string   `json:"socket_id"`
	App           string   `json:"app"`
	User          string   `json:"user,omitempty"`   // signed in as, or a member as
	Remote        string   `json:"remote,omitempty"` // the client: host:port, or the host alone if a proxy told no more
	Transport     string   `json:"transport"`        // "websocket" or "http"
	AgeSeconds    int64    `json:"age_seconds"`
	IdleSeconds   *float64 `json:"idle_seconds"` // since the last bytes came; null over HTTP and on the Unix socket
	Subscriptions int      `json:"subscriptions"`
	QueuedBytes   int      `json:"queued_bytes"` // wait in the node
	UnsentBytes   int      `json:"unsent_bytes"` // wait in the kernel
	RTT           *float64 `json:"rtt_ms"`       // as the kernel measures; null over HTTP and on the Unix socket
}

// Channel is an occupied channel.
type Channel struct {
	App           string `json:"app"`
	Name          string `json:"channel"`
	Subscriptions int    `json:"subscriptions"`
	Users         int    `json:"users"` // of presence channels
}

// TailQuery chooses events; an empty field chooses all. In globs * stands for any
// characters.
type TailQuery struct {
	App     string // id
	Channel string // glob
	Event   string // glob
}

// Event is one that passed, or, with Dropped alone, the number of those that were
// lost since the line before.
type Event struct {
	At       time.Time       `json:"time,omitzero"`
	App      string          `json:"app,omitempty"`
	Channel  string          `json:"channel,omitempty"`
	Name     string          `json:"event,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`      // as it was published: a string, when the application did
	UserID   json.RawMessage `json:"user_id,omitempty"`   // of a member that sent it
	SocketID string          `json:"socket_id,omitempty"` // that sends it or must not get it
	Source   string          `json:"source,omitempty"`    // "api" or "client"

	Dropped uint64 `json:"dropped,omitempty"`
}

// Credentials of an app, and where its HTTP API is.
type Credentials struct {
	App    string `json:"app"`
	Key    string `json:"key"`
	Secret string `json:"secret"`
	URL    string `json:"url"` // with the prefix of the path, without a slash at its end
}

// Imported is what an import did.
type Imported struct {
	Points  int `json:"points"`
	Expired int `json:"expired"` // of them, left out: older than what is kept
}

// Link is a link that works once.
type Link struct {
	URL string `json:"url"`
}

// Reloaded is what a reload did.
type Reloaded struct {
	Difference config.Difference `json:"difference"`
	Warnings   []string          `json:"warnings,omitempty"`
}

// Restarted is the answer of Client.Restart.
type Restarted struct {
	PID int `json:"pid"` // of the new process
}
