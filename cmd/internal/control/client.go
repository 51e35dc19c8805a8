package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"resound/cmd/internal/monitor"
)

// ErrNoServer says that no node answers on a socket.
var ErrNoServer = errors.New("no server is running")

const (
	// answerTimeout is how long a node may take to begin an answer.
	answerTimeout = 30 * time.Second

	// maxLineBytes bounds a line of a stream: an event with its data.
	maxLineBytes = 128 << 20
)

// Client asks a node. Safe for concurrent use.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a client of the socket at path. Close it.
func NewClient(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		ResponseHeaderTimeout: answerTimeout,
	}
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the node's snapshot, and the nodes of its cluster.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.get(ctx, "/status", nil, &s)
}

// Credentials returns those of an app, or of the only app.
func (c *Client) Credentials(ctx context.Context, app string) (out Credentials, err error) {
	return out, c.get(ctx, "/credentials", url.Values{"app": {app}}, &out)
}

// Reload makes the node read its configuration again.
func (c *Client) Reload(ctx context.Context) (out Reloaded, err error) {
	body, err := c.do(ctx, http.MethodPost, "/reload", nil, nil)
	if err != nil {
		return out, err
	}
	defer body.Close()
	return out, json.NewDecoder(body).Decode(&out)
}

// Export copies the history since a time to w.
func (c *Client) Export(ctx context.Context, w io.Writer, format string, since time.Time) error {
	body, err := c.do(ctx, http.MethodGet, "/history", url.Values{"format": {format}, "since": {strconv.FormatInt(since.Unix(), 10)}}, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}

// Import puts an export into the history. The node answers when all of it is
// written.
func (c *Client) Import(ctx context.Context, r io.Reader) (out Imported, err error) {
	body, err := c.do(ctx, http.MethodPost, "/history", nil, r)
	if err != nil {
		return out, err
	}
	defer body.Close()
	return out, json.NewDecoder(body).Decode(&out)
}

// RecordCustom gives custom metrics to the node of a process: whoever else answers on
// the socket takes none.
func (c *Client) RecordCustom(ctx context.Context, pid int, metrics []monitor.Custom) error {
	text, err := json.Marshal(metrics)
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, "/custom-metrics", url.Values{"pid": {strconv.Itoa(pid)}}, bytes.NewReader(text))
	if err != nil {
		return err
	}
	return body.Close()
}

// DashboardLink returns a link that opens the dashboard once.
func (c *Client) DashboardLink(ctx context.Context) (out Link, err error) {
	body, err := c.do(ctx, http.MethodPost, "/dashboard-link", nil, nil)
	if err != nil {
		return out, err
	}
	defer body.Close()
	return out, json.NewDecoder(body).Decode(&out)
}

// Connections calls yield for each connection.
func (c *Client) Connections(ctx context.Context, q ConnectionQuery, yield func(*Connection) error) error {
	return stream(ctx, c, "/connections", url.Values{"app": {q.App}, "channel": {q.Channel}}, yield)
}

// Channels calls yield for each channel.
func (c *Client) Channels(ctx context.Context, app, prefix string, yield func(*Channel) error) error {
	return stream(ctx, c, "/channels", url.Values{"app": {app}, "prefix": {prefix}}, yield)
}

// Tail calls yield for each event from now on, until ctx or the node ends; begun
// is called when the node has begun to watch.
func (c *Client) Tail(ctx context.Context, q TailQuery, begun func(), yield func(*Event) error) error {
	body, err := c.do(ctx, http.MethodGet, "/tail", url.Values{"app": {q.App}, "channel": {q.Channel}, "event": {q.Event}}, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	begun()
	return eachLine(body, yield)
}

// Restart has another process take the node's port over. It returns once that
// one answers.
func (c *Client) Restart(ctx context.Context) (Restarted, error) {
	var done Restarted
	body, err := c.do(ctx, http.MethodPost, "/restart", nil, nil)
	if err != nil {
		return done, err
	}
	defer body.Close()
	return done, json.NewDecoder(body).Decode(&done)
}

// Stop makes the node drain, and returns when it is about to end, ctx ends, or
// the process does.
func (c *Client) Stop(ctx context.Context) error {
	process := c.process()
	defer process.close()
	body, err := c.do(ctx, http.MethodPost, "/stop", nil, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, _ = io.Copy(io.Discard, body) // the node ends it by closing the connection
	if err := ctx.Err(); err != nil {
		return err
	}
	return process.wait(ctx)
}

// get asks for one value.
func (c *Client) get(ctx context.Context, path string, query url.Values, into any) error {
	body, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(into)
}

// do sends a request and returns the body of a 200.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, send io.Reader) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "resound", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), send)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	if response.StatusCode == http.StatusOK {
		return response.Body, nil
	}
	defer response.Body.Close()
	var f failure
	if err := json.NewDecoder(response.Body).Decode(&f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("the server answers %s", response.Status)
	}
	return nil, errors.New(f.Error)
}

// explain says what to do about a socket that cannot be used.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s", ErrNoServer, c.path)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%s may be used by the user of the server only", c.path)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("%s: %w", c.path, u.Err)
	}
	return err
}

// stream asks for lines.
func stream[T any](ctx context.Context, c *Client, path string, query url.Values, yield func(*T) error) error {
	body, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return eachLine(body, yield)
}

func eachLine[T any](body io.Reader, yield func(*T) error) error {
	scanner := bufio.NewScanner(body)
	scanner.Buffer(nil, maxLineBytes)
	for scanner.Scan() {
		v := new(T)
		if err := json.Unmarshal(scanner.Bytes(), v); err != nil {
			return err
		}
		if err := yield(v); err != nil {
			return err
		}
	}
	return scanner.Err()
}
