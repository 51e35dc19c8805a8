package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// exposed collects what a server shows, by where it did.
type exposed map[string]string

// get asks for a page and keeps the answer.
func (e exposed) get(t *testing.T, s *server, client *http.Client, route string, header http.Header) {
	t.Helper()
	message, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(route), nil)
	if err != nil {
		t.Fatal(err)
	}
	message.Header = header
	response, err := client.Do(message)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	e["GET "+route] = fmt.Sprint(response.Header, string(body))
}

// TestSecretsStayInside sends every kind of secret, the right one and a wrong one,
// on every way that may fail, to a node that prints all it can, and looks for them
// in what it shows.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	r := startReceiver(t)
	r.react(t, reaction{Status: http.StatusForbidden})
	a := serveApplication(t, testApp)
	const (
		password   = "dashboard-password-4711"
		token      = "metrics-token-4711"
		hookHeader = "webhook-header-4711"
		hookQuery  = "webhook-query-4711"
		cookie     = "cookie-4711"
		bearer     = "bearer-4711"
	)
	wrong := strings.Repeat("4711beef", 8) // a signature that is none
	hookURL, dead := r.url("/hook?key="+hookQuery), "http://127.0.0.1:1/hook?key="+hookQuery
	master := base64.StdEncoding.EncodeToString([]byte(masterKey))
	o := withHooks(t, map[string]any{
		"encryption_master_key": master,
		"auth":                  map[string]any{"upstream": a.URL + "/broadcasting/auth"},
	}, map[string]any{"url": hookURL, "headers": map[string]string{"X-Secret": hookHeader}}, map[string]any{"url": dead})
	o.args = append(o.args, "--debug")
	o.env = map[string]string{
		"RESOUND_DASHBOARD_PASSWORD":       password,
		"RESOUND_MONITORING_METRICS_TOKEN": token,
		"RESOUND_MONITORING_STORAGE":       filepath.Join(t.TempDir(), "history.db"),
	}
	c := startCommanded(t, o)
	s := c.server
	shown := exposed{}
	hidden := map[string]string{
		"the app's secret": testApp.secret, "the master key": master, "the password of the dashboard": password, "the token of the metrics": token,
		"a webhook's header": hookHeader, "the query of a webhook": hookQuery, "a cookie": cookie, "a bearer's token": bearer,
		"a wrong signature": wrong,
	}

	// Requests: signed, signed wrongly, and broken in every way, with credentials.
	path := "/apps/" + testApp.id + "/events"
	body := `{"name":"e","channel":"private-x","data":"d"}`
	query := s.api().signedQuery(http.MethodPost, path, nil, body)
	hidden["a request's signature"] = query[strings.LastIndex(query, "=")+1:]
	answers := func(name, text string) {
		conn := s.connect(t)
		_, _ = io.WriteString(conn, text) // some are refused before all is sent
		if tcp, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = tcp.CloseWrite()
		}
		got, _ := io.ReadAll(conn)
		shown["the answer to "+name] = string(got)
	}
	credentials := "Host: a\r\nCookie: session=" + cookie + "\r\nAuthorization: Bearer " + bearer + "\r\n"
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for name, text := range map[string]string{
		"a trigger":               "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + length + "\r\n" + body,
		"a wrong signature":       "POST " + path + "?auth_key=" + testApp.key + "&auth_timestamp=1&auth_version=1.0&auth_signature=" + wrong + " HTTP/1.1\r\n" + credentials + length + "\r\n" + body,
		"half a body":             "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Content-Length: 999\r\n\r\n" + body,
		"a broken chunk":          "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a large body":            "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Content-Length: 99999999\r\n\r\n",
		"large headers":           "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "X: " + strings.Repeat("x", 9000) + "\r\n\r\n",
		"a request without words": "GARBAGE\r\n" + credentials + "\r\n",
		"two words":               "POST " + path + "?" + query + "\r\n" + credentials + "\r\n",
		"a broken version":        "POST " + path + "?" + query + " HTTX/1.1\r\n" + credentials + "\r\n",
		"a broken method":         "P@ST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "\r\n",
		"a broken target":         "POST " + path + "?\x01" + query + " HTTP/1.1\r\n" + credentials + "\r\n",
		"a broken header":         "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Cookie : " + cookie + "\r\n\r\n",
		"a zero byte":             "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Cookie: \x00" + cookie + "\r\n\r\n",
		"a broken trailer":        "POST " + path + "?" + query + " HTTP/1.1\r\n" + credentials + "Transfer-Encoding: chunked\r\n\r\n0\r\nCookie: \x00" + cookie + "\r\n\r\n",
		"a failed handshake":      "GET /app/" + testApp.key + " HTTP/1.1\r\n" + credentials + "Upgrade: websocket\r\n\r\n",
		"a question of a browser": "POST /broadcasting/auth HTTP/1.1\r\n" + credentials + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"a path that is unknown":  "GET /nothing?token=" + token + " HTTP/1.1\r\n" + credentials + "\r\n",
	} {
		answers(name, text)
	}

	// WebSockets: what is signed and what is signed wrongly.
	k := openApp(t, s, testApp, http.Header{"Cookie": {"session=" + cookie}, "Authorization": {"Bearer " + bearer}})
	k.subscribeAuth(t, "private-x", testApp.key+":"+wrong, "")
	for range 2 {
		_ = k.next(t)
	}
	k.subscribeSigned(t, "private-x", "")
	hidden["a subscription's signature"] = sign(testApp.secret, k.id+":private-x")
	_ = k.next(t)
	user := `{"id":"u"}`
	hidden["a sign-in's signature"] = sign(testApp.secret, k.id+"::user::"+user)
	for _, signature := range []string{wrong, hidden["a sign-in's signature"]} {
		k.send(t, `{"event":"pusher:signin","data":{"auth":`+quote(testApp.key+":"+signature)+`,"user_data":`+quote(user)+`}}`)
	}
	k.send(t, `not JSON, `+hidden["a sign-in's signature"])

	// What is asked for, with what opens it and without.
	plain := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, header := range []http.Header{{}, {"Authorization": {"Bearer " + token}}, {"Authorization": {"Bearer " + bearer}}} {
		shown.get(t, s, plain, "/metrics", header)
	}
	jar := loggedIn(t, s, password)
	for _, route := range []string{"/reverb", "/reverb/session", "/reverb/channels", "/reverb/history", "/reverb/app.js", "/ready", "/up"} {
		shown.get(t, s, plain, route, http.Header{"Cookie": {jar}})
		shown.get(t, s, plain, route+"?token="+token, http.Header{})
	}
	hidden["a session's cookie"] = jar[strings.Index(jar, "=")+1:]
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"connections", "--json"}, {"channels", "--json"}, {"config", "print"}, {"config", "check"}} {
		if args[0] == "config" {
			args = append(args, o.args[:2]...)
		}
		shown["resound "+strings.Join(args, " ")] = c.run(t, args...)
	}
	s.signal(t, syscall.SIGHUP)
	s.expectOutput(t, "(?i)reload")
	eventually(t, "webhooks were tried", func() bool { return len(r.deliveries(t)) > 0 })
	s.signal(t, syscall.SIGTERM)
	s.wait(t)

	shown["the output"] = s.out.String()
	if !strings.Contains(shown["the output"], "Message Received") || !strings.Contains(shown["the output"], "signature refused") {
		t.Error("the node prints too little for this test: it must print messages and refused signatures")
	}
	for where, text := range shown {
		for what, secret := range hidden {
			if strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				at := strings.Index(text, secret)
				t.Errorf("%s shows %s: …%q…", where, what, text[max(0, at-100):min(len(text), at+60)])
			}
		}
	}
}

// loggedIn returns the cookie of a session of the dashboard, after a wrong password.
func loggedIn(t *testing.T, s *server, password string) string {
	t.Helper()
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	cookie := ""
	for _, tried := range []string{"wrong-" + password, password} {
		response, err := client.PostForm(s.url("/reverb/login"), url.Values{"password": {tried}})
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		cookie = response.Header.Get("Set-Cookie")
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	if !strings.Contains(cookie, "=") {
		t.Fatal("no session for the password")
	}
	return cookie
}
