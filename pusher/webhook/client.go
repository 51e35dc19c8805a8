package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	maxAnswerBytes       = 4 << 10     // read of an answer's body, then the connection is closed
	maxAnswerTime        = time.Second // for that
	maxAnswerHeaderBytes = 16 << 10
	idleTimeout          = time.Minute
	maxIdlePerHost       = 256 // many apps may have their receivers on one host
)

// client makes the requests. Safe for concurrent use.
type client struct {
	http    *http.Client
	timeout time.Duration
}

func newClient(o *Options) *client {
	dialer := &net.Dialer{Timeout: o.Timeout}
	if o.DenyPrivateAddresses {
		dialer.Control = controlPublic
	}
	// HTTP/2 would make receivers on one host share a connection, and wait for
	// each other.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	var transport http.RoundTripper = &http.Transport{
		// A proxy would dial what DenyPrivateAddresses refuses.
		Proxy:                  nil,
		DialContext:            dialer.DialContext,
		Protocols:              protocols,
		DisableCompression:     true, // an answer is thrown away, not unpacked
		MaxResponseHeaderBytes: maxAnswerHeaderBytes,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
	}
	if o.transport != nil {
		transport = o.transport
	}
	return &client{
		http: &http.Client{
			Transport: transport,
			// A redirect would carry an app's events to where nobody configured.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		timeout: o.Timeout,
	}
}

// post sends body to t, with the ids of its events if they have any. Nil means a
// 2xx answer.
func (c *client) post(ctx context.Context, t *target, body []byte, ids string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = t.header.Clone()
	request.Header[signatureHeader] = []string{string(t.secret.AppendWebhook(nil, body))}
	if ids != "" {
		request.Header[idsHeader] = []string{ids}
	}
	response, err := c.http.Do(request)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // the outer one repeats the URL, which may hold a token
		}
		return err
	}
	// Reading to the end lets the connection serve again. Who answers without end
	// has it closed instead.
	defer time.AfterFunc(maxAnswerTime, cancel).Stop()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswerBytes)
	_ = response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("the receiver answered %d", response.StatusCode)
	}
	return nil
}

func (c *client) close() { c.http.CloseIdleConnections() }
