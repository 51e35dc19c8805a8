package rest

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"
)

const (
	contentJSON = "application/json"
	contentText = "text/plain; charset=utf-8"
)

// refusal is any answer but those of 200 to 299. Immutable.
type refusal struct {
	status     int
	text       string // the body, unless json is set
	json       string
	allow      string // Allow header, 405 only
	retryAfter int    // seconds; 0 means no Retry-After header
}

func (e *refusal) Error() string { return e.text + e.json }

func refuse(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return refuse(fasthttp.StatusBadRequest, format, args...)
}

// tooMany asks the client to come back after some seconds.
func tooMany(what string, limit, retryAfter int) error {
	return &refusal{
		status: fasthttp.StatusTooManyRequests, retryAfter: retryAfter,
		text: fmt.Sprintf("Too many %s. The limit of the application is %d a second; try again in %d s.", what, limit, retryAfter),
	}
}

// answer sends out as the body of a 200, or the status alone when another one is
// set, unless the response is made already.
func (r *request) answer() {
	if r.written {
		return
	}
	if r.status != 0 {
		writeText(r.ctx, r.status, "")
		return
	}
	r.ctx.Response.Header.SetContentType(contentJSON)
	r.ctx.Response.AppendBody(r.out)
}

func (r *request) refuse(err error) {
	var no *refusal
	if !errors.As(err, &no) {
		panic(err) // Endpoints return nothing else; onReturn answers 500.
	}
	header := &r.ctx.Response.Header
	if no.allow != "" {
		header.Set(fasthttp.HeaderAllow, no.allow)
	}
	if no.retryAfter > 0 {
		header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(no.retryAfter))
	}
	if no.json != "" {
		r.ctx.SetStatusCode(no.status)
		header.SetContentType(contentJSON)
		r.ctx.Response.AppendBodyString(no.json)
		return
	}
	writeText(r.ctx, no.status, no.text)
}

func writeText(ctx *fasthttp.RequestCtx, status int, text string) {
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(contentText)
	ctx.Response.SetBodyString(text)
}
