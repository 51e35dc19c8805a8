package rest

import (
	"crypto/subtle"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/valyala/fasthttp"
)

const (
	// maxScrapes is how many may read the metrics at a time, 503 above: a scrape
	// costs as much as a hundred requests.
	maxScrapes = 4

	contentMetrics = "text/plain; version=0.0.4; charset=utf-8"
)

// MetricsOptions are the metrics that GET /metrics shows.
type MetricsOptions struct {
	// Write writes them in Prometheus's text format. Nil: there are none.
	Write func(io.Writer) error

	// Access says who may read them now. Nil means the zero value.
	Access func() MetricsAccess
}

// MetricsAccess says who may read the metrics: whoever has the token if there is
// one, else everybody if they are public, else programs of this host that connect
// directly.
type MetricsAccess struct {
	Token  string
	Public bool
	Off    bool // nobody
}

// metrics answers a scrape.
func (r *request) metrics() error {
	o := &r.server.options.Metrics
	var access MetricsAccess
	if o.Access != nil {
		access = o.Access()
	}
	if o.Write == nil || access.Off {
		return refuse(fasthttp.StatusNotFound, "Not found. The metrics are switched off (monitoring.metrics.access); the control socket has them.")
	}
	if err := r.mayScrape(access); err != nil {
		return err
	}
	defer r.server.scrapes.Add(-1)
	if r.server.scrapes.Add(1) > maxScrapes {
		return &refusal{status: fasthttp.StatusServiceUnavailable, retryAfter: 1, text: "Too many are reading the metrics."}
	}
	r.ctx.Response.Header.SetContentType(contentMetrics)
	if err := o.Write(r.ctx.Response.BodyWriter()); err != nil {
		r.server.options.Logger.Error("metrics", "error", err)
		r.ctx.Response.ResetBody()
		return refuse(fasthttp.StatusInternalServerError, "The metrics could not be gathered. The node's log has the details.")
	}
	r.written = true
	return nil
}

func (r *request) mayScrape(access MetricsAccess) error {
	if access.Token != "" {
		given, ok := strings.CutPrefix(view(r.ctx.Request.Header.Peek(fasthttp.HeaderAuthorization)), "Bearer ")
		if ok && subtle.ConstantTimeCompare([]byte(given), []byte(access.Token)) == 1 {
			return nil
		}
		r.ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
		return refuse(fasthttp.StatusUnauthorized, "The metrics need the token of monitoring.metrics.token, as Authorization: Bearer TOKEN.")
	}
	if access.Public || r.isLocal() {
		return nil
	}
	return refuse(fasthttp.StatusForbidden, "The metrics are for programs of this host. Set monitoring.metrics.token, and send it as Authorization: Bearer TOKEN, to read them from elsewhere.")
}

// forwardedHeaders are what a proxy may add to a request.
var forwardedHeaders = []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Forwarded", "Via"}

// isLocal reports whether a request comes from a program of this host that means
// this very server. Behind a proxy on the same host everybody has a local address;
// the Host header of others, or what the proxy adds, tells them apart.
func (r *request) isLocal() bool {
	client, direct := r.client()
	if !direct || !client.Addr().IsLoopback() {
		return false
	}
	for _, name := range forwardedHeaders {
		if len(r.ctx.Request.Header.Peek(name)) > 0 {
			return false
		}
	}
	host := view(r.ctx.Host())
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
