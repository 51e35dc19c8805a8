package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"resound/auth"
	"resound/pusher"
)

const (
	authPath     = "/broadcasting/auth"
	userAuthPath = "/broadcasting/user-auth"
)

// application is a real HTTP server that decides for browsers and counts what
// it is asked.
type application struct {
	*httptest.Server
	asked atomic.Int64
}

func newApplication(t *testing.T, answer http.HandlerFunc) *application {
	t.Helper()
	a := new(application)
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		answer(w, r)
	}))
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.Start()
	t.Cleanup(a.Close)
	return a
}

// laravel grants everything to whoever has a session, and signs for nobody in
// particular.
func laravel(w http.ResponseWriter, r *http.Request) {
	session := r.Header.Get("Cookie") + r.Header.Get("Authorization")
	if session == "" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	answer := map[string]string{"auth": appKey + ":not-checked"}
	channel := r.PostForm.Get("channel_name")
	switch {
	case r.URL.Path == userAuthPath:
		answer["user_data"] = fmt.Sprintf(`{"id":%q}`, session)
	case strings.HasPrefix(channel, "presence-"):
		answer["channel_data"] = fmt.Sprintf(`{"user_id":%q}`, session)
	case strings.HasPrefix(channel, "private-encrypted-"):
		answer["shared_secret"] = "c2VjcmV0"
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// newShielded starts a server whose app asks an application.
func newShielded(t *testing.T, app *application, change func(*Options, *pusher.AppOptions)) *fixture {
	t.Helper()
	return newFixture(t, func(o *Options, a *pusher.AppOptions) {
		a.AuthShield.Upstream = app.URL + authPath
		a.AuthShield.Timeout = patience
		if change != nil {
			change(o, a)
		}
	})
}

// browse posts a body as a browser does. headers are whole lines.
func (f *fixture) browse(path, body string, headers ...string) response {
	f.t.Helper()
	return f.raw("POST", browserRequest("POST", f.prefix+path, body, headers...))[0]
}

func browserRequest(method, path, body string, headers ...string) string {
	return method + " " + path + " HTTP/1.1\r\nHost: ws.test:8080\r\n" + strings.Join(append(headers, ""), "\r\n") +
		fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body
}

// formOf is what pusher-js posts.
func formOf(socketID, channel string) string {
	return "socket_id=" + url.QueryEscape(socketID) + "&channel_name=" + url.QueryEscape(channel)
}

const (
	asForm = "Content-Type: application/x-www-form-urlencoded"
	asJSON = "Content-Type: application/json"
	cookie = "Cookie: s=1"
)

func TestAskChannel(t *testing.T) {
	masterKey := []byte("0123456789abcdef0123456789abcdef")
	tests := []struct {
		name, path, body, contentType string
		signed                        string // what the signature is over
		members                       map[string]string
	}{
		{"private", authPath, formOf("1.2", "private-a"), asForm, "1.2:private-a", nil},
		{"private_as_JSON", authPath, `{"socket_id":"1.2","channel_name":"private-a"}`, asJSON, "1.2:private-a", nil},
		{"JSON_without_a_type", authPath, ` {"socket_id":"1.2","channel_name":"private-a"}`, "X-Type: none", "1.2:private-a", nil},
		{"a_form_without_a_type", authPath, formOf("1.2", "private-a"), "X-Type: none", "1.2:private-a", nil},
		{"a_form_with_a_charset", authPath, formOf("1.2", "private-a"), asForm + "; charset=UTF-8", "1.2:private-a", nil},
		{"a_name_with_escapes", authPath, formOf("1.2", "private-a&b=é +"), asForm, "1.2:private-a&b=é +", nil},
		{"the_key_in_the_path", authPath + "/" + appKey, formOf("1.2", "private-a"), asForm, "1.2:private-a", nil},
		{"the_key_in_the_query", authPath + "?key=" + appKey, formOf("1.2", "private-a"), asForm, "1.2:private-a", nil},
		{
			"presence", authPath, formOf("1.2", "presence-a"), asForm, `1.2:presence-a:{"user_id":"s=1"}`,
			map[string]string{"channel_data": `{"user_id":"s=1"}`},
		},
		{
			"who_the_browser_says_it_is_does_not_count", authPath, formOf("1.2", "presence-a") + "&user_id=root&channel_data=%7B%22user_id%22%3A%22root%22%7D", asForm,
			`1.2:presence-a:{"user_id":"s=1"}`,
			map[string]string{"channel_data": `{"user_id":"s=1"}`},
		},
		{
			"nor_in_JSON", authPath, `{"socket_id":"1.2","channel_name":"presence-a","user_id":"root","channel_data":"{\"user_id\":\"root\"}"}`, asJSON,
			`1.2:presence-a:{"user_id":"s=1"}`,
			map[string]string{"channel_data": `{"user_id":"s=1"}`},
		},
		{
			"encrypted", authPath, formOf("1.2", "private-encrypted-a"), asForm, "1.2:private-encrypted-a",
			map[string]string{"shared_secret": "c2VjcmV0"},
		},
		{"a_user", userAuthPath, "socket_id=1.2", asForm, `1.2::user::{"id":"s=1"}`, map[string]string{"user_data": `{"id":"s=1"}`}},
		{"a_user_as_JSON", userAuthPath + "/" + appKey, `{"socket_id":"1.2","user_data":{"id":"root"}}`, asJSON, `1.2::user::{"id":"s=1"}`, map[string]string{"user_data": `{"id":"s=1"}`}},
	}
	for _, prefix := range []string{"", "/ws"} {
		for _, tt := range tests {
			t.Run(tt.name+prefix, func(t *testing.T) {
				app := newApplication(t, laravel)
				f := newShielded(t, app, func(o *Options, a *pusher.AppOptions) {
					o.Path = prefix
					a.EncryptionMasterKey = masterKey // the application's own secret wins
				})
				want := map[string]string{"auth": appKey + ":" + hmacHex(tt.signed)}
				for k, v := range tt.members {
					want[k] = v
				}
				text, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				got := f.browse(tt.path, tt.body, cookie, tt.contentType)
				got.check(t, 200, string(text))
				if got.header.Get("Cache-Control") != "no-store" {
					t.Errorf("Cache-Control = %q, want no-store", got.header.Get("Cache-Control"))
				}
			})
		}
	}
	t.Run("a_secret_of_our_own", func(t *testing.T) {
		app := newApplication(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"auth":"`+appKey+`:x"}`)
		})
		f := newShielded(t, app, func(_ *Options, a *pusher.AppOptions) { a.EncryptionMasterKey = masterKey })
		f.browse(authPath, formOf("1.2", "private-encrypted-a"), cookie).check(t, 200, fmt.Sprintf(`{"auth":%q,"shared_secret":%q}`,
			appKey+":"+hmacHex("1.2:private-encrypted-a"), auth.SharedSecret("private-encrypted-a", masterKey)))
	})
}

func TestBrowsersAreRefused(t *testing.T) {
	long := "private-" + strings.Repeat("a", 200)
	tests := []struct {
		name, path, body, contentType string
		status                        int
		answer                        string
	}{
		{"nothing", authPath, "", asForm, 422, `{"socket_id":["The socket id field is required."],"channel_name":["The channel name field is required."]}`},
		{"nothing_for_a_user", userAuthPath, "", asForm, 422, `{"socket_id":["The socket id field is required."]}`},
		{"an_empty_object", authPath, `{}`, asJSON, 422, `{"socket_id":["The socket id field is required."],"channel_name":["The channel name field is required."]}`},
		{"a_socket_id_that_signs_something_else", authPath, formOf("1.2:private-b", "private-a"), asForm, 422, `{"socket_id":["The socket id field format is invalid."]}`},
		{"a_socket_id_that_signs_a_user_in", userAuthPath, `{"socket_id":"1.2::user::{}"}`, asJSON, 422, `{"socket_id":["The socket id field format is invalid."]}`},
		{"a_numeric_socket_id", authPath, `{"socket_id":1.2,"channel_name":"private-a"}`, asJSON, 422, `{"socket_id":["The socket id field must be a string."]}`},
		{"a_public_channel", authPath, formOf("1.2", "a"), asForm, 422, `{"channel_name":["The channel name field must begin with private- or presence-."]}`},
		{"the_channel_of_a_user", authPath, formOf("1.2", "#server-to-user-1"), asForm, 422, `{"channel_name":["The channel name field must begin with private- or presence-."]}`},
		{"a_list_of_channels", authPath, `{"socket_id":"1.2","channel_name":["private-a"]}`, asJSON, 422, `{"channel_name":["The channel name field must be a string."]}`},
		{"a_long_channel", authPath, formOf("1.2", long), asForm, 400, "Bad request. A channel name of 208 bytes is longer than 200 bytes."},
		{"a_channel_that_is_no_UTF-8", authPath, "socket_id=1.2&channel_name=private-%ff", asForm, 400, "Bad request. The parameter channel_name is not valid UTF-8."},
		{"too_many_fields", authPath, strings.Repeat("a=&", 129), asForm, 422, `{"socket_id":["The socket id field is required."],"channel_name":["The channel name field is required."]}`},
		{"broken_JSON", authPath, `{"socket_id":`, asJSON, 400, "Bad request. The body is not valid JSON."},
		{"a_list", authPath, `[]`, asJSON, 400, "Bad request. The body is not a JSON object."},
		{"deep_JSON", authPath, `{"a":` + strings.Repeat("[", 600), asJSON, 400, "Bad request. The body nests deeper than 512 levels."},
		{"several_parts", authPath, "--x--", "Content-Type: Multipart/form-data; boundary=x", 415, "Unsupported media type."},
		{"an_unknown_key", authPath + "?key=x", formOf("1.2", "private-a"), asForm, 404, "No matching application for key [x]."},
		{"an_unknown_key_in_the_path", authPath + "/x", formOf("1.2", "private-a"), asForm, 404, "No matching application for key [x]."},
		{"an_app_without_a_shield", authPath + "?key=off-key", formOf("1.2", "private-a"), asForm, 404, "Not found. Set auth.upstream"},
		{"too_many_parameters", authPath + "?" + manyParams(129), formOf("1.2", "private-a"), asForm, 400, "Bad request: the query has more than 128 parameters."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			app := newApplication(t, laravel)
			f := newShielded(t, app, nil)
			f.browse(tt.path, tt.body, cookie, tt.contentType).check(t, tt.status, tt.answer)
			if n := app.asked.Load(); n > 0 {
				t.Errorf("%d questions, want none", n)
			}
		})
	}
	t.Run("too_many_different_fields", func(t *testing.T) {
		newShielded(t, newApplication(t, laravel), nil).browse(authPath, manyParams(129), asForm).check(t, 400, "Bad request: the query has more than 128 parameters.")
	})
	t.Run("a_body_over_the_limit", func(t *testing.T) {
		newShielded(t, newApplication(t, laravel), nil).browse(authPath, strings.Repeat("x", 10_001), asForm).check(t, 413, "Payload too large.")
	})
	t.Run("no_app_with_a_shield", func(t *testing.T) {
		newFixture(t, nil).browse(authPath, formOf("1.2", "private-a"), cookie).check(t, 404, "Not found. Set auth.upstream")
	})
	t.Run("a_disabled_app", func(t *testing.T) {
		f := newShielded(t, newApplication(t, laravel), func(_ *Options, a *pusher.AppOptions) { a.Disabled = true })
		f.browse(authPath, formOf("1.2", "private-a"), cookie).check(t, 403, "Application ["+appID+"] is disabled.")
	})
	t.Run("GET", func(t *testing.T) {
		got := newShielded(t, newApplication(t, laravel), nil).send("GET", authPath, "")
		got.check(t, 405, "Method not allowed. This path takes POST, OPTIONS.")
		if got.header.Get("Allow") != "POST, OPTIONS" {
			t.Errorf("Allow = %q, want POST, OPTIONS", got.header.Get("Allow"))
		}
	})
}

func TestWhatTheApplicationSays(t *testing.T) {
	tests := []struct {
		name       string
		answer     http.HandlerFunc
		status     int
		text       string
		retryAfter string
	}{
		{"forbidden", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, 403, "Refused: the application refused with status 403.", ""},
		{"unauthenticated", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, 401, "Refused: the application refused with status 401.", ""},
		{"too_many", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "9")
			w.WriteHeader(429)
		}, 429, "Refused: the application refused with status 429.", "9"},
		{"an_error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, 503, "Service unavailable: the application gave no answer.", "1"},
		{"a_redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, 503, "Service unavailable:", "1"},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, 503, "Service unavailable:", "1"},
		{"the_key_of_another_app", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"auth":"other:x"}`) }, 503, "Service unavailable:", "1"},
		{"presence_without_a_user", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"auth":"reverb-key:x","channel_data":"{}"}`)
		}, 503, "Service unavailable:", "1"},
		{"nothing", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 503, "Service unavailable:", "1"},
		{"its_last_word", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 503, "Service unavailable:", "1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			app := newApplication(t, tt.answer)
			f := newShielded(t, app, func(o *Options, a *pusher.AppOptions) {
				o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
				a.AuthShield.CacheTTL = time.Hour
				a.AuthShield.Timeout = 200 * time.Millisecond
			})
			for range 2 {
				got := f.browse(authPath, formOf("1.2", "presence-a"), cookie, "Origin: http://app.test")
				got.check(t, tt.status, tt.text)
				if got.header.Get("Retry-After") != tt.retryAfter {
					t.Errorf("Retry-After = %q, want %q", got.header.Get("Retry-After"), tt.retryAfter)
				}
				if got.header.Get("Access-Control-Allow-Origin") != "http://app.test" {
					t.Error("the page cannot read the refusal")
				}
				if strings.Contains(got.body, app.Listener.Addr().String()) {
					t.Errorf("%q names the application's address", got.body)
				}
			}
			if n := app.asked.Load(); n != 2 {
				t.Errorf("%d questions, want 2: nothing of this is kept", n)
			}
			want := 0
			if tt.status == 503 {
				want = 1 // for both
			}
			if n := strings.Count(logged.String(), "browsers get no authorization"); n != want {
				t.Errorf("%d lines, want %d: %s", n, want, logged.String())
			}
		})
	}
}

func TestWhichAppABrowserAsksAbout(t *testing.T) {
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"auth":"`+r.URL.Query().Get("for")+`:x"}`)
	})
	shielded := func(id string) pusher.AppConfig {
		return pusher.AppConfig{ID: id, Key: id + "-key", Secret: appSecret, Options: pusher.AppOptions{
			AuthShield: pusher.AuthShield{Upstream: app.URL + "/auth?for=" + id + "-key"},
		}}
	}
	node, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{shielded("a"), shielded("b"), {ID: "c", Key: "c-key", Secret: "c"}}})
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, nil)
	f.node.Node = node
	for _, id := range []string{"a", "b"} {
		signed := fmt.Sprintf(`{"auth":%q}`, id+"-key:"+hmacHex("1.2:private-a"))
		f.browse(authPath+"?key="+id+"-key", formOf("1.2", "private-a"), cookie).check(t, 200, signed)
		f.browse(authPath+"/"+id+"-key", formOf("1.2", "private-a"), cookie).check(t, 200, signed)
	}
	f.browse(authPath, formOf("1.2", "private-a"), cookie).check(t, 400, "Bad request. 2 applications have auth.upstream; add ?key= and the key of one.")
	f.browse(authPath+"/c-key", formOf("1.2", "private-a"), cookie).check(t, 404, "Not found. Set auth.upstream")
}

func TestAShieldFollowsItsOptions(t *testing.T) {
	appWith := func(key string, o pusher.AuthShield) *pusher.App {
		node, err := pusher.NewNode(pusher.Options{Apps: []pusher.AppConfig{{ID: appID, Key: key, Options: pusher.AppOptions{AuthShield: o}}}})
		if err != nil {
			t.Fatal(err)
		}
		return node.AppByID(appID)
	}
	o := pusher.AuthShield{Upstream: "http://127.0.0.1:1/auth"}
	other := o
	other.CacheTTL = time.Second
	var s shields
	first, err := s.of(appWith("k", o), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		app  *pusher.App
		same bool
	}{
		{"equal_options", appWith("k", o), true},
		{"other_options", appWith("k", other), false},
		{"another_key", appWith("l", o), false},
	} {
		got, err := s.of(tt.app, time.Now)
		if err != nil || (got == first) != tt.same {
			t.Errorf("%s: the same shield: %t, %v, want %t", tt.name, got == first, err, tt.same)
		}
	}
	if _, err := s.of(appWith("k", pusher.AuthShield{Upstream: "x"}), time.Now); err == nil {
		t.Error("no error for a bad upstream")
	}
}

func TestWaitingBrowsersLeaveRoomForTheAPI(t *testing.T) {
	release := make(chan struct{})
	app := newApplication(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		laravel(w, r)
	})
	f := newShielded(t, app, func(o *Options, _ *pusher.AppOptions) { o.MaxConnections = 4 })
	var waiting sync.WaitGroup
	for i := range 2 {
		own := *f
		waiting.Go(func() {
			if got := own.browse(authPath, formOf("1.2", "private-a"), fmt.Sprint("Cookie: ", i)); got.status != 200 {
				t.Errorf("%d %q, want 200", got.status, got.body)
			}
		})
	}
	for end := time.Now().Add(patience); app.asked.Load() < 2 && time.Now().Before(end); runtime.Gosched() {
	}
	got := f.browse(authPath, formOf("1.2", "private-a"), cookie)
	got.check(t, 503, "Service unavailable:")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q, want 1", got.header.Get("Retry-After"))
	}
	f.call(eventsPath, `{"name":"e","channel":"a","data":"x"}`).check(t, 200, `{}`)
	close(release)
	waiting.Wait()
	if n := app.asked.Load(); n != 2 {
		t.Errorf("%d questions, want 2", n)
	}
}
