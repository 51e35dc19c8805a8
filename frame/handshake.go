package frame

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 asks for SHA-1; it protects nothing.
	"encoding/base64"
	"strconv"
)

const (
	// MaxHeadBytes bounds the request line and headers of a handshake.
	MaxHeadBytes = 8192

	// MaxHeaders bounds the number of header lines of a handshake.
	MaxHeaders = 100

	keyText   = 24 // base64 of the 16 bytes of Sec-WebSocket-Key
	acceptLen = 28 // base64 of a SHA-1
	guid      = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// Request is a client's opening handshake that passed every check. Its slices
// are views of the head it was parsed from.
type Request struct {
	Path         []byte // as sent, without the query
	Query        []byte // without the question mark
	Host         []byte
	Origin       []byte   // empty when the client sent none
	ForwardedFor [][]byte // X-Forwarded-For lines, in their order
	UserAgent    []byte

	key     []byte
	deflate offer
}

// DropOffers forgets the extensions that the client offered.
func (r *Request) DropOffers() { r.deflate = noOffer }

// Deflates reports whether the client offered permessage-deflate in a form that
// AppendAccept accepts.
func (r *Request) Deflates() bool { return r.deflate != noOffer }

// Rejection is the HTTP answer to a handshake that failed. Immutable.
type Rejection struct {
	Status int
	Phrase string // of the status line
	Text   string // body
	Header string // extra header lines, each ending in CRLF
}

func (r *Rejection) Error() string {
	return "handshake: " + strconv.Itoa(r.Status) + " " + r.Text
}

// The rejections, in the order in which Ratchet (Reverb's handshake) checks.
var (
	rejectMalformed  = &Rejection{400, "Bad Request", "Malformed HTTP request.", ""}
	rejectMethod     = &Rejection{405, "Method Not Allowed", "A WebSocket handshake is a GET request.", "Allow: GET\r\n"}
	rejectHTTP       = &Rejection{505, "HTTP Version Not Supported", "A WebSocket handshake needs HTTP/1.1.", ""}
	rejectTarget     = &Rejection{400, "Bad Request", "The request target must be a path in ASCII.", ""}
	rejectHost       = &Rejection{400, "Bad Request", "Exactly one Host header is required.", ""}
	rejectUpgrade    = &Rejection{426, "Upgrade Required", "This is a WebSocket endpoint: send Upgrade: websocket.", "Upgrade: websocket\r\n"}
	rejectConnection = &Rejection{400, "Bad Request", "The Connection header must contain Upgrade.", ""}
	rejectKey        = &Rejection{400, "Bad Request", "Invalid Sec-WebSocket-Key", ""}
	rejectVersion    = &Rejection{426, "Upgrade Required", "Only WebSocket version 13 is supported.", "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"}
	rejectBody       = &Rejection{400, "Bad Request", "A WebSocket handshake has no body.", ""}

	// RejectTooLarge answers a head that exceeds MaxHeadBytes or MaxHeaders.
	RejectTooLarge = &Rejection{431, "Request Header Fields Too Large", "The handshake exceeds 8192 bytes or 100 headers.", ""}
	// RejectPlain answers what is not TLS on a port that speaks TLS.
	RejectPlain = &Rejection{400, "Bad Request", "This port speaks TLS: use wss:// or https://.", ""}
	// RejectTimeout answers a handshake that did not complete in time.
	RejectTimeout = &Rejection{408, "Request Timeout", "The handshake took too long.", ""}
	// RejectTooMany answers while the client's address has as many connections as
	// it may, or begins them too fast.
	RejectTooMany = &Rejection{429, "Too Many Requests", "Your address has too many connections; try again.", "Retry-After: 1\r\n"}
	// RejectUnavailable answers while the node accepts no connections.
	RejectUnavailable = &Rejection{503, "Service Unavailable", "The server takes no new connections now; try again.", "Retry-After: 1\r\n"}
)

var crlf2 = []byte("\r\n\r\n")

// HeadLen returns the length of the request head at the start of view, its
// final empty line included, or 0 while it is incomplete.
func HeadLen(view []byte) int {
	i := bytes.Index(view, crlf2)
	if i < 0 {
		return 0
	}
	return i + len(crlf2)
}

// ParseRequest checks a complete head, as HeadLen found it, against every
// demand on an opening handshake.
//
// RFC 6455 sections 4.1 and 4.2.1; RFC 9112 sections 3 and 5 for the syntax.
func ParseRequest(head []byte) (Request, *Rejection) {
	var req Request
	line, rest, ok := cutLine(head)
	if !ok {
		return req, rejectMalformed
	}
	method, line, ok1 := bytes.Cut(line, space)
	target, version, ok2 := bytes.Cut(line, space)
	if !ok1 || !ok2 || !isToken(method) {
		return req, rejectMalformed
	}
	if string(method) != "GET" {
		return req, rejectMethod
	}
	if rej := checkVersion(version); rej != nil {
		return req, rej
	}
	if !isTarget(target) {
		return req, rejectTarget
	}
	req.Path, req.Query, _ = bytes.Cut(target, question)

	var seen headers
	for n := 0; ; n++ {
		line, rest, ok = cutLine(rest)
		if !ok {
			return req, rejectMalformed
		}
		if len(line) == 0 {
			break
		}
		if n == MaxHeaders {
			return req, RejectTooLarge
		}
		name, value, found := bytes.Cut(line, colon)
		// A name that is empty, ends in white space or begins with it (a folded
		// line) is how requests are smuggled past proxies.
		if !found || !isToken(name) || !isValue(value) {
			return req, rejectMalformed
		}
		seen.add(&req, name, bytes.Trim(value, " \t"))
	}
	return req, seen.check(&req)
}

var (
	space    = []byte(" ")
	question = []byte("?")
	colon    = []byte(":")
)

// cutLine returns the bytes up to the next CRLF. A bare LF is no line end.
func cutLine(b []byte) (line, rest []byte, ok bool) {
	i := bytes.IndexByte(b, '\n')
	if i < 1 || b[i-1] != '\r' {
		return nil, nil, false
	}
	return b[:i-1], b[i+1:], true
}

func checkVersion(v []byte) *Rejection {
	if len(v) != len("HTTP/1.1") || string(v[:5]) != "HTTP/" || v[6] != '.' || !isDigit(v[5]) || !isDigit(v[7]) {
		return rejectMalformed
	}
	if v[5] != '1' || v[7] < '1' {
		return rejectHTTP
	}
	return nil
}

// headers counts and judges the header lines a handshake depends on.
type headers struct {
	hosts, keys, versions int
	upgrade, connection   bool
	version13             bool
	body                  bool
}

func (s *headers) add(req *Request, name, value []byte) {
	switch {
	case equalFold(name, "host"):
		s.hosts++
		req.Host = value
	case equalFold(name, "upgrade"):
		s.upgrade = s.upgrade || listContains(value, "websocket")
	case equalFold(name, "connection"):
		s.connection = s.connection || listContains(value, "upgrade")
	case equalFold(name, "sec-websocket-key"):
		s.keys++
		req.key = value
	case equalFold(name, "sec-websocket-version"):
		s.versions++
		s.version13 = string(value) == "13"
	case equalFold(name, "origin"):
		req.Origin = value
	case equalFold(name, "x-forwarded-for"):
		req.ForwardedFor = append(req.ForwardedFor, value)
	case equalFold(name, "user-agent"):
		req.UserAgent = value
	case equalFold(name, "sec-websocket-extensions"):
		if req.deflate == noOffer {
			req.deflate = readOffers(value)
		}
	case equalFold(name, "transfer-encoding"):
		s.body = true
	case equalFold(name, "content-length"):
		s.body = s.body || string(value) != "0"
	}
}

func (s *headers) check(req *Request) *Rejection {
	switch {
	case s.hosts != 1 || len(req.Host) == 0:
		return rejectHost
	case !s.upgrade:
		return rejectUpgrade
	case !s.connection:
		return rejectConnection
	case s.keys != 1 || !isKey(req.key):
		return rejectKey
	case s.versions != 1 || !s.version13:
		return rejectVersion
	case s.body:
		return rejectBody
	}
	return nil
}

// isKey reports whether key is the base64 of 16 bytes.
func isKey(key []byte) bool {
	var raw [18]byte
	if len(key) != keyText {
		return false
	}
	n, err := base64.StdEncoding.Decode(raw[:], key)
	return err == nil && n == 16
}

// AppendAccept appends the 101 answer to a request.
//
// RFC 6455 section 4.2.2. No subprotocol is ever selected, and no extension but
// the one of RFC 7692.
func AppendAccept(dst []byte, req *Request) []byte {
	var in [keyText + len(guid)]byte
	copy(in[:], req.key)
	copy(in[keyText:], guid)
	sum := sha1.Sum(in[:]) //nolint:gosec // see the import
	var accept [acceptLen]byte
	base64.StdEncoding.Encode(accept[:], sum[:])

	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = append(dst, accept[:]...)
	if req.deflate != noOffer {
		dst = append(append(dst, "\r\n"...), deflateAnswer...)
		if req.deflate == windowOffer {
			dst = append(dst, "; server_max_window_bits=15"...)
		}
	}
	return append(dst, "\r\nX-Powered-By: resound\r\n\r\n"...)
}

// AppendRejection appends the HTTP answer, after which the connection closes.
func AppendRejection(dst []byte, r *Rejection) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(append(dst, ' '), r.Phrase...)
	dst = append(dst, "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"...)
	dst = append(append(dst, r.Header...), "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(r.Text)), 10)
	return append(append(dst, "\r\n\r\n"...), r.Text...)
}

// equalFold compares an ASCII header name with one in lower case.
func equalFold(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// listContains looks for a token in a comma-separated header value.
func listContains(value []byte, lower string) bool {
	for len(value) > 0 {
		var item []byte
		item, value, _ = bytes.Cut(value, comma)
		if equalFold(bytes.Trim(item, " \t"), lower) {
			return true
		}
	}
	return false
}

var comma = []byte(",")

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isToken checks a method or header name against RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', isDigit(c):
		case bytes.IndexByte(tokenMarks, c) >= 0:
		default:
			return false
		}
	}
	return len(b) > 0
}

var tokenMarks = []byte("!#$%&'*+-.^_`|~")

// isValue refuses control characters, above all NUL and a bare CR.
func isValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isTarget accepts a path of visible ASCII.
func isTarget(b []byte) bool {
	if len(b) == 0 || b[0] != '/' {
		return false
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}
