package shield

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// maxAnswerBytes bounds an answer's body, maxAnswerHeaderBytes its headers: an
	// application sets its session cookies again with each answer.
	maxAnswerBytes       = 64 << 10
	maxAnswerHeaderBytes = 32 << 10

	// maxRetryAfter bounds the wait that an application asks for, in seconds.
	maxRetryAfter = 3600
)

// upstream is the application. Safe for concurrent use.
type upstream struct {
	appKey     string
	channelURI string
	userURI    string
	client     fasthttp.HostClient
}

func newUpstream(o Options) (*upstream, error) {
	u, err := url.Parse(o.Upstream)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("upstream %q is not an http or https URL", o.Upstream)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	up := &upstream{
		appKey:     o.Key,
		channelURI: u.String(),
		userURI:    beside(u, "user-auth"),
		client: fasthttp.HostClient{
			Addr:                      net.JoinHostPort(u.Hostname(), port),
			Name:                      "resound",
			IsTLS:                     u.Scheme == "https",
			MaxConns:                  o.MaxInFlight,
			MaxIdemponentCallAttempts: 1,
			ReadBufferSize:            maxAnswerHeaderBytes,
			ReadTimeout:               o.Timeout,
			WriteTimeout:              o.Timeout,
			MaxResponseBodySize:       maxAnswerBytes,
			DisablePathNormalizing:    true,
			SecureErrorLogMessage:     true,
		},
	}
	up.client.DialTimeout = up.dial
	return up, nil
}

// dial connects within timeout, TLS included.
func (u *upstream) dial(addr string, timeout time.Duration) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: timeout}
	if u.client.IsTLS {
		return tls.DialWithDialer(dialer, "tcp", addr, u.client.TLSConfig)
	}
	return dialer.Dial("tcp", addr)
}

// beside returns u with another last segment.
func beside(u *url.URL, segment string) string {
	b := *u
	path := strings.TrimRight(b.EscapedPath(), "/")
	path = path[:strings.LastIndexByte(path, '/')+1] + segment
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	b.RawPath = path
	b.Path, _ = url.PathUnescape(path)
	return b.String()
}

// ask sends one question on a connection of its own. No connection is kept: an
// application that answers out of step would give one user's grant to another.
func (u *upstream) ask(q *Question, deadline time.Time) (Grant, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	u.write(req, q)
	if err := u.client.DoDeadline(req, resp, deadline); err != nil {
		return Grant{}, unreachable(err)
	}
	switch status := resp.StatusCode(); {
	case status == fasthttp.StatusOK:
		g, err := readGrant(q, u.appKey, resp.Body())
		if err != nil {
			return Grant{}, &Unavailable{err.Error()}
		}
		return g, nil
	case status >= 400 && status < 500 && status != fasthttp.StatusRequestTimeout:
		return Grant{}, &Refusal{Status: status, RetryAfter: retryAfter(resp)}
	default:
		return Grant{}, unavailable("the application answered with status %d", status)
	}
}

// write makes a request as Echo makes it.
func (u *upstream) write(req *fasthttp.Request, q *Question) {
	uri, body := u.userURI, "socket_id="+url.QueryEscape(q.SocketID)
	if q.Channel != "" {
		uri = u.channelURI
		body += "&channel_name=" + url.QueryEscape(q.Channel)
	}
	req.SetRequestURI(uri)
	header := &req.Header
	header.SetMethod(fasthttp.MethodPost)
	header.SetContentType("application/x-www-form-urlencoded")
	// Laravel answers 403 in place of a redirect to its login page.
	header.Set(fasthttp.HeaderAccept, "application/json")
	header.Set("X-Requested-With", "XMLHttpRequest")
	// Cookies go on as they came; otherwise fasthttp takes them apart and drops
	// quotes.
	header.DisableSpecialHeader()
	for i, name := range Headers {
		if value := q.Credentials[i]; value != "" {
			header.Set(name, value)
		}
	}
	header.EnableSpecialHeader()
	req.SetConnectionClose()
	req.SetBodyString(body)
}

// unreachable words an error of the client without what it sent.
func unreachable(err error) error {
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return unavailable("the application did not answer in time")
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return unavailable("the answer is longer than %d bytes", maxAnswerBytes)
	default:
		return unavailable("the application cannot be asked: %v", err)
	}
}

// retryAfter returns the seconds of a Retry-After header; dates do not count.
func retryAfter(resp *fasthttp.Response) int {
	seconds, err := strconv.Atoi(string(resp.Header.Peek(fasthttp.HeaderRetryAfter)))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(seconds, maxRetryAfter)
}
