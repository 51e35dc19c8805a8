package rest

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"resound/pusher"
)

// decode reads a token with the functions of this package alone.
func decode(token string) any {
	switch {
	case isString(token):
		return plain(token)
	case isArray(token):
		out := []any{}
		for list := valuesOf(token); ; {
			_, value, ok := list.next()
			if !ok {
				return out
			}
			out = append(out, decode(value))
		}
	case isObject(token):
		out := map[string]any{}
		for members := valuesOf(token); ; {
			key, value, ok := members.next()
			if !ok {
				return out
			}
			out[plain(key)] = decode(value)
		}
	case isNumber(token):
		return json.Number(token)
	}
	return map[string]any{"true": true, "false": false, "null": nil}[token]
}

func FuzzTokens(f *testing.F) {
	for _, seed := range []string{
		`{"name":"e","data":"{\"a\":\"\\\\\"}","channels":["a", "b"],"x":{"y":[1,-2.5e3,{}],"z":null},"":true}`,
		" [ ] ", `[[],{},"",0,"\u00e9\ud83d\ude00\ud800"]`, `"]}\""`, "{\"a\"\t:\r\n1 , \"a\":2}", `-0`, `{"a`, strings.Repeat("[", 600),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := bytes.TrimSpace([]byte(text))
		if len(b) == 0 || !utf8.Valid(b) || !gjson.ValidBytes(b) {
			return
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			t.Fatalf("%q is accepted but is not JSON: %v", text, err)
		}
		if n := tokenLen(string(b)); n != len(b) {
			t.Fatalf("the token %q has length %d, want %d", b, n, len(b))
		}
		if got := decode(string(b)); !reflect.DeepEqual(got, want) {
			t.Errorf("%q reads as %#v, want %#v", b, got, want)
		}
		if got, want := pusher.ValidDepth(string(b)), depth(b) <= pusher.MaxJSONDepth; got != want {
			t.Errorf("%q nests within the limit: %v, want %v", b, got, want)
		}
	})
}

// depth is how deep valid JSON nests.
func depth(b []byte) (deepest int) {
	open := 0
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		token, err := d.Token()
		if err != nil {
			return deepest
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			open++
			deepest = max(deepest, open)
		case json.Delim(']'), json.Delim('}'):
			open--
		}
	}
}
