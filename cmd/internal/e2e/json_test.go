package e2e

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// sameJSON reports whether two texts are the same JSON value, the digits of
// numbers included. A text that is no JSON is never the same.
func sameJSON(a, b string) bool {
	left, err := parseJSON(a)
	if err != nil {
		return false
	}
	right, err := parseJSON(b)
	return err == nil && reflect.DeepEqual(left, right)
}

func parseJSON(text string) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err
}

// quote returns text as a JSON string.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can always be encoded
	}
	return string(quoted)
}

// contains reports whether the value of a happening has this text.
func contains(h happening, text string) bool { return bytes.Contains(h.Value, []byte(text)) }
