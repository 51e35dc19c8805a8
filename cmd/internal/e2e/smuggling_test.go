package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Requests whose end two servers may see in different places: a proxy would take
// for a body what the node takes for the next request. Each attack carries a canary,
// a whole signed trigger, where the second request would be.
//
// RFC 9112 sections 6, 7.1 and 11.2.

// smuggling is one attack.
type smuggling struct {
	name     string
	sent     string // with {canary}, and {length} and {hex} for its length
	statuses string // of the answers, with commas
	open     bool   // the connection serves the next request
	executed int    // events that are delivered: the canary's and those of {event}
}

// attacks. POST begins a trigger of an event of its own up to the headers of its
// framing, and EVENT is that event's body, 54 bytes.
var attacks = []smuggling{
	// The canary is alive, and framing that is clear works.
	{"a second request is a second request", "GET /up HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "200,200", true, 1},
	{"a body is a body", "POSTContent-Length: 54\r\n\r\nEVENT", "200", true, 1},
	{"a body in chunks is a body", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\n\r\n", "200", true, 1},
	{"chunked in any case", "POSTTRANSFER-ENCODING: ChUnKeD\r\n\r\n36\r\nEVENT\r\n0\r\n\r\n", "200", true, 1},
	{"an extension of a chunk", "POSTTransfer-Encoding: chunked\r\n\r\n36;a=b;c=\"d\"\r\nEVENT\r\n0;e\r\n\r\n", "200", true, 1},
	{"a trailer ends the connection", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nX-Sum: 1\r\n\r\n{canary}", "200", false, 1},
	{"a body of a request that takes none", "GET /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{canary}", "200", true, 0},
	{"a body in chunks of a request that takes none", "GET /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{hex}\r\n{canary}\r\n0\r\n\r\n", "200", true, 0},
	{"a body of a request that is refused", "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{canary}", "404", true, 0},
	{"a body of a method that is refused", "PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{canary}", "405", true, 0},
	{"a body of HEAD", "HEAD /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{canary}", "200", true, 0},
	{"a body of OPTIONS", "OPTIONS /up HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{canary}", "405", true, 0},
	{"behind Connection: close", "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{canary}", "200", false, 0},
	{"behind HTTP/1.0", "GET /up HTTP/1.0\r\n\r\n{canary}", "200", false, 0},
	{"a header that is only called like it", "POSTContent_Length: 0\r\nContent-Length: 54\r\n\r\nEVENT", "200", true, 1},

	// Content-Length and Transfer-Encoding.
	{"CL.TE", "POSTContent-Length: {length+5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE.CL", "POSTTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE.CL of nothing", "POSTTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n36\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE.TE.CL", "POSTTransfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"CL.TE of a GET", "GET /up HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"CL.TE that closes", "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"CL and identity", "POSTContent-Length: 54\r\nTransfer-Encoding: identity\r\n\r\nEVENT{canary}", "400", false, 0},

	// Content-Length.
	{"CL twice, other values", "POSTContent-Length: 54\r\nContent-Length: {length+54}\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL twice, the same", "POSTContent-Length: 54\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL twice, one empty", "POSTContent-Length: 54\r\nContent-Length:\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL in two cases", "POSTContent-Length: 54\r\ncontent-length: 0\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL as a list", "POSTContent-Length: 54, 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL as a list with another value", "POSTContent-Length: 54,0\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a plus", "POSTContent-Length: +54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a minus", "POSTContent-Length: -54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a space inside", "POSTContent-Length: 5 4\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a vertical tab", "POSTContent-Length: \v54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a zero byte", "POSTContent-Length: 54\x00\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL in hex", "POSTContent-Length: 0x36\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with an exponent", "POSTContent-Length: 54e0\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with a fraction", "POSTContent-Length: 54.0\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL with an underscore", "POSTContent-Length: 5_4\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL in quotes", "POSTContent-Length: \"54\"\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL in digits of another script", "POSTContent-Length: \uff15\uff14\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL empty", "POSTContent-Length:\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL beyond 64 bits", "POSTContent-Length: 18446744073709551670\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL beyond 63 bits", "POSTContent-Length: 9223372036854775862\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL beyond 32 bits", "POSTContent-Length: 4294967350\r\n\r\nEVENT{canary}", "413", false, 0},

	// Transfer-Encoding.
	{"TE twice", "POSTTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE, then identity", "POSTTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"identity, then TE", "POSTTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE identity", "POSTTransfer-Encoding: identity\r\n\r\n{canary}", "400", false, 0},
	{"TE unknown", "POSTTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE gzip", "POSTTransfer-Encoding: gzip\r\n\r\n{canary}", "400", false, 0},
	{"TE with a comma", "POSTTransfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE with a parameter", "POSTTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE in quotes", "POSTTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE with a vertical tab", "POSTTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE with a zero byte", "POSTTransfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE empty", "POSTTransfer-Encoding:\r\n\r\n{canary}", "400", false, 0},
	{"TE in HTTP/1.0", "POST10Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE of a GET that is refused", "GET /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n{canary}", "400", false, 0},

	// Lines.
	{"CL folded", "POSTContent-Length:\r\n 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"TE folded", "POSTTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"TE folded into another header", "POSTX: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"CL folded with a tab", "POSTX: a\r\n\tContent-Length: 0\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a fold before the first header", "GET /up HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a space before the colon of CL", "POSTContent-Length : 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a space before the colon of TE", "POSTTransfer-Encoding : chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a tab before the colon of TE", "POSTTransfer-Encoding\t: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a zero byte in a name", "POSTTransfer-Encoding\x00: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a zero byte in a value", "POSTX: a\x00b\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a control in a value", "POSTX: a\x01b\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a line without a colon", "POSTTransfer-Encoding\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"a line without a name", "POST: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"bare LF in the headers", "POSTX: a\nTransfer-Encoding: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"bare LF at the end of the headers", "POSTContent-Length: 54\r\n\nEVENT{canary}", "400", false, 0},
	{"bare LF everywhere", "GET /up HTTP/1.1\nHost: a\n\n{canary}", "400", false, 0},
	// RFC 9112 section 2.2 allows it, and the end of the head is the same for all.
	{"bare LF behind the request line", "GET /up HTTP/1.1\nHost: a\r\n\r\n{canary}", "200,200", true, 1},
	{"bare CR in a value", "POSTX: a\rTransfer-Encoding: chunked\r\nContent-Length: 54\r\n\r\nEVENT{canary}", "400", false, 0},
	{"bare CR at the end", "POSTContent-Length: 54\r\n\r\rEVENT{canary}", "400", false, 0},
	{"CR CR LF", "POSTContent-Length: 54\r\r\n\r\nEVENT{canary}", "400", false, 0},

	// Chunks.
	{"a chunk with a plus", "POSTTransfer-Encoding: chunked\r\n\r\n+36\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk with a minus", "POSTTransfer-Encoding: chunked\r\n\r\n-1\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk with 0x", "POSTTransfer-Encoding: chunked\r\n\r\n0x36\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk with an underscore", "POSTTransfer-Encoding: chunked\r\n\r\n3_6\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk with a space before", "POSTTransfer-Encoding: chunked\r\n\r\n 36\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk without a size", "POSTTransfer-Encoding: chunked\r\n\r\n\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk with an extension and no size", "POSTTransfer-Encoding: chunked\r\n\r\n;a\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk beyond 64 bits", "POSTTransfer-Encoding: chunked\r\n\r\n10000000000000036\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk beyond 63 bits", "POSTTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk beyond 32 bits", "POSTTransfer-Encoding: chunked\r\n\r\n100000036\r\nEVENT\r\n0\r\n\r\n{canary}", "413", false, 0},
	{"a chunk that is too long", "POSTTransfer-Encoding: chunked\r\n\r\n35\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk that ends with bare LF", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\n0\r\n\r\n{canary}", "400", false, 0},
	{"a chunk that ends with other bytes", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENTXX0\r\n\r\n{canary}", "400", false, 0},
	{"a size that ends with bare LF", "POSTTransfer-Encoding: chunked\r\n\r\n36\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a size that ends with bare CR", "POSTTransfer-Encoding: chunked\r\n\r\n36\rEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"an extension with bare LF", "POSTTransfer-Encoding: chunked\r\n\r\n36;\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"an extension with bare CR", "POSTTransfer-Encoding: chunked\r\n\r\n36;a\rb\r\nEVENT\r\n0\r\n\r\n{canary}", "400", false, 0},
	{"a long extension", "POSTTransfer-Encoding: chunked\r\n\r\n36;" + strings.Repeat("a", 20_000) + "\r\nEVENT\r\n0\r\n\r\n", "200", true, 1},
	{"a last chunk with bare LF", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\n\n{canary}", "400", false, 0},
	{"a last chunk without an empty line", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nX{canary}", "400", false, 0},
	{"a trailer with a space before the colon", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nContent-Length : 5\r\n\r\n{canary}", "400", false, 0},
	{"a trailer that frames", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nContent-Length: 5\r\n\r\n{canary}", "400", false, 0},
	{"a trailer that frames otherwise", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n{canary}", "400", false, 0},
	{"a trailer with bare LF", "POSTTransfer-Encoding: chunked\r\n\r\n36\r\nEVENT\r\n0\r\nX: a\n\r\n{canary}", "200", false, 1},

	// Request lines.
	{"HTTP/0.9", "GET /up\r\n{canary}", "400", false, 0},
	{"HTTP/0.9 with a version", "GET /up HTTP/0.9\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a version in small letters", "GET /up http/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"HTTP/1.10", "GET /up HTTP/1.10\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"HTTP/1.2", "GET /up HTTP/1.2\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"HTTP/2.0", "GET /up HTTP/2.0\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{canary}", "400", false, 0},
	{"a word behind the version", "GET /up HTTP/1.1 x\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"two spaces before the version", "GET /up  HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"two spaces before the target", "GET  /up HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a tab before the version", "GET /up\tHTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a space in the target", "GET /up x HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a zero byte in the target", "GET /up\x00 HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a control in the method", "G\x01T /up HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a method with a colon", "GET: /up HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"a target that is no path", "GET up HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "400", false, 0},
	{"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n{canary}", "404,200", true, 1},
	{"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n{canary}", "404,200", true, 1},
	{"the absolute form", "GET http://a/up HTTP/1.1\r\nHost: a\r\n\r\n", "200", true, 0},
	{"the absolute form of another host", "GET http://b/up HTTP/1.1\r\nHost: a\r\n\r\n", "200", true, 0},
	{"Host twice", "GET /up HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n{canary}", "400", false, 0},
	{"no Host", "GET /up HTTP/1.1\r\nX: a\r\n\r\n{canary}", "400", false, 0},
	{"a Host with a space", "GET /up HTTP/1.1\r\nHost: a b\r\n\r\n{canary}", "400", false, 0},
	{"a Host with a path", "GET /up HTTP/1.1\r\nHost: a/b\r\n\r\n{canary}", "400", false, 0},
	{"an expectation that nobody knows", "POSTExpect: 200-maybe\r\nContent-Length: {length}\r\n\r\n{canary}", "401", true, 0},

	// Upgrades.
	{"a handshake with a body", "WEBSOCKETContent-Length: {length}\r\n\r\n{canary}", "400", false, 0},
	{"a handshake with a body in chunks", "WEBSOCKETTransfer-Encoding: chunked\r\n\r\n{hex}\r\n{canary}\r\n0\r\n\r\n", "400", false, 0},
	{"a handshake that fails", "WEBSOCKETSec-WebSocket-Version: 12\r\n\r\n{canary}", "426", false, 0},
	{"a handshake of another version", "GET /app/reverb-key HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 777\r\n\r\n{canary}", "426", false, 0},
	{"a handshake in a body", "POSTContent-Length: {handshake}\r\n\r\nWEBSOCKET\r\n", "401", true, 0},
	{"a second handshake with a body", "GET /up HTTP/1.1\r\nHost: a\r\n\r\nWEBSOCKETContent-Length: {length}\r\n\r\n{canary}", "200,400", false, 0},
	{"a second handshake that fails", "GET /up HTTP/1.1\r\nHost: a\r\n\r\nWEBSOCKETSec-WebSocket-Version: 12\r\n\r\n", "200,426", false, 0},
	// That bytes came before the answer is seen first: it is not given back to its reactor.
	{"a second handshake that fails, and more", "GET /up HTTP/1.1\r\nHost: a\r\n\r\nWEBSOCKETSec-WebSocket-Version: 12\r\n\r\n{canary}", "200,400", false, 0},
	{"an upgrade to HTTP/2", "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "200", true, 0},
}

// canaries watches whether what is smuggled is executed.
type canaries struct {
	server *server
	socket *socket
	fences int
}

const canaryChannel = "canary"

func watchCanaries(t *testing.T, s *server) *canaries {
	t.Helper()
	c := &canaries{server: s, socket: open(t, s)}
	c.socket.join(t, canaryChannel, "")
	return c
}

// trigger is a signed trigger up to its framing, and the body it is signed for.
func (c *canaries) trigger(name, mark string) (head, body string) {
	path := "/apps/" + testApp.id + "/events"
	body = fmt.Sprintf(`{"name":"%s","channel":"%s","data":"x"}`, name, canaryChannel)
	query := c.server.api().signedQuery(http.MethodPost, path, map[string]string{"a_mark": mark}, body)
	return "POST " + path + "?" + query + " HTTP/1.1\r\nHost: a\r\n", body
}

// fill writes out what an attack sends. mark is in the target of the canary.
func (c *canaries) fill(t *testing.T, text, mark string) string {
	t.Helper()
	head, body := c.trigger("the-own-event", "own")
	if len(body) != 54 {
		t.Fatalf("the event has %d bytes, and the attacks say 54", len(body))
	}
	const websocket = "GET /app/reverb-key HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	canaryHead, canaryBody := c.trigger("canary", mark)
	canary := canaryHead + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(canaryBody)) + canaryBody
	text = strings.ReplaceAll(text, "POST10", strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1))
	if rest, ok := strings.CutPrefix(text, "POST"); ok && !strings.HasPrefix(rest, " ") {
		text = head + rest
	}
	return strings.NewReplacer("WEBSOCKET", websocket, "EVENT", body, "{canary}", canary,
		"{length}", fmt.Sprint(len(canary)), "{length+5}", fmt.Sprint(len(canary)+5), "{length+54}", fmt.Sprint(len(canary)+54),
		"{hex}", fmt.Sprintf("%x", len(canary)), "{handshake}", fmt.Sprint(len(websocket)+2)).Replace(text)
}

// delivered returns the events that were executed since the last call.
func (c *canaries) delivered(t *testing.T) (names []string) {
	t.Helper()
	c.fences++
	fence := fmt.Sprint("fence", c.fences)
	c.server.api().trigger(t, canaryChannel, fence, "x")
	for {
		switch name := decode(t, c.socket.next(t)).Event; name {
		case fence:
			return names
		case "pusher:ping":
			c.socket.send(t, `{"event":"pusher:pong"}`)
		default:
			names = append(names, name)
		}
	}
}

func TestSmuggling(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	c := watchCanaries(t, s)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			conn := s.connect(t)
			// Some are refused before all is sent.
			if _, err := io.WriteString(conn, c.fill(t, a.sent, "canary")); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Fatal(err)
			}
			if a.open {
				send(t, conn, "GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				a.statuses += ",200"
			}
			method := http.MethodGet
			if strings.HasPrefix(a.sent, "HEAD") {
				method = http.MethodHead
			}
			if got := readStatuses(t, conn, method); got != a.statuses {
				t.Errorf("answers %s, want %s", got, a.statuses)
			}
			if got := c.delivered(t); len(got) != a.executed {
				t.Errorf("%q were executed, want %d of them", got, a.executed)
			}
		})
	}
}

// readStatuses reads answers up to the end of the connection and returns their
// statuses. method is that of the first request.
func readStatuses(t *testing.T, conn io.Reader, method string) string {
	t.Helper()
	var statuses []string
	for in := bufio.NewReader(conn); ; method = http.MethodGet {
		if _, err := in.Peek(1); err != nil {
			// Closing with bytes unread may reset the connection.
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("reading answers: %v, want the end", err)
			}
			return strings.Join(statuses, ",")
		}
		answer, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("behind %v: %v", statuses, err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		statuses = append(statuses, fmt.Sprint(answer.StatusCode))
	}
}

// TestSmugglingBehindAHandshake: what follows a handshake is frames or refused,
// never a request.
func TestSmugglingBehindAHandshake(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	c := watchCanaries(t, s)
	for _, row := range []struct{ name, sent, begins string }{
		{"on a new connection", "WEBSOCKET\r\n{canary}", "HTTP/1.1 101 "},
		{"behind a request", "GET /up HTTP/1.1\r\nHost: a\r\n\r\nWEBSOCKET\r\n{canary}", "HTTP/1.1 200 "},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn := s.connect(t)
			send(t, conn, c.fill(t, row.sent, "canary"))
			got, err := io.ReadAll(conn)
			if err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v, want the end", err)
			}
			if !strings.HasPrefix(string(got), row.begins) {
				t.Errorf("answered %q, want %s", got, row.begins)
			}
			if strings.HasPrefix(row.begins, "HTTP/1.1 200") && !strings.Contains(string(got), "HTTP/1.1 400 Bad Request") {
				t.Errorf("answered %q, want a refusal of the handshake", got)
			}
			if got := c.delivered(t); len(got) > 0 {
				t.Errorf("%q were executed", got)
			}
		})
	}
}

// nginxTo starts an nginx before a server. extra is what stands in its http block
// and listens on LISTEN. It logs the target of every request that it has seen.
func nginxTo(t *testing.T, extra string) (front *server, seen func() string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		skipWithout(t, []string{"nginx (Debian package nginx)"})
	}
	// The kernel chooses a port; should somebody take it before nginx does, it says so.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front = &server{port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	user := ""
	if os.Getuid() == 0 {
		user = "user root root;\n" // its workers could not write here otherwise
	}
	dir := write(t, "nginx.conf", user+`daemon off;
pid nginx.pid;
error_log stderr notice;
events { worker_connections 256; }
http {
	log_format targets '$request_uri';
	access_log access.log targets;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
`+strings.ReplaceAll(extra, "LISTEN", front.address())+"}\n")
	front.process = launch(t, exec.Command(path, "-p", dir, "-e", "stderr", "-c", "nginx.conf"))
	front.expectUp(t)
	return front, func() string {
		text, err := os.ReadFile(filepath.Join(dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// TestSmugglingThroughNginx: what the node executes is what nginx has seen.
func TestSmugglingThroughNginx(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(scripts, "nginx", "resound.conf"))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, startOptions{})
	c := watchCanaries(t, s)
	ours := strings.NewReplacer("listen 80;", "listen LISTEN;", "10.0.0.11:8080", s.address(),
		"	server 10.0.0.12:8080;\n", "", "	server 10.0.0.13:8080;\n", "").Replace(string(text))
	for _, proxy := range []struct{ name, conf string }{
		{"default", "server { listen LISTEN; location / { proxy_pass http://" + s.address() + "; } }\n"},
		{"scripts", ours},
	} {
		t.Run(proxy.name, func(t *testing.T) {
			front, seen := nginxTo(t, proxy.conf)
			alive := false
			for i, a := range attacks {
				mark := fmt.Sprint(proxy.name, i, "x")
				conn := front.connect(t).(*net.TCPConn)
				_, _ = io.WriteString(conn, c.fill(t, a.sent, mark)) // what it refuses it may not read
				_ = conn.CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
				// On the node's side nginx keeps the connection: another request shows
				// whether something is left on it.
				front.expectUp(t)
				for _, name := range c.delivered(t) {
					alive = alive || name == "canary"
					if name == "canary" && !strings.Contains(seen(), "a_mark="+mark) {
						t.Errorf("%s: the canary was executed, and nginx never saw it", a.name)
					}
				}
			}
			if !alive {
				t.Error("no canary was executed, though some are requests of their own")
			}
		})
	}
}
