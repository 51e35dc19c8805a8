package auth

import (
	"errors"
	"strings"
	"unsafe"
)

// MaxQueryParams is how many parameters a query may have; keeping them sorted
// costs the square of their number at worst.
const MaxQueryParams = 128

// ErrQueryTooLong is returned by Parse for more than MaxQueryParams parameters.
var ErrQueryTooLong = errors.New("the query has more than 128 parameters")

// Names of the parameters that carry a request's authentication.
const (
	ParamKey       = "auth_key"
	ParamTimestamp = "auth_timestamp"
	ParamVersion   = "auth_version"
	ParamSignature = "auth_signature"
	ParamBodyMD5   = "body_md5"
)

// Query is a request's parameters as the signature sees them: decoded, keys in
// lower case and sorted, arrays joined. The zero value is empty. Owned by one
// request; reuse it for the next one by parsing again.
type Query struct {
	params []param
	text   []byte // decoded keys and values of params; reserved by Parse
}

type param struct {
	key, value string
	array      bool // came as key[]=
}

// Parse reads a query string, the part of a URL behind the question mark. The
// Query holds views of raw until it is parsed again.
//
// "+" and "%XX" are decoded and an incomplete escape stands for itself. Of equal
// keys the last one counts; key[]= and key[n]= collect values joined by ",".
//
// Pusher: HTTP API, keys are lower-cased before they are signed.
// Reverb: the query is read as PHP reads it, arrays are joined by ",".
func (q *Query) Parse(raw string) error {
	q.params, q.text = q.params[:0], q.text[:0]
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		key, value, _ := strings.Cut(pair, "=")
		key, array := q.key(key)
		if key == "" {
			continue
		}
		if len(q.params) == MaxQueryParams {
			return ErrQueryTooLong
		}
		q.set(param{key, q.decode(value), array})
	}
	return nil
}

// Reset forgets the parameters and with them the text that was parsed.
func (q *Query) Reset() {
	clear(q.params)
	q.params, q.text = q.params[:0], q.text[:0]
	if cap(q.text) > maxKeptBytes {
		q.text = nil
	}
}

// Get returns the value of a parameter, empty when there is none. key is in
// lower case. The value is a view that is valid as long as the Query.
func (q *Query) Get(key string) string {
	value, _ := q.Lookup(key)
	return value
}

// Lookup is Get that tells an empty parameter from an absent one.
func (q *Query) Lookup(key string) (value string, ok bool) {
	for i := range q.params {
		if q.params[i].key == key {
			return q.params[i].value, true
		}
	}
	return "", false
}

// AppendCanonical appends the string that an HTTP API request is signed with:
//
//	METHOD \n path \n key=value&key=value...
//
// over all parameters but auth_signature, in the order of their keys, values
// not escaped. bodyMD5 takes the place of a body_md5 parameter; empty means that
// there is none to sign.
//
// Pusher: HTTP API, "Generating authentication signatures".
// Reverb: body_md5 is computed from the body that arrived, never believed.
func (q *Query) AppendCanonical(dst []byte, method, path, bodyMD5 string) []byte {
	dst = append(dst, method...)
	dst = append(dst, '\n')
	dst = append(dst, path...)
	dst = append(dst, '\n')
	start := len(dst)
	for i := range q.params {
		p := &q.params[i]
		if bodyMD5 != "" && p.key >= ParamBodyMD5 {
			dst = appendParam(dst, start, ParamBodyMD5, bodyMD5)
			bodyMD5 = ""
		}
		if p.key != ParamSignature && p.key != ParamBodyMD5 {
			dst = appendParam(dst, start, p.key, p.value)
		}
	}
	if bodyMD5 != "" {
		dst = appendParam(dst, start, ParamBodyMD5, bodyMD5)
	}
	return dst
}

func appendParam(dst []byte, start int, key, value string) []byte {
	if len(dst) > start {
		dst = append(dst, '&')
	}
	dst = append(dst, key...)
	dst = append(dst, '=')
	return append(dst, value...)
}

// set puts p in its place, at the end when the client sorted the query itself.
func (q *Query) set(p param) {
	i := len(q.params)
	for i > 0 && q.params[i-1].key > p.key {
		i--
	}
	if i > 0 && q.params[i-1].key == p.key {
		had := &q.params[i-1]
		if had.array && p.array {
			p.value = q.join(had.value, p.value)
		}
		*had = p
		return
	}
	q.params = append(q.params, param{})
	copy(q.params[i+1:], q.params[i:])
	q.params[i] = p
}

// key decodes the name of a parameter. An opening bracket ends the name and
// makes it an array.
func (q *Query) key(raw string) (key string, array bool) {
	plain := true
	for i := range len(raw) {
		switch c := raw[i]; {
		case c == '%', c == '+', c == '[', 'A' <= c && c <= 'Z':
			plain = false
		}
	}
	if plain {
		return raw, false // Fast path: every key of every client library.
	}
	key = q.decode(raw)
	if i := strings.IndexByte(key, '['); i > 0 {
		key, array = key[:i], true
	}
	return q.lower(key), array
}

func (q *Query) lower(s string) string {
	start := len(q.text)
	for i := range len(s) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		q.text = append(q.text, c)
	}
	return q.since(start)
}

func (q *Query) decode(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s // Fast path.
	}
	start := len(q.text)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		q.text = append(q.text, c)
	}
	return q.since(start)
}

func (q *Query) join(a, b string) string {
	start := len(q.text)
	q.text = append(q.text, a...)
	q.text = append(q.text, ',')
	q.text = append(q.text, b...)
	return q.since(start)
}

// since returns what was written to text from start on. The bytes are not
// written again before the next Parse, also when text moves as it grows.
func (q *Query) since(start int) string {
	b := q.text[start:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}
