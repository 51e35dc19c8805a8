package rest

import (
	"fmt"
	"strings"
	"testing"

	"resound/pusher"
)

const eventsPath = "/apps/" + appID + "/events"

// The numbers name the lines of Reverb's own test suite.

func TestTrigger(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		answer string
		events []string
	}{
		{
			"49_a_single_channel", `{"name":"NewEvent","channel":"test-channel","data":"{\"some\":\"data\"}"}`,
			`{}`,
			[]string{`test-channel "NewEvent" "{\"some\":\"data\"}"`},
		},
		{
			"50_a_list_of_channels", `{"name":"NewEvent","channels":["test-channel-one","test-channel-two"],"data":"x"}`,
			`{}`,
			[]string{`test-channel-one "NewEvent" "x"`, `test-channel-two "NewEvent" "x"`},
		},
		{
			"51_info_user_count", `{"name":"e","channels":["presence-test-channel-one","test-channel-two"],"data":"x","info":"user_count"}`,
			`{"channels":{"presence-test-channel-one":{"user_count":1},"test-channel-two":{}}}`,
			[]string{`presence-test-channel-one "e" "x"`, `test-channel-two "e" "x"`},
		},
		{
			"52_info_subscription_count", `{"name":"e","channels":["presence-test-channel-one","test-channel-two"],"data":"x","info":"subscription_count"}`,
			`{"channels":{"presence-test-channel-one":{},"test-channel-two":{"subscription_count":1}}}`,
			[]string{`presence-test-channel-one "e" "x"`, `test-channel-two "e" "x"`},
		},
		{
			"53_54_55_socket_id_is_passed_on", `{"name":"e","channel":"a","data":"x","socket_id":"123.456"}`,
			`{}`,
			[]string{`a "e" "x" except 123.456`},
		},
		{
			"56_an_invalid_socket_id_excludes_nobody", `{"name":"e","channel":"a","data":"x","socket_id":"not-a-socket"}`,
			`{}`,
			[]string{`a "e" "x"`},
		},
		{
			"an_empty_socket_id_excludes_nobody", `{"name":"e","channel":"a","data":"x","socket_id":""}`,
			`{}`,
			[]string{`a "e" "x"`},
		},
		{
			"channels_wins_over_channel", `{"name":"e","channel":"b","channels":["a"],"data":"x"}`,
			`{}`,
			[]string{`a "e" "x"`},
		},
		{
			"an_empty_list_leaves_channel", `{"name":"e","channel":"b","channels":[],"data":"x"}`,
			`{}`,
			[]string{`b "e" "x"`},
		},
		{
			"a_double_channel_gets_the_event_once", `{"name":"e","channels":["a","b","a","\u0061"],"data":"x"}`,
			`{}`,
			[]string{`a "e" "x"`, `b "e" "x"`},
		},
		{
			"a_double_channel_has_one_entry", `{"name":"e","channels":["test-channel-two","test-channel-two"],"data":"x","info":"subscription_count"}`,
			`{"channels":{"test-channel-two":{"subscription_count":1}}}`,
			[]string{`test-channel-two "e" "x"`},
		},
		{
			"channels_with_holes_are_an_object", `{"name":"e","channels":{"1":"a","3":"b"},"data":"x"}`,
			`{}`,
			[]string{`a "e" "x"`, `b "e" "x"`},
		},
		{
			"of_equal_keys_the_last_counts", `{"name":"d","name":"e","channel":"a","channel":"b","data":"w","data":"x"}`,
			`{}`,
			[]string{`b "e" "x"`},
		},
		{
			"tokens_are_passed_on_as_they_are", `{"name":"App\\Events\\\u00c4","channel":"a","data":"\u00e9\/\ud83d\ude00 <&> \u2028é"}`,
			`{}`,
			[]string{`a "App\\Events\\\u00c4" "\u00e9\/\ud83d\ude00 <&> \u2028é"`},
		},
		{
			"escapes_in_a_channel_are_decoded", `{"name":"e","channel":"caf\u00e9\/\"x\"","data":"x","info":"user_count"}`,
			`{"channels":{"café/\"x\"":{}}}`,
			[]string{`café/"x" "e" "x"`},
		},
		{
			"blanks_around_a_name_are_kept", `{"name":" \u0020e ","channel":" a","data":"\n\u0078"}`,
			`{}`,
			[]string{` a " \u0020e " "\n\u0078"`},
		},
		{
			"escapes_in_keys_are_decoded", `{"\u006eame":"e","ch\u0061nnel":"a","data":"x"}`,
			`{}`,
			[]string{`a "e" "x"`},
		},
		{
			"white_space_and_unknown_members", " {\r\n\t\"name\" : \"e\" ,\"x\":[{\"name\":\"no\"},{}],\"y\":-1.5e3,\"z\":null , \"channels\":[ \"a\" , \"b\" ] ,\"data\":\"x\" } \n",
			`{}`,
			[]string{`a "e" "x"`, `b "e" "x"`},
		},
		{
			"an_event_to_a_user_is_accepted", `{"name":"e","channel":"#server-to-user-42","data":"x"}`,
			`{}`,
			[]string{`#server-to-user-42 "e" "x"`},
		},
		{
			"an_event_to_a_user_has_no_info", `{"name":"e","channels":["#server-to-user-42","a"],"data":"x","info":"subscription_count"}`,
			`{"channels":{"#server-to-user-42":{},"a":{}}}`,
			[]string{`#server-to-user-42 "e" "x"`, `a "e" "x"`},
		},
		{
			"reserved_names_are_the_applications_business", `{"name":"pusher:ping","channel":"a","data":"x"}`,
			`{}`,
			[]string{`a "pusher:ping" "x"`},
		},
		{
			"empty_info_asks_for_nothing", `{"name":"e","channel":"a","data":"x","info":""}`,
			`{}`,
			[]string{`a "e" "x"`},
		},
		{
			"unknown_info_is_left_out", `{"name":"e","channel":"a","data":"x","info":"color"}`,
			`{"channels":{"a":{}}}`,
			[]string{`a "e" "x"`},
		},
		{
			"an_event_of_a_cache_channel_is_kept", `{"name":"e","channel":"cache-a","data":"x","info":"cache"}`,
			`{"channels":{"cache-a":{"cache":{"event":"e","data":"x","channel":"cache-a","ttl":1800}}}}`,
			[]string{`cache-a "e" "x"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.join("presence-test-channel-one", `1`)
			f.subscribe("test-channel-two", 1)
			f.call(eventsPath, tt.body).check(t, 200, tt.answer)
			f.checkEvents(tt.events...)
		})
	}
}

func TestTriggerIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		status int
		answer string
	}{
		{"57_no_data", `{"name":"e","channel":"a"}`, 422, `{"data":["The data field is required."]}`},
		{"58_no_data_for_channels", `{"name":"e","channels":["a","b"]}`, 422, `{"data":["The data field is required."]}`},
		{"59_a_numeric_socket_id", `{"name":"e","channel":"a","data":"x","socket_id":1234}`, 422, `{"socket_id":["The socket id field must be a string."]}`},
		{"60_a_numeric_info", `{"name":"e","channel":"a","data":"x","info":1234}`, 422, `{"info":["The info field must be a string."]}`},
		{"a_null_socket_id", `{"name":"e","channel":"a","data":"x","socket_id":null}`, 422, `{"socket_id":["The socket id field must be a string."]}`},
		{"a_null_info", `{"name":"e","channel":"a","data":"x","info":null}`, 422, `{"info":["The info field must be a string."]}`},
		{"no_name", `{"channel":"a","data":"x"}`, 422, `{"name":["The name field is required."]}`},
		{"a_null_name", `{"name":null,"channel":"a","data":"x"}`, 422, `{"name":["The name field is required."]}`},
		{"an_empty_name", `{"name":"","channel":"a","data":"x"}`, 422, `{"name":["The name field is required."]}`},
		{"a_blank_name", `{"name":" \n","channel":"a","data":"x"}`, 422, `{"name":["The name field is required."]}`},
		{"a_name_of_escaped_blanks", `{"name":" \u0020\t\u0000","channel":"a","data":"x"}`, 422, `{"name":["The name field is required."]}`},
		{"a_numeric_name", `{"name":1,"channel":"a","data":"x"}`, 422, `{"name":["The name field must be a string."]}`},
		{"data_as_an_object", `{"name":"e","channel":"a","data":{"some":"data"}}`, 422, `{"data":["The data field must be a string."]}`},
		{"data_as_an_empty_object", `{"name":"e","channel":"a","data":{}}`, 422, `{"data":["The data field is required."]}`},
		{"data_as_a_list", `{"name":"e","channel":"a","data":[1]}`, 422, `{"data":["The data field must be a string."]}`},
		{"data_as_a_number", `{"name":"e","channel":"a","data":0}`, 422, `{"data":["The data field must be a string."]}`},
		{"data_as_false", `{"name":"e","channel":"a","data":false}`, 422, `{"data":["The data field must be a string."]}`},
		{"empty_data", `{"name":"e","channel":"a","data":""}`, 422, `{"data":["The data field is required."]}`},
		{"null_data", `{"name":"e","channel":"a","data":null}`, 422, `{"data":["The data field is required."]}`},
		{
			"no_channel", `{"name":"e","data":"x"}`, 422,
			`{"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`,
		},
		{
			"no_channel_in_the_list", `{"name":"e","data":"x","channels":[]}`, 422,
			`{"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`,
		},
		{"channels_as_a_string", `{"name":"e","data":"x","channels":"a"}`, 422, `{"channels":["The channels field must be an array."]}`},
		{"channels_as_null_beside_channel", `{"name":"e","data":"x","channel":"a","channels":null}`, 422, `{"channels":["The channels field must be an array."]}`},
		{"a_numeric_channel", `{"name":"e","data":"x","channel":5}`, 422, `{"channel":["The channel field must be a string."]}`},
		{"a_numeric_channel_in_the_list", `{"name":"e","data":"x","channels":["a",5]}`, 422, `{"channels.1":["The channels.1 field must be a string."]}`},
		{
			"nothing_at_all", `{}`, 422,
			`{"name":["The name field is required."],"data":["The data field is required."],"channels":["The channels field is required when channel is not present."],"channel":["The channel field is required when channels is not present."]}`,
		},
		{"65_no_body", "", 400, "Bad request. The body is empty"},
		{"only_white_space", " \n", 400, "Bad request. The body is empty"},
		{"not_JSON", "name=e&data=x", 400, "Bad request. The body is not valid JSON"},
		{"JSON_with_a_tail", `{"name":"e","data":"x","channel":"a"}}`, 400, "Bad request. The body is not valid JSON"},
		{"half_of_the_JSON", `{"name":"e","data":"x","chan`, 400, "Bad request. The body is not valid JSON"},
		{"a_control_character_in_a_string", "{\"name\":\"e\",\"data\":\"\x01\",\"channel\":\"a\"}", 400, "Bad request. The body is not valid JSON"},
		{"a_bare_string", `"x"`, 400, "Bad request. The body is not a JSON object"},
		{"a_list", `[1]`, 400, "Bad request. The body is not a JSON object"},
		{"null", `null`, 400, "Bad request. The body is not a JSON object"},
		{"not_UTF-8", "{\"name\":\"e\",\"data\":\"\xff\",\"channel\":\"a\"}", 400, "Bad request. The body is not valid UTF-8"},
		{"half_of_a_character", "{\"name\":\"e\",\"data\":\"\xc3\",\"channel\":\"a\"}", 400, "Bad request. The body is not valid UTF-8"},
		{
			"513_levels", `{"name":"e","data":"x","channel":"a","y":` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + `}`,
			400, "Bad request. The body nests deeper than 512 levels",
		},
		{"brackets_without_end", strings.Repeat("[", 9000), 400, "Bad request. The body nests deeper than 512 levels"},
		{"a_long_name", `{"name":"` + strings.Repeat("e", 201) + `","data":"x","channel":"a"}`, 400, "Bad request. The event name is longer than 200 bytes"},
		{"a_long_channel", `{"name":"e","data":"x","channel":"` + strings.Repeat("a", 201) + `"}`, 400, "Bad request. A channel name of 201 bytes is longer than 200 bytes"},
		{"a_long_channel_in_the_list", `{"name":"e","data":"x","channels":["a","` + strings.Repeat("a", 201) + `"]}`, 400, "Bad request. A channel name of 201 bytes is longer than 200 bytes"},
		{"101_channels", `{"name":"e","data":"x","channels":[` + list(101) + `]}`, 400, "Bad request. An event goes to 100 channels at most"},
		{"101_times_the_same_channel", `{"name":"e","data":"x","channels":["a"` + strings.Repeat(`,"a"`, 100) + `]}`, 400, "Bad request. An event goes to 100 channels at most"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.do("POST", eventsPath, tt.body).check(t, tt.status, tt.answer)
			f.checkEvents()
		})
	}
}

// list returns n channels as elements of a JSON array.
func list(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%q", fmt.Sprintf("c%d", i))
	}
	return strings.Join(names, ",")
}

func TestTriggerReachesEveryChannelUpToTheLimits(t *testing.T) {
	tests := []struct {
		name     string
		change   func(*Options, *pusher.AppOptions)
		body     string
		channels int
	}{
		{"100_channels", nil, `{"name":"e","data":"x","channels":[` + list(100) + `]}`, 100},
		{
			"1000_channels_without_limit",
			func(o *Options, a *pusher.AppOptions) { o.MaxRequestBytes, a.MaxEventChannels = 20_000, -1 },
			`{"name":"e","data":"x","channels":[` + list(1000) + `,` + list(1000) + `]}`, 1000,
		},
		{"a_name_of_200_bytes_in_escapes", nil, `{"name":"` + strings.Repeat(`\u0065`, 200) + `","data":"x","channel":"a"}`, 1},
		{"a_channel_of_200_bytes", nil, `{"name":"e","data":"x","channel":"` + strings.Repeat("a", 200) + `"}`, 1},
		{"512_levels", nil, `{"name":"e","data":"x","channel":"a","y":` + strings.Repeat("[", 511) + strings.Repeat("]", 511) + `}`, 1},
		{"brackets_in_a_string", nil, `{"name":"e","channel":"a","data":"\"` + strings.Repeat("[", 3000) + `"}`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, tt.change)
			f.call(eventsPath, tt.body).check(t, 200, `{}`)
			if got := len(f.events()); got != tt.channels {
				t.Errorf("the event went to %d channels, want %d", got, tt.channels)
			}
		})
	}
}

func TestTriggerHonoursTheSizeLimits(t *testing.T) {
	body := func(n int) string {
		b := `{"name":"e","channel":"a","data":"`
		return b + strings.Repeat("x", n-len(b)-2) + `"}`
	}
	tests := []struct {
		name   string
		change func(*Options, *pusher.AppOptions)
		body   string
		status int
		answer string
	}{
		{"63_a_body_of_10000_bytes", nil, body(10_000), 200, `{}`},
		{"63_a_body_of_10001_bytes", nil, body(10_001), 413, "Payload too large. The limit is 10000 bytes of body"},
		{"64_more_when_the_node_allows_it", func(o *Options, _ *pusher.AppOptions) { o.MaxRequestBytes = 20_000 }, body(20_000), 200, `{}`},
		{"data_of_the_apps_limit", func(_ *Options, a *pusher.AppOptions) { a.MaxEventBytes = 3 }, `{"name":"e","channel":"a","data":"\u0078xx"}`, 200, `{}`},
		{"data_above_the_apps_limit", func(_ *Options, a *pusher.AppOptions) { a.MaxEventBytes = 3 }, `{"name":"e","channel":"a","data":"xxxx"}`, 413, "Payload too large. The data of an event may have 3 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			newFixture(t, tt.change).call(eventsPath, tt.body).check(t, tt.status, tt.answer)
		})
	}
}

func TestTriggerAnswers(t *testing.T) {
	const body = `{"name":"e","channel":"a","data":"x"}`
	t.Run("66_404_for_an_unknown_app", func(t *testing.T) {
		f := newFixture(t, nil)
		f.do("POST", "/apps/999/events", body).check(t, 404, "No matching application for ID [999].")
	})
	t.Run("403_for_a_disabled_app", func(t *testing.T) {
		f := newFixture(t, nil)
		f.do("POST", "/apps/off/events", body).check(t, 403, "Application [off] is disabled.")
	})
	t.Run("67_Content-Length_2", func(t *testing.T) {
		f := newFixture(t, nil)
		if got := f.call(eventsPath, body).header.Get("Content-Length"); got != "2" {
			t.Errorf("Content-Length = %q, want 2", got)
		}
	})
	t.Run("68_401_without_a_signature", func(t *testing.T) {
		f := newFixture(t, nil)
		f.send("POST", eventsPath, body).check(t, 401, "Authentication signature invalid. auth_key is missing")
		f.checkEvents()
	})
	t.Run("69_a_signature_without_the_prefix", func(t *testing.T) {
		f := newFixture(t, func(o *Options, _ *pusher.AppOptions) { o.Path = "/ws" })
		f.call(eventsPath, body).check(t, 200, `{}`)
		f.checkEvents(`a "e" "x"`)
	})
	t.Run("503_when_deliveries_wait", func(t *testing.T) {
		f := newFixture(t, nil)
		f.node.err = pusher.ErrOverloaded
		got := f.call(eventsPath, body)
		got.check(t, 503, "Service unavailable: too many publications")
		if got.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After = %q, want 1", got.header.Get("Retry-After"))
		}
		if n := f.server.Stats().Overloaded; n != 1 {
			t.Errorf("Overloaded = %d, want 1", n)
		}
	})
	t.Run("429_above_the_events_of_a_second", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxBackendEventsPerSecond = 2 })
		f.call(eventsPath, `{"name":"e","channels":["a","b"],"data":"x"}`).check(t, 200, `{}`)
		got := f.call(eventsPath, body)
		got.check(t, 429, "Too many events. The limit of the application is 2 a second")
		if got.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After = %q, want 1", got.header.Get("Retry-After"))
		}
		f.checkEvents(`a "e" "x"`, `b "e" "x"`)
		if n := f.server.Stats().RateLimited; n != 1 {
			t.Errorf("RateLimited = %d, want 1", n)
		}
	})
}
