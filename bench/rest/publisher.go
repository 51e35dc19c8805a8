package rest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
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

// Publisher triggers events over one keep-alive connection. A server that closes
// the connection behind each answer costs it a connect per event.
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
	reused := p.conn != nil
	response, err := p.roundTrip(deadline)
	if reused && errors.Is(err, io.EOF) {
		// Closed while idle, before our request: the server cannot have seen it.
		response, err = p.roundTrip(deadline)
	}
	if err != nil {
		return fmt.Errorf("trigger: %w", err)
	}
	if response.Status != 200 {
		return fmt.Errorf("trigger answered status %d: %.200s", response.Status, strings.TrimSpace(string(response.Body)))
	}
	return nil
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
			if len(p.received) > 0 && errors.Is(err, io.EOF) {
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
