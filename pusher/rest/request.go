package rest

import (
	"net"
	"net/netip"
	"strings"
	"unsafe"

	"github.com/valyala/fasthttp"

	"resound/auth"
	"resound/channels"
	"resound/pusher"
)

// maxKeptBytes is the largest buffer that goes back to the pool with a request.
const maxKeptBytes = 64 << 10

// request is one request with the scratch it is served with. All strings are
// views of the bytes that arrived, valid until end. Owned by the goroutine that
// serves it.
type request struct {
	server *Server
	ctx    *fasthttp.RequestCtx
	app    *pusher.App // set once authenticate has passed

	method     string
	path       string    // as it came, escapes and all
	unprefixed string    // path without Options.Path
	rawQuery   string    // behind the question mark
	args       [3]string // segments that the route leaves open, decoded
	body       []byte

	query     auth.Query
	canonical []byte // what the signature signs
	out       []byte // body of the response
	status    int    // of an answer that is no refusal; 0 means 200
	written   bool   // the endpoint has made the response itself

	events   []event
	channels []string
	unique   map[string]struct{}

	occupancies []channels.Occupancy // of channels
}

func (r *request) begin(s *Server, ctx *fasthttp.RequestCtx) {
	r.server, r.ctx = s, ctx
	r.method = view(ctx.Method())
	r.body = ctx.Request.Body()
	r.out = r.out[:0]
	if uri := view(ctx.RequestURI()); uri != "" && uri[0] == '/' {
		r.path, r.rawQuery, _ = strings.Cut(uri, "?")
	} else {
		// RFC 9112 section 3.2.2: a server accepts the absolute form.
		r.path, r.rawQuery = view(ctx.URI().PathOriginal()), view(ctx.URI().QueryString())
	}
}

// end forgets every view, so that none outlives its bytes in the pool.
func (r *request) end() {
	clear(r.events)
	clear(r.channels)
	clear(r.unique)
	clear(r.occupancies)
	r.query.Reset()
	kept := request{
		query:     r.query,
		canonical: r.canonical,
		out:       r.out,
		events:    r.events[:0],
		channels:  r.channels[:0],
		unique:    r.unique,

		occupancies: r.occupancies[:0],
	}
	if cap(kept.out) > maxKeptBytes {
		kept.out = nil
	}
	if cap(kept.canonical) > maxKeptBytes {
		kept.canonical = nil
	}
	if cap(kept.channels) > maxKeptBytes/16 {
		kept.channels, kept.unique, kept.occupancies = nil, nil, nil
	}
	*r = kept
}

// client tells who sent the request, and whether no proxy spoke for it. The zero
// address is nobody's.
func (r *request) client() (client netip.AddrPort, direct bool) {
	if ask := r.server.options.Client; ask != nil {
		return ask(accepted(r.ctx.Conn()), r.ctx.Request.Header.PeekAll(fasthttp.HeaderXForwardedFor))
	}
	if own, ok := r.ctx.RemoteAddr().(*net.TCPAddr); ok {
		own := own.AddrPort()
		return netip.AddrPortFrom(own.Addr().Unmap(), own.Port()), true
	}
	return netip.AddrPort{}, false
}

// view returns b as a string without a copy. b must not change as long as the
// string is used.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
