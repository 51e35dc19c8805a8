package rest

import (
	"strings"
	"testing"

	"resound/pusher"
)

const batchPath = "/apps/" + appID + "/batch_events"

func TestTriggerBatch(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		answer string
		events []string
	}{
		{
			"70_one_item", `{"batch":[{"name":"e","channel":"a","data":"x"}]}`,
			`{"batch":{}}`,
			[]string{`a "e" "x"`},
		},
		{
			"71_two_items_in_order", `{"batch":[{"name":"e","channel":"a","data":"x"},{"name":"f","channel":"a","data":"y"}]}`,
			`{"batch":{}}`,
			[]string{`a "e" "x"`, `a "f" "y"`},
		},
		{
			"72_info_for_each", `{"batch":[{"name":"e","channel":"presence-a","data":"x","info":"user_count"},{"name":"e","channel":"b","data":"x","info":"subscription_count"},{"name":"e","channel":"b","data":"x","info":"subscription_count,user_count"}]}`,
			`{"batch":[{"user_count":1},{"subscription_count":1},{"subscription_count":1}]}`,
			[]string{`presence-a "e" "x"`, `b "e" "x"`, `b "e" "x"`},
		},
		{
			"73_info_for_some", `{"batch":[{"name":"e","channel":"presence-a","data":"x","info":"user_count"},{"name":"e","channel":"b","data":"x"}]}`,
			`{"batch":[{"user_count":1},{}]}`,
			[]string{`presence-a "e" "x"`, `b "e" "x"`},
		},
		{
			"75_78_socket_id_in_an_item", `{"batch":[{"name":"e","channel":"a","data":"x","socket_id":"1.2"},{"name":"e","channel":"b","data":"x","socket_id":"?"}]}`,
			`{"batch":{}}`,
			[]string{`a "e" "x" except 1.2`, `b "e" "x"`},
		},
		{
			"an_event_to_a_user", `{"batch":[{"name":"e","channel":"#server-to-user-1","data":"x"}]}`,
			`{"batch":{}}`,
			[]string{`#server-to-user-1 "e" "x"`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.join("presence-a", `"1"`)
			f.subscribe("b", 1)
			f.call(batchPath, tt.body).check(t, 200, tt.answer)
			f.checkEvents(tt.events...)
		})
	}
}

func TestTriggerBatchIsRefusedAsAWhole(t *testing.T) {
	const good = `{"name":"e","channel":"a","data":"x"}`
	tests := []struct {
		name   string
		body   string
		status int
		answer string
	}{
		{"no_batch", `{}`, 422, `{"batch":["The batch field is required."]}`},
		{"an_empty_batch", `{"batch":[]}`, 422, `{"batch":["The batch field is required."]}`},
		{"a_null_batch", `{"batch":null}`, 422, `{"batch":["The batch field is required."]}`},
		{"a_batch_that_is_a_string", `{"batch":"x"}`, 422, `{"batch":["The batch field must be an array."]}`},
		{"a_batch_that_is_an_object", `{"batch":{"0":` + good + `}}`, 422, `{"batch":["The batch field must be an array."]}`},
		{"an_item_without_a_name", `{"batch":[` + good + `,{"channel":"a","data":"x"}]}`, 422, `{"batch.1.name":["The batch.1.name field is required."]}`},
		{"an_item_without_data", `{"batch":[` + good + `,{"channel":"a","name":"x"}]}`, 422, `{"batch.1.data":["The batch.1.data field is required."]}`},
		{
			"an_item_without_a_channel", `{"batch":[{"name":"e","data":"x"}]}`, 422,
			`{"batch.0.channel":["The batch.0.channel field is required when channels is not present."]}`,
		},
		{
			"an_item_with_channels", `{"batch":[{"name":"e","data":"x","channels":["a"]}]}`, 422,
			`{"batch.0.channel":["The batch.0.channel field is required when channels is not present."]}`,
		},
		{"an_item_with_a_numeric_channel", `{"batch":[{"name":"e","data":"x","channel":1}]}`, 422, `{"batch.0.channel":["The batch.0.channel field must be a string."]}`},
		{"an_item_with_a_numeric_socket_id", `{"batch":[{"name":"e","data":"x","channel":"a","socket_id":1}]}`, 422, `{"batch.0.socket_id":["The batch.0.socket id field must be a string."]}`},
		{"an_item_with_a_numeric_info", `{"batch":[{"name":"e","data":"x","channel":"a","info":1}]}`, 422, `{"batch.0.info":["The batch.0.info field must be a string."]}`},
		{
			"an_item_that_is_no_object", `{"batch":[1]}`, 422,
			`{"batch.0.name":["The batch.0.name field is required."],"batch.0.data":["The batch.0.data field is required."],"batch.0.channel":["The batch.0.channel field is required when channels is not present."]}`,
		},
		{
			"two_items_wrong", `{"batch":[{"channel":"a","data":"x"},` + good + `,{"channel":"a","name":"e","data":5}]}`, 422,
			`{"batch.0.name":["The batch.0.name field is required."],"batch.2.data":["The batch.2.data field must be a string."]}`,
		},
		{"79_no_body", "", 400, "Bad request. The body is empty"},
		{"not_JSON", `{"batch":`, 400, "Bad request. The body is not valid JSON"},
		{"11_items", `{"batch":[` + good + strings.Repeat(","+good, 10) + `]}`, 400, "Bad request. A batch holds 10 events at most"},
		{"a_long_name", `{"batch":[` + good + `,{"name":"` + strings.Repeat("e", 201) + `","channel":"a","data":"x"}]}`, 400, "Bad request. The event name is longer than 200 bytes"},
		{"a_long_channel", `{"batch":[` + good + `,{"name":"e","channel":"` + strings.Repeat("a", 201) + `","data":"x"}]}`, 400, "Bad request. A channel name of 201 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.do("POST", batchPath, tt.body).check(t, tt.status, tt.answer)
			f.checkEvents()
		})
	}
}

func TestTriggerBatchAnswers(t *testing.T) {
	const item = `{"name":"e","channel":"a","data":"x"}`
	const body = `{"batch":[` + item + `]}`
	t.Run("74_80_Content-Length_12", func(t *testing.T) {
		f := newFixture(t, nil)
		if got := f.call(batchPath, body).header.Get("Content-Length"); got != "12" {
			t.Errorf("Content-Length = %q, want 12", got)
		}
	})
	t.Run("81_401_without_a_signature", func(t *testing.T) {
		f := newFixture(t, nil)
		f.send("POST", batchPath, body).check(t, 401, "Authentication signature invalid.")
	})
	t.Run("15_items_when_the_app_allows_them", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxBatchEvents = -1 })
		f.call(batchPath, `{"batch":[`+item+strings.Repeat(","+item, 14)+`]}`).check(t, 200, `{"batch":{}}`)
		if got := len(f.events()); got != 15 {
			t.Errorf("%d events, want 15", got)
		}
	})
	t.Run("429_for_more_than_a_second_of_events", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxBackendEventsPerSecond = 1 })
		f.call(batchPath, `{"batch":[`+item+`,`+item+`,`+item+`]}`).check(t, 200, `{"batch":{}}`)
		got := f.call(batchPath, body)
		got.check(t, 429, "Too many events.")
		if got.header.Get("Retry-After") != "3" {
			t.Errorf("Retry-After = %q, want 3", got.header.Get("Retry-After"))
		}
	})
	t.Run("413_for_data_above_the_apps_limit", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxEventBytes = 1 })
		f.call(batchPath, `{"batch":[`+item+`,{"name":"e","channel":"a","data":"xx"}]}`).check(t, 413, "Payload too large.")
		f.checkEvents()
	})
}
