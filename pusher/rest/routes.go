package rest

import (
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

// route is one row of the table. Immutable.
type route struct {
	method   string   // GET answers HEAD too
	segments []string // of the path below the prefix; "*" takes one that is not empty
	app      bool     // the first "*" is an app id, and the app must have signed
	serve    endpoint
}

// endpoint appends the body of a 200 to r.out, sets r.status for another answer
// without a body, sets r.written when it makes the response itself, or returns a
// refusal.
type endpoint func(*request) error

// routes is every route there is. The most frequent stands first.
//
// Reverb: Servers\Reverb\Factory::pusherRoutes.
func routes() []route {
	table := []struct {
		method, path string
		app          bool
		serve        endpoint
	}{
		{"POST", "/apps/*/events", true, (*request).triggerEvent},
		{"POST", "/apps/*/batch_events", true, (*request).triggerBatch},
		{"GET", "/apps/*/channels", true, (*request).listChannels},
		{"GET", "/apps/*/channels/*", true, (*request).showChannel},
		{"GET", "/apps/*/channels/*/users", true, (*request).listUsers},
		{"POST", "/apps/*/channels/*/events", true, (*request).triggerRaw},
		{"GET", "/apps/*/channels/*/stats", true, (*request).showStats},
		{"GET", "/apps/*/connections", true, (*request).countConnections},
		{"POST", "/apps/*/users/*/terminate_connections", true, (*request).terminateUser},
		{"POST", "/apps/*/auth", true, (*request).grantChannel},
		{"POST", "/apps/*/user_auth", true, (*request).grantUser},
		{"POST", "/apps/*/metrics", true, (*request).recordMetrics},
		{"POST", "/broadcasting/auth", false, (*request).askChannel},
		{"POST", "/broadcasting/auth/*", false, (*request).askChannel},
		{"OPTIONS", "/broadcasting/auth", false, (*request).preflight},
		{"OPTIONS", "/broadcasting/auth/*", false, (*request).preflight},
		{"POST", "/broadcasting/user-auth", false, (*request).askUser},
		{"POST", "/broadcasting/user-auth/*", false, (*request).askUser},
		{"OPTIONS", "/broadcasting/user-auth", false, (*request).preflight},
		{"OPTIONS", "/broadcasting/user-auth/*", false, (*request).preflight},
		{"GET", "/up", false, (*request).up},
		{"GET", "/ready", false, (*request).ready},
		{"GET", "/accept-traffic", false, (*request).acceptTraffic},
		{"GET", "/metrics", false, (*request).metrics},
		{"GET", "/app/*", false, (*request).upgrade},
	}
	out := make([]route, 0, len(table))
	for _, row := range table {
		out = append(out, route{row.method, strings.Split(row.path[1:], "/"), row.app, row.serve})
	}
	return out
}

// maxSegments is the length of the longest path in the table, and one more to
// tell a longer one.
const maxSegments = 7

// serve finds the route of a request, checks who asks and calls the endpoint.
func (s *Server) serve(r *request) error {
	if refused := r.checkFraming(); refused != nil {
		return refused
	}
	path, ok := strings.CutPrefix(r.path, s.options.Path)
	if !ok || path == "" || path[0] != '/' {
		return s.notFound()
	}
	r.unprefixed = path
	var buf [maxSegments]string
	segments := split(buf[:0], path[1:])
	allow := ""
	for i := range s.routes {
		route := &s.routes[i]
		if !route.matches(segments) {
			continue
		}
		if !route.accepts(r.method) {
			if allow != "" {
				allow += ", "
			}
			allow += route.allow()
			continue
		}
		r.take(route, segments)
		if route.app {
			if err := r.authenticate(); err != nil {
				return err
			}
		}
		return route.serve(r)
	}
	if allow != "" {
		return &refusal{
			status: fasthttp.StatusMethodNotAllowed, allow: allow,
			text: "Method not allowed. This path takes " + allow + ".",
		}
	}
	return s.notFound()
}

func (s *Server) notFound() error {
	return refuse(fasthttp.StatusNotFound, "Not found. Routes are those of the Pusher HTTP API, as POST %s/apps/{id}/events; none ends in a slash.", s.options.Path)
}

// split appends the segments of path, at most maxSegments of them.
func split(dst []string, path string) []string {
	for len(dst) < maxSegments {
		segment, rest, more := strings.Cut(path, "/")
		dst = append(dst, segment)
		if !more {
			break
		}
		path = rest
	}
	return dst
}

func (t *route) matches(segments []string) bool {
	if len(segments) != len(t.segments) {
		return false
	}
	for i, want := range t.segments {
		if segments[i] != want && (want != "*" || segments[i] == "") {
			return false
		}
	}
	return true
}

func (t *route) accepts(method string) bool {
	return method == t.method || method == fasthttp.MethodHead && t.method == fasthttp.MethodGet
}

func (t *route) allow() string {
	if t.method == fasthttp.MethodGet {
		return "GET, HEAD"
	}
	return t.method
}

// take decodes the segments that the route leaves open.
func (r *request) take(t *route, segments []string) {
	n := 0
	for i, want := range t.segments {
		if want == "*" {
			r.args[n] = unescaped(segments[i])
			n++
		}
	}
}

// unescaped decodes one segment of a path; what is no escape stands for itself.
func unescaped(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s // Fast path.
	}
	if out, err := url.PathUnescape(s); err == nil {
		return out
	}
	return s
}
