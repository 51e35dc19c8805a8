package rest

import (
	"net"

	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// consoleRoutes are the routes of Options.Console.
//
// Laravel's users know the dashboard at /reverb.
func consoleRoutes() []route {
	var out []route
	for _, method := range []string{"GET", "POST"} {
		for _, segments := range [][]string{{"reverb"}, {"reverb", "*"}} {
			out = append(out, route{method, segments, false, (*request).console})
		}
	}
	return out
}

// console hands a request to the console, which sees the path without the prefix
// and the client behind a proxy.
// The handler runs on a goroutine of its own and may stream.
func (r *request) console() error {
	if client, direct := r.client(); client.IsValid() && !direct {
		r.ctx.SetRemoteAddr(net.TCPAddrFromAddrPort(client))
	}
	r.ctx.Request.SetRequestURI(r.unprefixed + "?" + r.rawQuery)
	fasthttpadaptor.NewFastHTTPHandler(r.server.options.Console)(r.ctx)
	r.written = true
	return nil
}
