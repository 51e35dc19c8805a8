package rest

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
)

// messages collects what is wrong with the fields of a body, as Laravel's
// validator words it: {"data":["The data field is required."]}. The zero value
// has none.
//
// Reverb: EventsController and EventsBatchController answer 422 with them.
type messages struct{ json []byte }

// add records a message for a field. text follows "The <field> field ".
func (m *messages) add(field, text string) {
	if m.json == nil {
		m.json = append(m.json, '{')
	} else {
		m.json = append(m.json, ',')
	}
	m.json = gjson.AppendJSONString(m.json, field)
	m.json = append(m.json, ":["...)
	m.json = gjson.AppendJSONString(m.json, "The "+strings.ReplaceAll(field, "_", " ")+" field "+text)
	m.json = append(m.json, ']')
}

// refusal returns the 422, or nil when there is nothing to say.
func (m *messages) refusal() error {
	if m.json == nil {
		return nil
	}
	return &refusal{status: fasthttp.StatusUnprocessableEntity, json: string(m.json) + "}"}
}

// blank is what PHP's trim removes.
const blank = " \t\n\r\x00\x0b"

// filled reports whether Laravel's rule "required" holds for a token.
func filled(token string) bool {
	switch token {
	case "", "null":
		return false
	}
	switch token[0] {
	case '"':
		text := strings.Trim(token[1:len(token)-1], blank)
		if text != "" && text[0] == '\\' {
			text = strings.Trim(plain(token), blank)
		}
		return text != ""
	case '[', '{':
		values := valuesOf(token)
		_, _, some := values.next()
		return some
	}
	return true
}

// requireString demands a string with something in it.
func (m *messages) requireString(field, token string) {
	switch {
	case !filled(token):
		m.add(field, "is required.")
	case !isString(token):
		m.add(field, "must be a string.")
	}
}

// allowString demands a string if there is anything.
func (m *messages) allowString(field, token string) {
	if token != "" && !isString(token) {
		m.add(field, "must be a string.")
	}
}

func indexed(list string, i int, field string) string {
	return list + "." + strconv.Itoa(i) + field
}
