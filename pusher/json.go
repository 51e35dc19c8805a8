package pusher

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// MaxJSONDepth bounds the nesting of what clients and applications send.
//
// Reverb: PHP's json_decode gives up at the same depth.
const MaxJSONDepth = 512

// appendString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

// appendEscaped appends what stands between the quotes of s as a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\')
		switch c {
		case '"', '\\':
			dst = append(dst, c)
		case '\n':
			dst = append(dst, 'n')
		case '\r':
			dst = append(dst, 'r')
		case '\t':
			dst = append(dst, 't')
		default:
			dst = append(dst, 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(dst, s[start:]...)
}

const hex = "0123456789abcdef"

// plain tells the bytes that stand for themselves in a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// view reads bytes as a string without a copy. It dies with the bytes.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// cloned copies a string that may be a view.
func cloned(s string) string { return strings.Clone(s) }

// ValidJSON reports whether text is JSON that nests no deeper than MaxJSONDepth.
// It is the only way to validate what came from outside: validating recurses, so
// the depth must be known first, or a stack that overflows ends the process.
func ValidJSON(text string) bool { return ValidDepth(text) && gjson.Valid(text) }

// ValidDepth reports whether text nests no deeper than MaxJSONDepth. It counts
// brackets outside strings and does not otherwise validate.
func ValidDepth(text string) bool {
	if strings.Count(text, "{")+strings.Count(text, "[") <= MaxJSONDepth {
		return true // Fast path.
	}
	depth := 0
	inString := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString:
			switch c {
			case '\\':
				i++
			case '"':
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > MaxJSONDepth {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}

// field returns a member of an object. Of duplicate keys the last counts, as in
// PHP and JavaScript.
func field(object gjson.Result, key string) (value gjson.Result) {
	object.ForEach(func(k, v gjson.Result) bool {
		if k.Str == key {
			value = v
		}
		return true
	})
	return value
}
