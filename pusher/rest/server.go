package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Server serves the HTTP API. Safe for concurrent use.
type Server struct {
	options  Options
	http     fasthttp.Server
	routes   []route
	requests sync.Pool // of *request
	budgets  budgets
	shields  shields
	fallback *fallback
	counters counters
	scrapes  atomic.Int64 // of the metrics, under way
}

// New returns a server that waits for Serve. The error names an option that is
// out of range.
func New(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, routes: routes(), fallback: newFallback(o.Fallback, o.WriteTimeout)}
	if o.Fallback.Open != nil {
		s.routes = append(s.routes, fallbackRoutes()...)
	}
	if o.Console != nil {
		s.routes = append(s.routes, consoleRoutes()...)
	}
	s.requests.New = func() any { return new(request) }
	s.http = fasthttp.Server{
		Handler:            s.Handle,
		ErrorHandler:       s.onBrokenRequest,
		HeaderReceived:     s.onHeader,
		Logger:             debugLog{o.Logger},
		ReadTimeout:        o.ReadTimeout,
		WriteTimeout:       o.WriteTimeout,
		IdleTimeout:        o.IdleTimeout,
		MaxRequestBodySize: o.MaxRequestBytes,
		ReadBufferSize:     o.MaxHeaderBytes,
		Concurrency:        o.MaxConnections,

		ReduceMemoryUsage:            true, // an idle connection keeps no buffers; measured to cost nothing
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true,
		SecureErrorLogMessage:        true, // signatures travel in the request line
		LazyRequestTime:              true,
		CloseOnShutdown:              true,
	}
	return s, nil
}

// Serve serves the connections that ln accepts until Shutdown is called or ln
// fails. Call it once. It closes every connection it accepted.
func (s *Server) Serve(ln net.Listener) error {
	defer s.fallback.stop()
	return s.http.Serve(lingeringListener{ln})
}

// Shutdown closes the listener, ends idle connections and sessions without
// WebSocket, lets requests in flight end, and returns when all have or ctx is done, then with ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.fallback.stop()
	return errors.Join(s.http.ShutdownWithContext(ctx), s.fallback.wait(ctx))
}

// Handle answers one request. It is what Serve calls for each, exported for a
// fasthttp server of somebody else.
func (s *Server) Handle(ctx *fasthttp.RequestCtx) {
	defer s.onReturn(ctx)
	r := s.requests.Get().(*request)
	r.begin(s, ctx)
	if err := s.serve(r); err != nil {
		r.refuse(err)
	} else {
		r.answer()
	}
	if r.app != nil && !ctx.Response.IsBodyStream() {
		r.app.CountRequest(len(r.body), len(ctx.Response.Body()))
	}
	r.end()
	s.requests.Put(r)
}

// onReturn counts the response, and makes one of a panic: a request must not
// take the process with it. The request's scratch is then left to the collector.
func (s *Server) onReturn(ctx *fasthttp.RequestCtx) {
	if v := recover(); v != nil {
		s.counters.panics.Add(1)
		s.options.Logger.Error("panic while serving a request",
			"method", string(ctx.Method()), "path", string(ctx.Path()), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		ctx.Response.Reset()
		writeText(ctx, fasthttp.StatusInternalServerError, "Internal server error. The node's log has the details.")
		ctx.SetConnectionClose()
	}
	s.counters.answered(ctx.Response.StatusCode())
}

// quoted finds what fasthttp quotes of a request it cannot read, headers, cookies and
// signatures among it: SecureErrorLogMessage leaves some out.
var (
	quoted  = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	address = regexp.MustCompile(`^"[0-9a-fA-F.:\[\]%]*"$`)
)

func unlessAddress(text string) string {
	if address.MatchString(text) {
		return text
	}
	return `"…"`
}

// debugLog takes what fasthttp has to say of connections that broke.
type debugLog struct{ logger *slog.Logger }

func (l debugLog) Printf(format string, args ...any) {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.logger.Debug("http: " + quoted.ReplaceAllStringFunc(fmt.Sprintf(format, args...), unlessAddress))
	}
}
