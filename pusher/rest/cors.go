package rest

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// preflightSeconds is how long a browser may remember the answer to a preflight.
const preflightSeconds = "600"

// allowOrigin refuses pages of origins that the app does not allow, and lets
// those of others read the answer. A page of this host or of a named origin may
// send cookies.
//
// "Any" is no reason to trust a page with somebody's cookies: it could ask for
// the signature of its own connection to the visitor's private channels.
//
// Reverb: apps.apps[].allowed_origins, as for WebSocket connections.
func (r *request) allowOrigin() error {
	header := &r.ctx.Response.Header
	header.Set(fasthttp.HeaderVary, fasthttp.HeaderOrigin)
	origin := string(r.ctx.Request.Header.Peek(fasthttp.HeaderOrigin))
	if !r.app.AllowsOrigin(origin) {
		return refuse(fasthttp.StatusForbidden, "Origin not allowed. Add the host of the page to allowed_origins of the application.")
	}
	if origin == "" {
		return nil
	}
	header.Set(fasthttp.HeaderAccessControlAllowOrigin, origin)
	if r.app.NamesOrigin(origin) || sameHost(origin, string(r.ctx.Request.Header.Host())) {
		header.Set(fasthttp.HeaderAccessControlAllowCredentials, "true")
	}
	return nil
}

// sameHost compares hosts without ports: cookies do not know ports either.
func sameHost(origin, host string) bool {
	page, err := url.Parse(origin)
	if err != nil || page.Hostname() == "" {
		return false
	}
	here, err := url.Parse("//" + host)
	return err == nil && strings.EqualFold(page.Hostname(), here.Hostname())
}

// preflight tells a browser what a page may send.
//
// Fetch standard, "CORS-preflight fetch". Any header is allowed: Echo's
// auth.headers may have more than are passed on, and the others do nothing.
func (r *request) preflight() error {
	if err := r.shieldedApp(); err != nil {
		return err
	}
	if err := r.allowOrigin(); err != nil {
		return err
	}
	header := &r.ctx.Response.Header
	header.Set(fasthttp.HeaderVary, "Origin, Access-Control-Request-Headers")
	header.Set(fasthttp.HeaderAccessControlAllowMethods, fasthttp.MethodPost)
	header.Set(fasthttp.HeaderAccessControlMaxAge, preflightSeconds)
	if names := r.ctx.Request.Header.Peek(fasthttp.HeaderAccessControlRequestHeaders); len(names) > 0 {
		header.SetBytesV(fasthttp.HeaderAccessControlAllowHeaders, names)
	}
	r.status = fasthttp.StatusNoContent
	return nil
}
