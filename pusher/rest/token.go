package rest

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"resound/pusher"
)

// object checks a body once, so that its tokens can be walked and passed on
// without another look, and returns it as a view.
//
// Departs: Reverb answers 500 to a body that is empty, not JSON or no object.
func (r *request) object() (string, error) {
	b := bytes.TrimSpace(r.body)
	switch {
	case len(b) == 0:
		return "", badRequest("Bad request. The body is empty; a JSON object is expected.")
	case !utf8.Valid(b):
		return "", badRequest("Bad request. The body is not valid UTF-8.")
	case !pusher.ValidDepth(view(b)):
		return "", badRequest("Bad request. The body nests deeper than %d levels.", pusher.MaxJSONDepth)
	case !pusher.ValidJSON(view(b)):
		return "", badRequest("Bad request. The body is not valid JSON.")
	case b[0] != '{':
		return "", badRequest("Bad request. The body is not a JSON object.")
	}
	return view(b), nil
}

// A token is the text of one JSON value as it came, or empty for none. The
// functions below take tokens of valid JSON.

func isString(token string) bool { return token != "" && token[0] == '"' }
func isArray(token string) bool  { return token != "" && token[0] == '[' }
func isObject(token string) bool { return token != "" && token[0] == '{' }
func isNumber(token string) bool {
	return token != "" && (token[0] == '-' || '0' <= token[0] && token[0] <= '9')
}

// plain returns the text of a string token, a view unless it has escapes. Half a
// surrogate pair becomes U+FFFD, as everywhere in Go.
func plain(token string) string {
	if strings.IndexByte(token, '\\') < 0 {
		return token[1 : len(token)-1] // Fast path.
	}
	return decoded(token)
}

func decoded(token string) (text string) {
	if err := json.Unmarshal([]byte(token), &text); err != nil {
		panic(err) // object has checked every token.
	}
	return text
}

// longer reports whether the text of a string token has more than limit bytes,
// where limit 0 or less means none.
func longer(token string, limit int) bool {
	// An escape is never shorter than what it stands for.
	return limit > 0 && len(token)-2 > limit && len(plain(token)) > limit
}

// values walks over the members of an object or the elements of an array.
type values struct{ rest string }

func valuesOf(token string) values { return values{token[1:]} }

// next returns the next element; key is empty for those of an array. ok is false
// at the end.
func (v *values) next() (key, value string, ok bool) {
	v.skip()
	if v.rest == "" || v.rest[0] == '}' || v.rest[0] == ']' {
		return "", "", false
	}
	value = v.token()
	v.skip()
	if v.rest != "" && v.rest[0] == ':' {
		key = value
		v.rest = v.rest[1:]
		v.skip()
		value = v.token()
	}
	return key, value, true
}

// skip moves to the next token or closing bracket.
func (v *values) skip() {
	for v.rest != "" && strings.IndexByte(" \t\r\n,", v.rest[0]) >= 0 {
		v.rest = v.rest[1:]
	}
}

func (v *values) token() string {
	n := tokenLen(v.rest)
	token := v.rest[:n]
	v.rest = v.rest[n:]
	return token
}

// tokenLen is the length of the value s begins with.
func tokenLen(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			i += stringLen(s[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth > 0 {
				continue
			}
			if n := strings.IndexAny(s[i:], ",]} \t\r\n"); n >= 0 {
				return i + n
			}
			return len(s)
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(s)
}

// stringLen is the length of the string token s begins with.
func stringLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}
