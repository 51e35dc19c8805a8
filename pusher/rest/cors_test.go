package rest

import (
	"testing"

	"resound/pusher"
)

func TestCORS(t *testing.T) {
	named := []string{"app.test", "*.app.test"}
	tests := []struct {
		name        string
		origins     []string
		origin      string // a header line, empty for none
		allowed     bool
		echoed      string
		credentials string
	}{
		{"any_origin_without_cookies", nil, "http://evil.test", true, "http://evil.test", ""},
		{"a_star_is_any", []string{"*"}, "http://evil.test", true, "http://evil.test", ""},
		{"two_stars_are_any", []string{"**"}, "http://evil.test", true, "http://evil.test", ""},
		{"any_host_with_a_dot_is_any", []string{"*.*"}, "http://evil.test", true, "http://evil.test", ""},
		{"any_origin_of_a_sandbox", []string{"*"}, "null", true, "null", ""},
		{"a_named_origin", named, "https://app.test:8443", true, "https://app.test:8443", "true"},
		{"a_named_origin_beside_a_star", []string{"*", "app.test"}, "http://app.test", true, "http://app.test", "true"},
		{"another_origin_beside_a_star", []string{"*", "app.test"}, "http://evil.test", true, "http://evil.test", ""},
		{"a_pattern", named, "http://a.app.test", true, "http://a.app.test", "true"},
		{"this_host_on_another_port", nil, "http://ws.test", true, "http://ws.test", "true"},
		{"this_host_in_capitals", nil, "http://WS.test:1", true, "http://WS.test:1", "true"},
		{"a_host_that_begins_like_this", nil, "http://ws.test.evil.test", true, "http://ws.test.evil.test", ""},
		{"a_host_behind_a_user", nil, "http://ws.test@evil.test", true, "http://ws.test@evil.test", ""},
		{"no_origin", nil, "", true, "", ""},
		{"another_origin", named, "http://evil.test", false, "", ""},
		{"an_origin_that_ends_like_a_named_one", named, "http://evilapp.test", false, "", ""},
		{"no_origin_where_they_are_named", named, "", false, "", ""},
		{"a_sandbox_where_they_are_named", named, "null", false, "", ""},
		{"this_host_where_it_is_not_named", named, "http://ws.test", false, "", ""},
	}
	for _, tt := range tests {
		for _, method := range []string{"POST", "OPTIONS"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				app := newApplication(t, laravel)
				f := newShielded(t, app, func(_ *Options, a *pusher.AppOptions) { a.AllowedOrigins = tt.origins })
				headers := []string{asForm, "Access-Control-Request-Headers: x-xsrf-token,x-custom"}
				if method == "POST" {
					headers = append(headers, cookie)
				}
				if tt.origin != "" {
					headers = append(headers, "Origin: "+tt.origin)
				}
				body := ""
				if method == "POST" {
					body = formOf("1.2", "private-a")
				}
				got := f.raw(method, browserRequest(method, authPath, body, headers...))[0]
				want := map[string]int{"POST": 200, "OPTIONS": 204}[method]
				if !tt.allowed {
					want = 403
				}
				if got.status != want {
					t.Fatalf("%d %q, want %d", got.status, got.body, want)
				}
				if got.header.Get("Access-Control-Allow-Origin") != tt.echoed || got.header.Get("Access-Control-Allow-Credentials") != tt.credentials {
					t.Errorf("headers %v, want origin %q and credentials %q", got.header, tt.echoed, tt.credentials)
				}
				if got.header.Get("Vary") == "" {
					t.Error("no Vary: a proxy would hand the answer to another origin")
				}
				if preflight := got.status == 204; preflight != (got.header.Get("Access-Control-Allow-Methods") == "POST") ||
					preflight != (got.header.Get("Access-Control-Allow-Headers") == "x-xsrf-token,x-custom") {
					t.Errorf("headers %v of a %d", got.header, got.status)
				}
				if asks := app.asked.Load(); asks != 0 && (method == "OPTIONS" || !tt.allowed) {
					t.Errorf("%d questions, want none", asks)
				}
			})
		}
	}
}

func TestPreflightOfNoApp(t *testing.T) {
	f := newFixture(t, nil)
	for _, path := range []string{authPath, userAuthPath, authPath + "/" + appKey, userAuthPath + "/" + appKey} {
		got := f.send("OPTIONS", path, "")
		got.check(t, 404, "Not found. Set auth.upstream")
	}
}
