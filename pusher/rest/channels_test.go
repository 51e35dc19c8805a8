package rest

import (
	"testing"

	"resound/pusher"
)

const appPath = "/apps/" + appID

func TestQueries(t *testing.T) {
	cache := func(f *fixture) {
		f.call(eventsPath, `{"name":"e","channel":"cache-test-channel","data":"{\"some\":\"data\"}"}`).check(t, 200, `{}`)
	}
	two := func(f *fixture) {
		f.subscribe("test-channel-one", 2)
		f.join("presence-test-channel-two", `1`, `"1"`, `2`)
	}
	users := func(f *fixture) {
		f.join("presence-test-channel", `1`, `2`, `3`)
		f.joinAs("presence-test-channel", `"x"`, `{"name":"<é>"}`)
		f.join("presence-test-channel", `2`)
	}
	tests := []struct {
		name   string
		given  func(*fixture)
		path   string
		status int
		answer string
	}{
		{"82_88_counts_of_a_channel", func(f *fixture) { f.subscribe("test-channel-one", 2) }, "/channels/test-channel-one?info=user_count,subscription_count,cache", 200, `{"occupied":true,"subscription_count":2}`},
		{"83_89_a_vacant_channel", nil, "/channels/test-channel-one?info=user_count,subscription_count,cache", 200, `{"occupied":false}`},
		{
			"84_90_a_cache_channel",
			func(f *fixture) { f.subscribe("cache-test-channel", 1); cache(f) },
			"/channels/cache-test-channel?info=subscription_count,cache", 200,
			`{"occupied":true,"subscription_count":1,"cache":{"event":"e","data":"{\"some\":\"data\"}","channel":"cache-test-channel","ttl":1800}}`,
		},
		{
			"a_cache_outlives_its_subscribers", cache, "/channels/cache-test-channel?info=subscription_count,cache", 200,
			`{"occupied":false,"cache":{"event":"e","data":"{\"some\":\"data\"}","channel":"cache-test-channel","ttl":1800}}`,
		},
		{"a_cache_channel_without_an_event", func(f *fixture) { f.subscribe("cache-a", 1) }, "/channels/cache-a?info=cache", 200, `{"occupied":true}`},
		{"85_91_users_are_counted_once", two, "/channels/presence-test-channel-two?info=user_count,subscription_count", 200, `{"occupied":true,"user_count":2}`},
		{"86_92_only_what_was_asked", two, "/channels/test-channel-one?info=cache", 200, `{"occupied":true}`},
		{"an_escaped_name", func(f *fixture) { f.subscribe("a/b c", 1) }, "/channels/a%2Fb%20c?info=subscription_count", 200, `{"occupied":true,"subscription_count":1}`},
		{"95_96_100_user_counts_of_all", two, "/channels?info=user_count", 200, `{"channels":{"test-channel-one":{},"presence-test-channel-two":{"user_count":2}}}`},
		{"subscription_counts_of_all", two, "/channels?info=subscription_count,cache", 200, `{"channels":{"test-channel-one":{"subscription_count":2},"presence-test-channel-two":{}}}`},
		{"97_102_no_info", two, "/channels", 200, `{"channels":{"test-channel-one":{},"presence-test-channel-two":{}}}`},
		{
			"98_103_only_occupied_channels",
			func(f *fixture) {
				two(f)
				f.app.Directory().Unsubscribe("test-channel-one", 0, false)
				f.app.Directory().Unsubscribe("test-channel-one", 0, true)
			},
			"/channels", 200, `{"channels":{"presence-test-channel-two":{}}}`,
		},
		{"a_prefix", two, "/channels?filter_by_prefix=presence-&info=user_count", 200, `{"channels":{"presence-test-channel-two":{"user_count":2}}}`},
		{"a_prefix_of_nothing", two, "/channels?filter_by_prefix=private-", 200, `{"channels":{}}`},
		{"no_channels", nil, "/channels", 200, `{"channels":{}}`},
		{"106_110_users_of_another_kind", two, "/channels/test-channel-one/users", 400, `{}`},
		{"107_111_users_of_a_vacant_channel", two, "/channels/presence-other/users", 404, `{}`},
		{"users_of_a_vacant_channel_of_another_kind", two, "/channels/other/users", 404, `{}`},
		{"108_109_113_114_users_in_order_and_once", users, "/channels/presence-test-channel/users", 200, `{"users":[{"id":1},{"id":2},{"id":3},{"id":"x"}]}`},
		{
			"users_with_what_was_signed_along", users, "/channels/presence-test-channel/users?with_user_info=1", 200,
			`{"users":[{"id":1,"user_info":null},{"id":2,"user_info":null},{"id":3,"user_info":null},{"id":"x","user_info":{"name":"<é>"}}]}`,
		},
		{"users_without_it", users, "/channels/presence-test-channel/users?with_user_info=0", 200, `{"users":[{"id":1},{"id":2},{"id":3},{"id":"x"}]}`},
		{"stats", two, "/channels/test-channel-one/stats", 200, `{"occupied":true,"user_count":0,"connection_count":2}`},
		{"stats_of_a_presence_channel", two, "/channels/presence-test-channel-two/stats", 200, `{"occupied":true,"user_count":2,"connection_count":3}`},
		{"stats_of_a_vacant_channel", nil, "/channels/a/stats", 200, `{"occupied":false,"user_count":0,"connection_count":0}`},
		{"no_connections", nil, "/connections", 200, `{"connections":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			if tt.given != nil {
				tt.given(f)
			}
			f.call(appPath+tt.path, "").check(t, tt.status, tt.answer)
		})
		t.Run("on_another_node/"+tt.name, func(t *testing.T) {
			f := newCluster(t, nil)
			if tt.given != nil {
				tt.given(f.fixture)
				f.hub.Settle()
			}
			f.call(appPath+tt.path, "").check(t, tt.status, tt.answer)
		})
	}
}

func TestStrictInfo(t *testing.T) {
	given := func(f *fixture) {
		f.subscribe("a", 2)
		f.subscribe("cache-a", 1)
		f.join("presence-a", `1`)
		f.call(eventsPath, `{"name":"e","channel":"cache-full","data":"x"}`).check(t, 200, `{}`)
	}
	tests := []struct {
		name, path string
		status     int
		answer     string
	}{
		{"users_of_a_presence_channel", "/channels/presence-a?info=user_count", 200, `{"occupied":true,"user_count":1}`},
		{"users_of_another_channel", "/channels/a?info=user_count", 400, "Bad request. Only presence channels have a user_count."},
		{"users_of_a_vacant_channel", "/channels/other?info=user_count", 400, "Bad request. Only presence channels have a user_count."},
		{"subscriptions_of_a_channel", "/channels/a?info=subscription_count", 200, `{"occupied":true,"subscription_count":2}`},
		{"subscriptions_of_a_presence_channel", "/channels/presence-a?info=subscription_count", 400, "Bad request. Presence channels have no subscription_count"},
		{"a_cache", "/channels/cache-full?info=cache", 200, `{"occupied":false,"cache":{"event":"e","data":"x","channel":"cache-full","ttl":1800}}`},
		{"an_empty_cache", "/channels/cache-a?info=cache,subscription_count", 200, `{"occupied":true,"subscription_count":1,"cache":null}`},
		{"an_empty_cache_nobody_asks_for", "/channels/cache-a", 200, `{"occupied":true}`},
		{"no_cache", "/channels/a?info=cache", 400, "Bad request. Only cache channels have a cache."},
		{"no_info", "/channels/a", 200, `{"occupied":true}`},
		{"unknown_info", "/channels/a?info=color", 200, `{"occupied":true}`},
		{"users_of_presence_channels", "/channels?info=user_count&filter_by_prefix=presence-", 200, `{"channels":{"presence-a":{"user_count":1}}}`},
		{"users_of_some_presence_channels", "/channels?info=user_count&filter_by_prefix=presence-x", 200, `{"channels":{}}`},
		{"users_of_all_channels", "/channels?info=user_count", 400, "Bad request. user_count needs filter_by_prefix=presence-"},
		{"users_of_a_prefix_that_may_be_presence", "/channels?info=user_count&filter_by_prefix=presence", 400, "Bad request. user_count needs filter_by_prefix=presence-"},
		{"subscriptions_of_presence_channels", "/channels?info=subscription_count&filter_by_prefix=presence-", 400, "Bad request. Presence channels have no subscription_count"},
		{"subscriptions_of_all_channels", "/channels?info=subscription_count", 200, `{"channels":{"a":{"subscription_count":2},"cache-a":{"subscription_count":1},"presence-a":{}}}`},
		{"caches_of_all_channels", "/channels?info=cache", 400, "Bad request. A cache is told of one channel only."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.StrictInfo = true })
			given(f)
			f.call(appPath+tt.path, "").check(t, tt.status, tt.answer)
		})
	}
	t.Run("triggers_leave_out", func(t *testing.T) {
		f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.StrictInfo = true })
		f.join("presence-a", `1`)
		f.call(eventsPath, `{"name":"e","channels":["a","presence-a"],"data":"x","info":"user_count"}`).
			check(t, 200, `{"channels":{"a":{},"presence-a":{"user_count":1}}}`)
	})
}

func TestQueriesAnswerBytes(t *testing.T) {
	given := func(f *fixture) {
		f.subscribe("test-channel-one", 1)
		f.join("presence-test-channel-two", `1`)
		f.join("presence-three", `1`, `2`, `3`)
	}
	tests := []struct {
		name, path, body string
	}{
		{"87_93_a_channel", "/channels/test-channel-one?info=subscription_count", `{"occupied":true,"subscription_count":1}`},
		{"99_104_channels_sorted_by_name", "/channels?info=user_count", `{"channels":{"presence-test-channel-two":{"user_count":1},"presence-three":{"user_count":3},"test-channel-one":{}}}`},
		{"112_115_users", "/channels/presence-three/users", `{"users":[{"id":1},{"id":2},{"id":3}]}`},
		{"119_122_connections", "/connections", `{"connections":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			given(f)
			got := f.call(appPath+tt.path, "")
			if got.body != tt.body {
				t.Errorf("body %s, want %s", got.body, tt.body)
			}
		})
	}
}

func TestQueriesAreSigned(t *testing.T) {
	tests := []struct{ name, method, path string }{
		{"94_channel", "GET", "/channels/a"},
		{"105_channels", "GET", "/channels"},
		{"116_users", "GET", "/channels/a/users"},
		{"123_connections", "GET", "/connections"},
		{"stats", "GET", "/channels/a/stats"},
		{"raw_events", "POST", "/channels/a/events"},
		{"127_terminate", "POST", "/users/1/terminate_connections"},
		{"auth", "POST", "/auth"},
		{"user_auth", "POST", "/user_auth"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			f.send(tt.method, appPath+tt.path, "").check(t, 401, "Authentication signature invalid.")
			f.send(tt.method, "/apps/off"+tt.path, "").check(t, 403, "Application [off] is disabled.")
			f.send(tt.method, "/apps/none"+tt.path, "").check(t, 404, "No matching application for ID [none].")
			if len(f.node.terminated) > 0 {
				t.Errorf("terminated %q without a signature", f.node.terminated)
			}
		})
	}
}

func TestQueriesHaveABudget(t *testing.T) {
	for _, path := range []string{"/channels", "/channels/a", "/channels/presence-a/users", "/channels/a/stats", "/connections"} {
		t.Run(path[1:], func(t *testing.T) {
			f := newFixture(t, func(_ *Options, a *pusher.AppOptions) { a.MaxReadRequestsPerSecond = 1 })
			f.join("presence-a", `1`)
			if got := f.call(appPath+path, ""); got.status != 200 {
				t.Fatalf("first request: %d %q", got.status, got.body)
			}
			got := f.call(appPath+path, "")
			got.check(t, 429, "Too many read requests. The limit of the application is 1 a second")
			if got.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After = %q, want 1", got.header.Get("Retry-After"))
			}
			f.call(eventsPath, `{"name":"e","channel":"a","data":"x"}`).check(t, 200, `{}`)
		})
	}
}

func TestTerminateUser(t *testing.T) {
	tests := []struct {
		name, path, body string
		status           int
		answer           string
		users            []string
	}{
		{"125_126_of_a_user", "/users/987/terminate_connections", `{}`, 200, `{}`, []string{"987"}},
		{"of_an_escaped_user", "/users/a%2Fb%20c/terminate_connections", `{}`, 200, `{}`, []string{"a/b c"}},
		{"whatever_the_body_says", "/users/1/terminate_connections", `?`, 200, `{}`, []string{"1"}},
		{"124_of_nobody", "/users//terminate_connections", `{}`, 404, "Not found.", nil},
		{"124_a_malformed_route", "/users/terminate_connections", `{}`, 404, "Not found.", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, nil)
			got := f.call(appPath+tt.path, tt.body)
			got.check(t, tt.status, tt.answer)
			f.call(appPath+"/users/overwrites-the-bytes-before/terminate_connections", `{}`).check(t, 200, `{}`)
			terminated := f.node.terminated[:len(f.node.terminated)-1]
			if len(terminated) != len(tt.users) || len(terminated) > 0 && terminated[0] != tt.users[0] {
				t.Errorf("terminated %q, want %q", terminated, tt.users)
			}
		})
	}
}
