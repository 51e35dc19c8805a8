package rest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"resound/bench/wire"
)

// Target is where the HTTP API is.
type Target struct {
	Address string // IP:PORT
	Host    string // value of the Host field
	Prefix  string // path under which the server is mounted, "" for none
	App     wire.App
}

// Publisher asks the API, one request after the other, over one keep-alive
// connection. A server that closes the connection behind each answer costs it a
// connect per request.
type Publisher struct {
	target   Target
	conn     net.Conn // nil when it must be dialed
	pinned   bool     // never dialed again
	request  []byte
	received []byte
}

// NewPublisher returns a publisher that has not connected yet.
func NewPublisher(t Target) *Publisher { return &Publisher{target: t} }

// Trigger publishes one event on channel for each data, several as one batch, and
// returns when the server has answered 200, by deadline.
func (p *Publisher) Trigger(channel string, data [][]byte, deadline time.Time) error {
	if len(data) < 1 || len(data) > wire.MaxBatchEvents {
		return fmt.Errorf("batch of %d events, want 1 to %d", len(data), wire.MaxBatchEvents)
	}
	app := p.target.App
	path, body := app.EventsPath(), wire.AppendTriggerBody(nil, channel, data[0])
	if len(data) > 1 {
		path, body = app.BatchPath(), wire.AppendBatchBody(nil, channel, data)
	}
	p.request = app.AppendPost(p.request[:0], p.target.Host, p.target.Prefix, path, body, time.Now().Unix())
	if _, err := p.ask(deadline); err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	return nil
}

// Get asks for path, signed, and returns the body of the answer 200, valid until the
// next call.
func (p *Publisher) Get(path string, deadline time.Time) ([]byte, error) {
	p.request = p.target.App.AppendGet(p.request[:0], p.target.Host, p.target.Prefix, path, time.Now().Unix())
	body, err := p.ask(deadline)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", path, err)
	}
	return body, nil
}

// ask sends the request and returns the body of the answer 200.
func (p *Publisher) ask(deadline time.Time) ([]byte, error) {
	reused := p.conn != nil
	response, err := p.roundTrip(deadline)
	if reused && closedIdle(err) {
		// Closed before our request came: had the server seen it nevertheless, the
		// subscribers would count its events as repeated.
		response, err = p.roundTrip(deadline)
	}
	if err != nil {
		return nil, err
	}
	if response.Status != 200 {
		return nil, fmt.Errorf("answered status %d: %.200s", response.Status, strings.TrimSpace(string(response.Body)))
	}
	return response.Body, nil
}

// closedIdle reports whether the server closed a kept connection without an answer,
// by its end or, when our request crossed it, by a reset.
func closedIdle(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// roundTrip sends the request and reads its response, valid until the next call.
// The connection is closed on every error.
func (p *Publisher) roundTrip(deadline time.Time) (response wire.Response, err error) {
	defer func() {
		if err != nil || response.Last {
			p.Close()
		}
	}()
	if p.conn == nil {
		if p.pinned {
			return wire.Response{}, ErrPinned
		}
		if p.conn, err = net.DialTimeout("tcp", p.target.Address, time.Until(deadline)); err != nil {
			return wire.Response{}, err
		}
	}
	if err := p.conn.SetDeadline(deadline); err != nil {
		return wire.Response{}, err
	}
	if _, err := p.conn.Write(p.request); err != nil {
		return wire.Response{}, err
	}
	p.received = p.received[:0]
	for chunk := make([]byte, 4096); ; {
		n, err := p.conn.Read(chunk)
		p.received = append(p.received, chunk[:n]...)
		if response, parseErr := wire.NextResponse(p.received); response.Bytes > 0 || parseErr != nil {
			return response, parseErr
		}
		if err != nil {
			if len(p.received) > 0 && closedIdle(err) {
				err = io.ErrUnexpectedEOF
			}
			return wire.Response{}, err
		}
	}
}

// Close closes the connection, if any. The next Trigger opens a new one.
func (p *Publisher) Close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}
