package webhook

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestBadHooksAreRefused(t *testing.T) {
	long := strings.Repeat("x", MaxURLBytes)
	manyHeaders := make(map[string]string)
	for i := range MaxHeaders + 1 {
		manyHeaders["X-"+strings.Repeat("a", i+1)] = "1"
	}
	header := func(name, value string) Hook {
		return Hook{URL: testURL, Headers: map[string]string{name: value}}
	}
	tests := []struct {
		name  string
		hooks []Hook
		want  string // part of the error; empty: none
	}{
		{"http", []Hook{{URL: "http://a.test"}}, ""},
		{"https with port, user and query", []Hook{{URL: "https://u:p@a.test:8443/x?y=z"}}, ""},
		{"no URL", []Hook{{}}, `webhooks[0].url: scheme ""`},
		{"no scheme", []Hook{{URL: "a.test/hook"}}, `scheme ""`},
		{"another scheme", []Hook{{URL: "ftp://a.test"}}, `scheme "ftp"`},
		{"no host", []Hook{{URL: "http:///x"}}, "no host name"},
		{"a fragment", []Hook{{URL: "http://a.test/#x"}}, "fragment"},
		{"a port that is none", []Hook{{URL: "http://a.test:70000"}}, "port 70000"},
		{"port 0", []Hook{{URL: "http://a.test:0"}}, "port 0"},
		{"too long", []Hook{{URL: "http://a.test/" + long}}, "2062 bytes exceed the limit of 2048"},
		{"not a URL", []Hook{{URL: "http://a.test/%zz"}}, "invalid URL escape"},
		{"an unknown event type", []Hook{{URL: testURL, EventTypes: []EventType{CacheMiss, 9}}}, "webhooks[0].event_types"},
		{"no event type", []Hook{{URL: testURL, EventTypes: []EventType{0}}}, "webhooks[0].event_types"},
		{"the second of two", []Hook{{URL: testURL}, {}}, "webhooks[1].url"},
		{"a custom header", []Hook{header("x-auth", "a b\tc")}, ""},
		{"our key", []Hook{header("x-pusher-key", "a")}, "X-Pusher-Key is set by the server"},
		{"our signature", []Hook{header("X-PUSHER-SIGNATURE", "a")}, "X-Pusher-Signature is set by the server"},
		{"the content type", []Hook{header("content-type", "a")}, "Content-Type is set by the server"},
		{"the user agent", []Hook{header("User-Agent", "a")}, "User-Agent is set by the server"},
		{"the host", []Hook{header("Host", "a")}, "Host is set by the server"},
		{"the length", []Hook{header("Content-Length", "1")}, "Content-Length is set by the server"},
		{"chunks", []Hook{header("Transfer-Encoding", "chunked")}, "Transfer-Encoding is set by the server"},
		{"a proxy's header", []Hook{header("Proxy-Authorization", "a")}, "Proxy-Authorization is set by the server"},
		{"a second header in the value", []Hook{header("X-A", "a\r\nX-Pusher-Key: b")}, "control character"},
		{"a name with a space", []Hook{header("X A", "a")}, "is not a header name"},
		{"a name with a line feed", []Hook{header("X-A\n", "a")}, "is not a header name"},
		{"an empty name", []Hook{header("", "a")}, "is not a header name"},
		{"a name twice", []Hook{{URL: testURL, Headers: map[string]string{"x-a": "1", "X-A": "2"}}}, "X-A is given twice"},
		{"too many headers", []Hook{{URL: testURL, Headers: manyHeaders}}, "33 headers exceed the limit of 32"},
		{"too long headers", []Hook{header("X-A", strings.Repeat("x", MaxHeaderBytes))}, "8195 bytes exceed the limit of 8192"},
		{"one URL twice", []Hook{{URL: testURL, ChannelPrefix: "a"}, {URL: testURL, ChannelPrefix: "b"}}, ""},
		{"one URL twice with other headers", []Hook{{URL: testURL}, header("X-A", "a")}, "webhooks[1].headers differ"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := testApp("a", tt.hooks...)
			_, err := app.targets("resound", false)
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got error %v, want one with %q", err, tt.want)
			case err != nil && !strings.HasPrefix(err.Error(), `app "a": `):
				t.Errorf("error %q does not name the app", err)
			}
		})
	}
}

func TestAppWithHooksNeedsKeyAndSecret(t *testing.T) {
	app := App{ID: "a", Hooks: []Hook{{URL: testURL}}}
	if _, err := app.targets("resound", false); err == nil {
		t.Error("an app without a secret was accepted")
	}
	app.Hooks = nil
	if _, err := app.targets("resound", false); err != nil {
		t.Errorf("an app without hooks was refused: %v", err)
	}
}

func TestErrorsDoNotShowPasswords(t *testing.T) {
	app := testApp("a", Hook{URL: "http://u:hush@a.test/%zz"}, Hook{URL: testURL, Headers: map[string]string{"X-A": "hush\n"}})
	_, err := app.targets("resound", false)
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("got error %v, want one without the password", err)
	}
}

func TestRequestHeaders(t *testing.T) {
	got, err := requestHeader(map[string]string{"authorization": "Bearer x"}, "k", "resound/1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Authorization": "Bearer x", "Content-Type": "application/json", "User-Agent": "resound/1", "X-Pusher-Key": "k"}
	flat := make(map[string]string)
	for name, values := range got {
		flat[name] = strings.Join(values, "|")
	}
	if !maps.Equal(flat, want) {
		t.Errorf("got %v, want %v", flat, want)
	}
}

func TestFilters(t *testing.T) {
	tests := []struct {
		name    string
		hook    Hook
		typ     EventType
		channel string
		want    bool
	}{
		{"no filter", Hook{}, CacheMiss, "x", true},
		{"a type of the list", Hook{EventTypes: []EventType{CacheMiss, MemberAdded}}, MemberAdded, "x", true},
		{"a type not of the list", Hook{EventTypes: []EventType{CacheMiss, MemberAdded}}, MemberRemoved, "x", false},
		{"the prefix", Hook{ChannelPrefix: "private-"}, CacheMiss, "private-x", true},
		{"the prefix within", Hook{ChannelPrefix: "private-"}, CacheMiss, "a-private-x", false},
		{"the suffix", Hook{ChannelSuffix: "-eu"}, CacheMiss, "x-eu", true},
		{"the suffix within", Hook{ChannelSuffix: "-eu"}, CacheMiss, "x-eu-1", false},
		{"both", Hook{ChannelPrefix: "a-", ChannelSuffix: "-z"}, CacheMiss, "a-m-z", true},
		{"one of both", Hook{ChannelPrefix: "a-", ChannelSuffix: "-z"}, CacheMiss, "a-m", false},
		{"the right type on another channel", Hook{EventTypes: []EventType{CacheMiss}, ChannelPrefix: "a-"}, CacheMiss, "b-", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.hook.URL = testURL
			app := testApp("a", tt.hook)
			targets, err := app.targets("resound", false)
			if err != nil {
				t.Fatal(err)
			}
			if got := targets[0].wants(setOf(tt.typ), tt.channel); got != tt.want {
				t.Errorf("wants(%s, %q) = %v, want %v", tt.typ, tt.channel, got, tt.want)
			}
		})
	}
}

func TestHooksOfOneURLAreOneTarget(t *testing.T) {
	app := testApp("a", Hook{URL: testURL, ChannelPrefix: "a"}, Hook{URL: "http://other.test"}, Hook{URL: testURL, ChannelPrefix: "b"})
	targets, err := app.targets("resound", false)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, target := range targets {
		got = append(got, target.url)
	}
	if want := []string{testURL, "http://other.test"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for channel, want := range map[string]bool{"a1": true, "b1": true, "c1": false} {
		if got := targets[0].wants(setOf(CacheMiss), channel); got != want {
			t.Errorf("wants %q: got %v, want %v", channel, got, want)
		}
	}
}
