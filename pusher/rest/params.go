package rest

import (
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"

	"resound/auth"
)

// Pusher: the parameters of a POST may also stand in the query, as
// ?name=e&channels[]=a&channels[]=b. What the body has wins, parameter by
// parameter.

// asksByQuery reports whether the query is a trigger of its own, so that the
// body may be empty.
func (r *request) asksByQuery() bool {
	_, ok := r.query.Lookup("name")
	return ok
}

// fillFromQuery gives an event the parameters that its body lacks.
func (r *request) fillFromQuery(e *event) (err error) {
	if e.name, err = r.orParam(e.name, "name"); err != nil {
		return err
	}
	if e.data, err = r.orParam(e.data, "data"); err != nil {
		return err
	}
	if e.socketID, err = r.orParam(e.socketID, "socket_id"); err != nil {
		return err
	}
	if e.info, err = r.orParam(e.info, "info"); err != nil {
		return err
	}
	if e.channel != "" || e.channels != "" {
		return nil // Fast path: every client library.
	}
	return r.fillChannelsFromQuery(e)
}

// orParam returns a token, or what the query has in place of none.
func (r *request) orParam(token, name string) (string, error) {
	if token != "" {
		return token, nil
	}
	value, ok := r.query.Lookup(name)
	if !ok {
		return "", nil
	}
	return tokenOf(name, value)
}

func (r *request) fillChannelsFromQuery(e *event) (err error) {
	if e.channel, err = r.orParam(e.channel, "channel"); err != nil {
		return err
	}
	if _, ok := r.query.Lookup("channels"); !ok {
		return nil
	}
	// The query joins arrays by commas, which channel names may have too: its
	// pairs are read one by one.
	list := []byte{'['}
	var one auth.Query
	for pair := range strings.SplitSeq(r.rawQuery, "&") {
		if err := one.Parse(pair); err != nil {
			return badRequest("Bad request: %v.", err)
		}
		value, ok := one.Lookup("channels")
		if !ok {
			continue
		}
		token, err := tokenOf("channels", value)
		if err != nil {
			return err
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, token...)
	}
	e.channels = view(append(list, ']'))
	return nil
}

// tokenOf makes a string token of a parameter.
func tokenOf(name, value string) (token string, err error) {
	if !utf8.ValidString(value) {
		return "", badRequest("Bad request. The parameter %s is not valid UTF-8.", name)
	}
	return view(gjson.AppendJSONString(nil, value)), nil
}

// triggerRaw sends the body, whatever it is, as the data of one event.
//
// Pusher: POST /apps/{app_id}/channels/{channel_name}/events, deprecated: 202
// without a body.
func (r *request) triggerRaw() error {
	var e event
	for _, p := range [...]struct {
		token       *string
		name, value string
	}{
		{&e.name, "name", r.query.Get("name")},
		{&e.data, "body", view(r.body)},
		{&e.channel, "channel", r.args[1]},
		{&e.socketID, "socket_id", r.query.Get("socket_id")},
	} {
		token, err := tokenOf(p.name, p.value)
		if err != nil {
			return err
		}
		*p.token = token
	}
	if err := r.triggerAll(&e); err != nil {
		return err
	}
	r.status = fasthttp.StatusAccepted
	return nil
}
