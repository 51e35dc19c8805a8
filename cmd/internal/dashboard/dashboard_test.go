package dashboard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"resound/cmd/internal/control"
	"resound/cmd/internal/monitor"
	"resound/cmd/internal/monitor/alert"
	"resound/cmd/internal/monitor/history"
)

// patience bounds every wait; none is expected to last.
const patience = 20 * time.Second

// fakeNode is a Node in which everything is as the test says.
type fakeNode struct {
	mu       sync.Mutex
	sent     []string
	watching func(app, channel string)
	channels int // more than there are
	apps     int // more than one
	history  *history.Store
	feed     *control.Feed
}

func (n *fakeNode) Snapshot() monitor.Snapshot {
	return monitor.Snapshot{Version: "fake", Channels: 3 + n.channels, Apps: make([]monitor.App, 1+n.apps)}
}

func (*fakeNode) Nodes(context.Context) []monitor.Node {
	return []monitor.Node{{ID: "a", Self: true, Figures: &monitor.Figures{Address: "ws1:8080"}}, {ID: "b"}}
}

func (*fakeNode) Channels(app, prefix string) ([]control.Channel, error) {
	if app == "unknown" {
		return nil, control.ErrUnknownApp
	}
	var all []control.Channel
	for i := range 300 {
		all = append(all, control.Channel{App: "1", Name: fmt.Sprintf("%sch-%03d", prefix, i), Subscriptions: i})
	}
	return all, nil
}

func (*fakeNode) Users(_, channel string, most int) ([]string, int, error) {
	if !strings.HasPrefix(channel, "presence-") {
		return nil, 0, errors.New("not a presence channel")
	}
	return []string{"ada", "bob"}[:min(2, most)], 2, nil
}

func (n *fakeNode) Tail(control.TailQuery) (*control.Feed, error) {
	if n.feed == nil {
		return nil, control.ErrTooMany
	}
	return n.feed, nil
}

func (n *fakeNode) Watch(f func(app, channel string)) (func(), bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watching = f
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.watching = nil
	}, true
}

func (n *fakeNode) isWatched() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.watching != nil
}

func (n *fakeNode) Send(app, channel, name, data string) error {
	if channel == "" {
		return errors.New("the channel is empty")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, strings.Join([]string{app, channel, name, data}, " "))
	return nil
}

func (n *fakeNode) History() *history.Store { return n.history }

func (*fakeNode) Alerts() []alert.State { return []alert.State{{Name: "many", Active: true}} }

// fixture is a dashboard behind an HTTP server.
type fixture struct {
	*Dashboard
	t    *testing.T
	node *fakeNode
	url  string

	mu     sync.Mutex
	access Access
	now    time.Time
}

func newFixture(t *testing.T, a Access) *fixture {
	t.Helper()
	f := &fixture{t: t, node: &fakeNode{}, access: a, now: time.Unix(1_700_000_000, 0)}
	f.Dashboard = New(Options{
		Node:   f.node,
		Access: func() Access { f.mu.Lock(); defer f.mu.Unlock(); return f.access },
		Now:    func() time.Time { f.mu.Lock(); defer f.mu.Unlock(); return f.now },
	})
	s := httptest.NewServer(f.Dashboard)
	f.url = s.URL
	t.Cleanup(func() {
		f.Close()
		s.Close()
	})
	return f
}

func (f *fixture) set(a Access) { f.mu.Lock(); defer f.mu.Unlock(); f.access = a }

func (f *fixture) pass(d time.Duration) { f.mu.Lock(); defer f.mu.Unlock(); f.now = f.now.Add(d) }

type request struct {
	method, path, cookie, body string
	headers                    map[string]string
}

func (f *fixture) do(r request) (*http.Response, string) {
	f.t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	q, err := http.NewRequestWithContext(f.t.Context(), r.method, f.url+r.path, strings.NewReader(r.body))
	if err != nil {
		f.t.Fatal(err)
	}
	for name, value := range r.headers {
		q.Header.Set(name, value)
	}
	if r.cookie != "" {
		q.Header.Set("Cookie", r.cookie)
	}
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(q)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response, string(body)
}

func (f *fixture) status(r request) int {
	f.t.Helper()
	response, _ := f.do(r)
	return response.StatusCode
}

var form = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

// login returns the cookie that a password brings, empty for none.
func (f *fixture) login(password string) (cookie string, status int) {
	f.t.Helper()
	response, _ := f.do(request{method: "POST", path: "/reverb/login", body: url.Values{"password": {password}}.Encode(), headers: form})
	cookie, _, _ = strings.Cut(response.Header.Get("Set-Cookie"), ";")
	return cookie, response.StatusCode
}

// token returns the token of a session.
func (f *fixture) token(cookie string) string {
	f.t.Helper()
	_, body := f.do(request{path: "/reverb/session", cookie: cookie})
	var s struct{ Token string }
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.Token == "" {
		f.t.Fatalf("session is %s: %v", body, err)
	}
	return s.Token
}

func TestNothingIsToldWithoutASession(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Password: "sesame"})
	for _, path := range []string{"session", "live", "tail", "history", "channels", "users"} {
		for _, cookie := range []string{"", "resound_session=", "resound_session=forged", "resound_session=" + strings.Repeat("x", 4000)} {
			if got := f.status(request{path: "/reverb/" + path, cookie: cookie}); got != http.StatusUnauthorized {
				t.Errorf("GET %s with the cookie %.30q: %d", path, cookie, got)
			}
		}
	}
	for _, path := range []string{"events", "logout"} {
		if got := f.status(request{method: "POST", path: "/reverb/" + path}); got != http.StatusUnauthorized {
			t.Errorf("POST %s: %d", path, got)
		}
	}
	if response, body := f.do(request{path: "/reverb"}); response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `type="password"`) || strings.Contains(body, "sesame") {
		t.Errorf("the page answers %d %s", response.StatusCode, body)
	}
	for _, path := range []string{"/reverb/../access.go", "/reverb/%2e%2e/access.go", "/reverb/..%2faccess.go", "/reverb/assets", "/reverb/index.html", "/reverb//etc/passwd", "/reverb/app.js/../index.html"} {
		if got := f.status(request{path: path}); got == http.StatusOK {
			t.Errorf("GET %s: %d", path, got)
		}
	}
}

func TestPassword(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Password: "sesame"})
	if cookie, _ := f.login("Sesame"); cookie != "" {
		t.Errorf("a wrong password brings %s", cookie)
	}
	cookie, status := f.login("sesame")
	if status != http.StatusSeeOther || f.status(request{path: "/reverb", cookie: cookie}) != http.StatusOK {
		t.Fatalf("the password answers %d with %q", status, cookie)
	}
	response, _ := f.do(request{method: "POST", path: "/reverb/login", body: "password=sesame", headers: map[string]string{
		"Content-Type": form["Content-Type"], "X-Forwarded-Proto": "https",
	}})
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Secure", "Path=/reverb", "Max-Age=43200"} {
		if got := response.Header.Get("Set-Cookie"); !strings.Contains(got, want) {
			t.Errorf("the cookie %s lacks %s", got, want)
		}
	}

	f.set(Access{Enabled: true, Password: "another"})
	if got := f.status(request{path: "/reverb/session", cookie: cookie}); got != http.StatusUnauthorized {
		t.Errorf("after the password has changed: %d", got)
	}
	cookie, _ = f.login("another")
	f.pass(sessionFor + time.Second)
	if got := f.status(request{path: "/reverb/session", cookie: cookie}); got != http.StatusUnauthorized {
		t.Errorf("after the session's time: %d", got)
	}
	cookie, _ = f.login("another")
	if got := f.status(request{method: "POST", path: "/reverb/logout", cookie: cookie, headers: map[string]string{tokenHeader: f.token(cookie)}}); got != http.StatusNoContent {
		t.Errorf("logout: %d", got)
	}
	if got := f.status(request{path: "/reverb/session", cookie: cookie}); got != http.StatusUnauthorized {
		t.Errorf("after logout: %d", got)
	}
}

// TestASessionIsNotOneThatSomebodyChose logs a browser in that has a cookie of an
// attacker's choice, be it unknown or the attacker's own.
func TestASessionIsNotOneThatSomebodyChose(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Password: "sesame"})
	attackers, _ := f.login("sesame")
	for _, planted := range []string{cookieName + "=chosen", attackers} {
		body := url.Values{"password": {"sesame"}}.Encode()
		response, _ := f.do(request{method: "POST", path: "/reverb/login", cookie: planted, body: body, headers: form})
		got, _, _ := strings.Cut(response.Header.Get("Set-Cookie"), ";")
		if got == "" || got == planted {
			t.Errorf("with the cookie %s the password brings %q", planted, got)
		}
		if f.token(got) == f.token(attackers) {
			t.Error("two sessions have one token")
		}
	}
	if got := f.status(request{path: "/reverb/session", cookie: cookieName + "=chosen"}); got != http.StatusUnauthorized {
		t.Errorf("the chosen cookie: %d", got)
	}
	link, _ := f.do(request{path: f.Link(), cookie: cookieName + "=chosen"})
	if got := link.Header.Get("Set-Cookie"); got == "" || strings.Contains(got, "chosen") {
		t.Errorf("a link brings the cookie %q", got)
	}
}

func TestPasswordsCannotBeGuessed(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Password: "sesame"})
	for range maxLogins {
		f.login("wrong")
	}
	if cookie, status := f.login("sesame"); cookie != "" || status != http.StatusTooManyRequests {
		t.Errorf("after %d wrong passwords: %d %s", maxLogins, status, cookie)
	}
	f.pass(loginWindow + time.Second)
	if cookie, _ := f.login("sesame"); cookie == "" {
		t.Error("a minute later the password is refused")
	}
	none := newFixture(t, Access{Enabled: true})
	if cookie, _ := none.login(""); cookie != "" {
		t.Error("without a password the empty one is right")
	}
}

func TestALinkWorksOnce(t *testing.T) {
	f := newFixture(t, Access{Enabled: true})
	link := f.Link()
	first, _ := f.do(request{path: link})
	cookie, _, _ := strings.Cut(first.Header.Get("Set-Cookie"), ";")
	if first.StatusCode != http.StatusSeeOther || first.Header.Get("Location") != "/reverb" || f.status(request{path: "/reverb", cookie: cookie}) != http.StatusOK {
		t.Errorf("the link answers %d with %q", first.StatusCode, cookie)
	}
	old := f.Link()
	f.pass(linkFor + time.Second)
	oldest := f.Link()
	for range maxLinks {
		f.Link()
	}
	for name, path := range map[string]string{"a second time": link, "a day later": old, "too many since": oldest, "a guess": "/reverb?token=x"} {
		if got, _ := f.do(request{path: path}); got.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: a session begins", name)
		}
	}
}

func TestSessionsAreBounded(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Password: "sesame"})
	first, _ := f.login("sesame")
	for range maxSessions {
		f.login("sesame")
	}
	if n := len(f.Dashboard.access.sessions); n != maxSessions {
		t.Errorf("%d sessions, want %d", n, maxSessions)
	}
	if got := f.status(request{path: "/reverb/session", cookie: first}); got != http.StatusUnauthorized {
		t.Errorf("the oldest session: %d", got)
	}
}

func TestOnlyOurPagesWrite(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	token := f.token("")
	const event = `{"app":"1","channel":"news","event":"Greeting","data":"{}"}`
	for _, row := range []struct {
		name    string
		headers map[string]string
		body    string
		status  int
	}{
		{"our page", map[string]string{tokenHeader: token, "Sec-Fetch-Site": "same-origin"}, event, 200},
		{"our page without TLS", map[string]string{tokenHeader: token, "Origin": f.url}, event, 200},
		{"no token", map[string]string{"Sec-Fetch-Site": "same-origin"}, event, 403},
		{"a wrong token", map[string]string{tokenHeader: "x"}, event, 403},
		{"a page of others", map[string]string{tokenHeader: token, "Sec-Fetch-Site": "cross-site"}, event, 403},
		{"a neighbour", map[string]string{tokenHeader: token, "Sec-Fetch-Site": "same-site"}, event, 403},
		{"a forged origin", map[string]string{tokenHeader: token, "Origin": "https://evil.example"}, event, 403},
		{"a form", map[string]string{tokenHeader: token, "Content-Type": "text/plain"}, event, 415},
		{"no JSON", map[string]string{tokenHeader: token}, "{", 400},
		{"too long", map[string]string{tokenHeader: token}, `{"data":"` + strings.Repeat("x", maxEventBytes) + `"}`, 400},
		{"refused by the node", map[string]string{tokenHeader: token}, `{"app":"1"}`, 422},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.headers["Content-Type"] == "" {
				row.headers["Content-Type"] = "application/json"
			}
			before := len(f.node.sent)
			response, body := f.do(request{method: "POST", path: "/reverb/events", body: row.body, headers: row.headers})
			if response.StatusCode != row.status || (len(f.node.sent) > before) != (row.status == 200) {
				t.Errorf("got %d %s, want %d", response.StatusCode, body, row.status)
			}
		})
	}
	if got := f.node.sent[0]; got != "1 news Greeting {}" {
		t.Errorf("sent %q", got)
	}
	response, _ := f.do(request{method: "POST", path: "/reverb/login", headers: map[string]string{"Content-Type": form["Content-Type"], "Origin": "https://evil.example"}})
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("a login from elsewhere: %d", response.StatusCode)
	}
}

func TestNamesThatOthersCanOwnAreNotOpen(t *testing.T) {
	for _, row := range []struct {
		host string
		want bool
	}{
		{"127.0.0.1:8080", true},
		{"10.0.0.7", true},
		{"[::1]:8080", true},
		{"localhost:8080", true},
		{"reverb:8080", true},
		{"shop.test", true},
		{"Shop.TEST.:8080", true},
		{"mac.local", true},
		{"ws.example.com:443", true}, // the server's
		{"evil.example", false},
		{"127.0.0.1.evil.example:8080", false},
		{"evil.example.", false},
		{"test.evil", false},
		{"", false},
	} {
		if got := isOurs(row.host, "ws.example.com"); got != row.want {
			t.Errorf("%q: %t, want %t", row.host, got, row.want)
		}
	}
	f := newFixture(t, Access{Enabled: true, Open: true})
	r := httptest.NewRequest(http.MethodGet, "http://evil.example/reverb/session", nil)
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("a name of others: %d", w.Code)
	}
}

func TestHeadersKeepOthersOut(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	for _, path := range []string{"/reverb", "/reverb/app.js", "/reverb/chart.js", "/reverb/style.css", "/reverb/session", "/reverb/nothing"} {
		response, body := f.do(request{path: path})
		h := response.Header
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'") || strings.Contains(csp, "unsafe") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s has the headers %v", path, h)
		}
		for _, banned := range []string{"http://", "https://", "<script>", " style=", " onclick="} {
			if strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), banned) {
				t.Errorf("%s has %q", path, banned)
			}
		}
	}
	f.set(Access{})
	if got := f.status(request{path: "/reverb"}); got != http.StatusNotFound {
		t.Errorf("switched off: %d", got)
	}
}

// follow opens a stream and returns its messages, until the test ends.
func (f *fixture) follow(path string) (messages <-chan string, end func()) {
	f.t.Helper()
	response, err := http.Get(f.url + path)
	if err != nil {
		f.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, func() {}
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		for in := bufio.NewScanner(response.Body); in.Scan(); {
			if text, ok := strings.CutPrefix(in.Text(), "data: "); ok {
				out <- text
			}
		}
	}()
	return out, func() {
		response.Body.Close()
		for range out {
		}
	}
}

func within[T any](t *testing.T, c <-chan T, what string) (got T) {
	t.Helper()
	select {
	case got = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
	}
	return got
}

func TestFiguresAreTold(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	messages, end := f.follow("/reverb/live")
	defer end()
	var got frame
	if err := json.Unmarshal([]byte(within(t, messages, "figures")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Snapshot.Version != "fake" || len(got.Largest) != topChannels || got.Largest[0].Subscriptions != 299 || len(got.Alerts) != 1 || got.History != nil ||
		len(got.Nodes) != 2 || !got.Nodes[0].Self {
		t.Errorf("got %+v", got)
	}
	if !f.node.isWatched() {
		t.Error("rates are not counted while somebody looks")
	}
	f.Close()
	for range messages { // the stream ends
	}
}

func TestNobodyIsWatchedWhenNobodyLooks(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	l := &f.Dashboard.live
	l.enter(true)
	l.enter(true)
	l.leave(true)
	if !f.node.isWatched() {
		t.Error("one page looks still")
	}
	l.leave(true)
	if f.node.isWatched() {
		t.Error("nobody looks any more")
	}
}

func TestStreamsAreBounded(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	for range maxStreams {
		if !f.Dashboard.live.enter(false) {
			t.Fatal("a place is missing")
		}
	}
	for _, path := range []string{"live", "tail"} {
		if got := f.status(request{path: "/reverb/" + path}); got != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", path, got)
		}
	}
}

func TestManyAppsAndChannelsAreNotTold(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	f.node.channels = maxRanked
	var got frame
	f.node.apps = 2 * maxApps
	if err := json.Unmarshal(f.Dashboard.live.frame(), &got); err != nil || got.Apps != 2*maxApps+1 || len(got.Snapshot.Apps) != maxApps {
		t.Errorf("%d apps are told of %d: %v", len(got.Snapshot.Apps), got.Apps, err)
	}
	if !got.Unranked || got.Largest != nil {
		t.Errorf("got %+v", got)
	}
}

func TestRatesByChannel(t *testing.T) {
	at := time.Unix(1000, 0)
	var r rates
	r.reset(at)
	for i := range 300 {
		r.count("1", fmt.Sprintf("ch-%d", i%3*i%3)) // 0 most often
	}
	r.count("2", "quiet")
	if got := r.top(at.Add(5 * time.Second)); len(got) == 0 || got[0].Rate <= got[len(got)-1].Rate {
		t.Errorf("in the first window: %v", got)
	}
	whole := r.top(at.Add(rateWindow))
	if got := r.top(at.Add(rateWindow + time.Second)); len(got) != len(whole) || got[0] != whole[0] {
		t.Errorf("in the second window: %v, want %v", got, whole)
	}
	if got := r.top(at.Add(2 * rateWindow)); len(got) != 0 {
		t.Errorf("after a window without events: %v", got)
	}
	for i := range maxRanked + 10 {
		r.count("1", fmt.Sprint(i))
	}
	if n := len(r.counts); n != maxRanked {
		t.Errorf("%d channels are counted, want %d", n, maxRanked)
	}
}

// TestNamesOfCountedChannelsAreKept counts channels whose names are views of one
// buffer, as where events are published.
func TestNamesOfCountedChannelsAreKept(t *testing.T) {
	at := time.Unix(1000, 0)
	var r rates
	r.reset(at)
	buffer := make([]byte, 6)
	for range 2 {
		for _, name := range []string{"first", "second"} {
			r.count("1", unsafe.String(&buffer[0], copy(buffer, name)))
		}
	}
	copy(buffer, "broken")
	got := r.top(at.Add(rateWindow))
	if want := []busyChannel{{"1", "first", 0.2}, {"1", "second", 0.2}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTailIsTold(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	if got := f.status(request{path: "/reverb/tail"}); got != http.StatusServiceUnavailable {
		t.Errorf("too many watch: %d", got)
	}
	stopped := make(chan struct{})
	f.node.feed = control.NewFeed(func() { close(stopped) })
	messages, end := f.follow("/reverb/tail?channel=news")
	f.node.feed.Offer(control.Event{App: "1", Channel: "news", Name: "line\nbreak", Data: json.RawMessage(`"a\nb"`)})
	var got control.Event
	if err := json.Unmarshal([]byte(within(t, messages, "an event")), &got); err != nil || got.Name != "line\nbreak" {
		t.Errorf("got %+v, %v", got, err)
	}
	f.Close()
	end()
	within(t, stopped, "the feed to be closed")
}

// TestAFastTailIsCut: a page is shown so many events a second and is told how many
// more there were.
func TestAFastTailIsCut(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	f.node.feed = control.NewFeed(func() {})
	messages, end := f.follow("/reverb/tail")
	defer end()
	const more = 50
	for range maxTailed + more {
		f.node.feed.Offer(control.Event{Channel: "news"})
	}
	next := func() (e control.Event) {
		t.Helper()
		if err := json.Unmarshal([]byte(within(t, messages, "an event")), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	for range maxTailed {
		if got := next(); got.Channel != "news" {
			t.Fatalf("got %+v", got)
		}
	}
	for f.node.feed.Waiting() > 0 {
		runtime.Gosched() // the rest is looked at within this second
	}
	f.pass(time.Second)
	for left := uint64(more); left > 0; {
		got := next()
		switch {
		case got.Dropped > 0 && got.Dropped <= left:
			left -= got.Dropped
		case got.Channel == "news": // the last one, looked at in the next second
			left--
		default:
			t.Fatalf("got %+v, %d to come", got, left)
		}
	}
}

func TestQuestions(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	for _, row := range []struct {
		path   string
		status int
		says   string
	}{
		{"channels?prefix=p-", 200, `"total":300`},
		{"channels?prefix=p-", 200, `p-ch-199`},
		{"channels?app=unknown", 404, "no app has this id"},
		{"users?app=1&channel=presence-x", 200, `"users":["ada","bob"]`},
		{"users?app=1&channel=x", 404, "not a presence channel"},
		{"history?seconds=3600&series=x", 404, "keeps no history"},
	} {
		response, body := f.do(request{path: "/reverb/" + row.path})
		if response.StatusCode != row.status || !strings.Contains(body, row.says) || strings.Contains(body, "ch-200") {
			t.Errorf("%s: %d %.200s, want %d %s", row.path, response.StatusCode, body, row.status, row.says)
		}
	}
}

func TestCharts(t *testing.T) {
	f := newFixture(t, Access{Enabled: true, Open: true})
	f.node.history = history.Open(history.Options{Path: filepath.Join(t.TempDir(), "history.db"), Now: f.Dashboard.options.Now})
	t.Cleanup(f.node.history.Close)
	now := f.now.Unix()
	var points []history.Point
	for i := range int64(120) {
		points = append(points, history.Point{Step: 60, Time: now - now%60 - 60*i, Values: map[string]float64{"connections": float64(i)}})
	}
	for i := range int64(30) {
		points = append(points, history.Point{Step: 10, Time: now - now%10 - 10*i, Values: map[string]float64{"connections": 5}})
	}
	if _, err := f.node.history.Import(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	get := func(query string) (c chart, status int) {
		t.Helper()
		response, body := f.do(request{path: "/reverb/history?" + query})
		if response.StatusCode == 200 {
			if err := json.Unmarshal([]byte(body), &c); err != nil {
				t.Fatal(err)
			}
		}
		return c, response.StatusCode
	}
	if c, _ := get("seconds=3600&series=connections&series=missing"); c.Step != 10 || len(c.Times) != 30 || *c.Series["connections"][0] != 5 || c.Series["missing"][29] != nil {
		t.Errorf("an hour: %+v", c)
	}
	c, _ := get("seconds=2678400&series=connections")
	if c.Step%60 != 0 || len(c.Times) < 1 || len(c.Times) > maxCharted {
		t.Errorf("a month: %+v", c)
	}
	for _, query := range []string{"", "seconds=1&series=a", "seconds=99999999&series=a", "seconds=3600", "seconds=x&series=a", "seconds=3600" + strings.Repeat("&series=a", history.MaxSeries+1)} {
		if _, status := get(query); status != http.StatusBadRequest {
			t.Errorf("%.40q: %d", query, status)
		}
	}
}
