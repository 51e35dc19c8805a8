package rest

import (
	"net/url"
	"strings"
	"testing"

	"resound/pusher"
)

// byQuery triggers with parameters in the query. channels is how the list is
// spelled there, joined is what of it is signed.
func (f *fixture) byQuery(params map[string]string, channels, joined, body string) response {
	f.t.Helper()
	signed := map[string]string{}
	for k, v := range params {
		signed[k] = v
	}
	if channels != "" {
		signed["channels"] = joined
	}
	query := sign("POST", eventsPath, signed, body)
	return f.send("POST", eventsPath+"?"+strings.Replace(query, "channels="+url.QueryEscape(joined), channels, 1), body)
}

func TestTriggerByQuery(t *testing.T) {
	type params = map[string]string
	tests := []struct {
		name             string
		params           params
		channels, joined string
		body             string
		status           int
		answer           string
		events           []string
	}{
		{
			"everything",
			params{"name": "e", "data": `{"a":1}`, "socket_id": "1.2", "info": "subscription_count"},
			"channels[]=a&channels[]=b", "a,b", "",
			200, `{"channels":{"a":{},"b":{"subscription_count":1}}}`,
			[]string{`a "e" "{\"a\":1}" except 1.2`, `b "e" "{\"a\":1}" except 1.2`},
		},
		{
			"one_channel",
			params{"name": "e", "data": "x", "channel": "a"},
			"", "", "",
			200, `{}`,
			[]string{`a "e" "x"`},
		},
		{
			"indexes_and_escaped_brackets",
			params{"name": "e", "data": "x"},
			"channels%5B0%5D=a&channels%5B1%5D=b", "a,b", "",
			200, `{}`,
			[]string{`a "e" "x"`, `b "e" "x"`},
		},
		{
			"a_comma_belongs_to_its_channel",
			params{"name": "e", "data": "x"},
			"channels[]=a,b&channels[]=c", "a,b,c", "",
			200, `{}`,
			[]string{`a,b "e" "x"`, `c "e" "x"`},
		},
		{
			"a_list_of_one_without_brackets",
			params{"name": "e", "data": "x"},
			"channels=a", "a", "",
			200, `{}`,
			[]string{`a "e" "x"`},
		},
		{
			"what_the_body_lacks",
			params{"name": "e", "socket_id": "1.2"},
			"channels[]=a", "a", `{"data":"x"}`,
			200, `{}`,
			[]string{`a "e" "x" except 1.2`},
		},
		{
			"what_the_body_has_wins",
			params{"name": "f", "data": "y", "channel": "b", "info": "user_count"},
			"", "",
			`{"name":"e","data":"x","channel":"a","info":""}`,
			200, `{}`,
			[]string{`a "e" "x"`},
		},
		{
			"channels_of_the_body_win_over_channel",
			params{"channel": "b"},
			"", "", `{"name":"e","data":"x","channels":["a"]}`,
			200, `{}`,
			[]string{`a "e" "x"`},
		},
		{
			"quotes_and_control_bytes_are_escaped",
			params{"name": `"`, "data": "\"\\\n", "channel": `a"`},
			"", "", "",
			200, `{}`,
			[]string{`a" "\"" "\"\\\n"`},
		},
		{
			"no_data",
			params{"name": "e", "channel": "a"},
			"", "", "",
			422, `{"data":["The data field is required."]}`,
			nil,
		},
		{
			"no_channel",
			params{"name": "e", "data": "x"},
			"", "", "",
			422, `{"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`,
			nil,
		},
		{
			"an_empty_channel",
			params{"name": "e", "data": "x", "channel": " "},
			"", "", "",
			422, `{"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`,
			nil,
		},
		{"neither_body_nor_name", params{"data": "x", "channel": "a"}, "", "", "", 400, "Bad request. The body is empty", nil},
		{"a_body_that_is_no_JSON", params{"name": "e", "data": "x", "channel": "a"}, "", "", "?", 400, "Bad request. The body is not valid JSON.", nil},
		{"data_that_is_no_UTF-8", params{"name": "e", "data": "\xff", "channel": "a"}, "", "", "", 400, "Bad request. The parameter data is not valid UTF-8.", nil},
		{"a_channel_that_is_no_UTF-8", params{"name": "e", "data": "x"}, "channels[]=%ff", "\xff", "", 400, "Bad request. The parameter channels is not valid UTF-8.", nil},
		{
			"a_long_channel",
			params{"name": "e", "data": "x", "channel": strings.Repeat("a", 201)},
			"", "", "",
			400, "Bad request. A channel name of 201 bytes is longer than 200 bytes.",
			nil,
		},
		{
			"too_many_channels",
			params{"name": "e", "data": "x"},
			"channels[]=a&channels[]=b&channels[]=c&channels[]=d", "a,b,c,d", "",
			400, "Bad request. An event goes to 3 channels at most.",
			nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxEventChannels = 3 })
			f.subscribe("b", 1)
			f.byQuery(tt.params, tt.channels, tt.joined, tt.body).check(t, tt.status, tt.answer)
			f.checkEvents(tt.events...)
		})
	}
	t.Run("unsigned", func(t *testing.T) {
		f := newFixture(t, nil)
		f.send("POST", eventsPath+"?name=e&data=x&channel=a", "").check(t, 401, "Authentication signature invalid.")
		f.checkEvents()
	})
}

func TestTriggerRaw(t *testing.T) {
	long := strings.Repeat("x", 201)
	tests := []struct {
		name, path, body string
		status           int
		answer           string
		events           []string
	}{
		{"JSON_as_it_is", "/channels/a/events?name=e", `{"some":"data"}`, 202, "", []string{`a "e" "{\"some\":\"data\"}"`}},
		{"text", "/channels/a/events?name=e", "é\n", 202, "", []string{`a "e" "é\n"`}},
		{"except_a_connection", "/channels/a/events?name=e&socket_id=1.2", "x", 202, "", []string{`a "e" "x" except 1.2`}},
		{"an_invalid_socket_id_excludes_nobody", "/channels/a/events?name=e&socket_id=x", "x", 202, "", []string{`a "e" "x"`}},
		{"an_escaped_channel", "/channels/a%2F%22/events?name=e", "x", 202, "", []string{`a/" "e" "x"`}},
		{"no_name", "/channels/a/events", "x", 422, `{"name":["The name field is required."]}`, nil},
		{"a_name_in_the_body_is_data", "/channels/a/events", `{"name":"e"}`, 422, `{"name":["The name field is required."]}`, nil},
		{"no_body", "/channels/a/events?name=e", "", 422, `{"data":["The data field is required."]}`, nil},
		{"a_body_that_is_no_UTF-8", "/channels/a/events?name=e", "\xff", 400, "Bad request. The parameter body is not valid UTF-8.", nil},
		{"a_channel_that_is_no_UTF-8", "/channels/%ff/events?name=e", "x", 400, "Bad request. The parameter channel is not valid UTF-8.", nil},
		{"a_long_name", "/channels/a/events?name=" + long, "x", 400, "Bad request. The event name is longer than 200 bytes.", nil},
		{"a_long_channel", "/channels/" + long + "/events?name=e", "x", 400, "Bad request. A channel name of 201 bytes is longer than 200 bytes.", nil},
		{"too_much_data", "/channels/a/events?name=e", strings.Repeat("x", 1001), 413, "Payload too large. The data of an event may have 1000 bytes", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxEventBytes = 1000 })
			got := f.do("POST", appPath+tt.path, tt.body)
			if tt.status == 202 {
				if got.status != 202 || got.body != "" {
					t.Fatalf("%d %q, want 202 without a body", got.status, got.body)
				}
			} else {
				got.check(t, tt.status, tt.answer)
			}
			f.checkEvents(tt.events...)
		})
	}
}

func TestTriggerRawIsCharged(t *testing.T) {
	f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxBackendEventsPerSecond = 1 })
	if got := f.do("POST", appPath+"/channels/a/events?name=e", "x"); got.status != 202 {
		t.Fatalf("%d %q, want 202", got.status, got.body)
	}
	f.do("POST", appPath+"/channels/a/events?name=e", "x").check(t, 429, "Too many events.")
	f.checkEvents(`a "e" "x"`)
}
