package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fill writes into a field of a page.
func (b browser) fill(t *testing.T, page, selector, value string) {
	t.Helper()
	b.do(t, "fill", arguments{"client": page, "selector": selector, "value": value, "timeout": patience.Milliseconds() / 2})
}

func (b browser) click(t *testing.T, page, selector string) {
	t.Helper()
	b.do(t, "click", arguments{"client": page, "selector": selector, "timeout": patience.Milliseconds() / 2})
}

// photograph fails when the page is wider than its screen. The image is kept where
// SCREENSHOTS says.
func (b browser) photograph(t *testing.T, page, name string, width, height int, scheme string) {
	t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	path := filepath.Join(dir, name)
	var over int
	answer := b.do(t, "photograph", arguments{"client": page, "path": path, "width": width, "height": height, "scheme": scheme})
	if err := json.Unmarshal(answer, &over); err != nil || over > 0 {
		t.Errorf("at %d pixels the page is %s pixels too wide", width, answer)
	}
	if s, err := os.Stat(path); err != nil || s.Size() < 10_000 {
		t.Errorf("the photograph is %v, %v", s, err)
	}
}

// expectAccessible fails for everything that keeps people out of a page, in both
// of its colours.
func (b browser) expectAccessible(t *testing.T, page string) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		var found []string
		if err := json.Unmarshal(b.do(t, "inaccessible", arguments{"client": page, "scheme": scheme}), &found); err != nil {
			t.Fatal(err)
		}
		for _, text := range found {
			t.Errorf("%s: %s", scheme, text)
		}
	}
}

// expectFocus types keys and compares what has the focus after each.
func (b browser) expectFocus(t *testing.T, page string, keys, want []string) {
	t.Helper()
	var got []string
	if err := json.Unmarshal(b.do(t, "press", arguments{"client": page, "keys": keys}), &got); err != nil || !slices.Equal(got, want) {
		t.Errorf("the keys %q lead to %q, %v, want %q", keys, got, err, want)
	}
}

func TestDashboardInChromium(t *testing.T) {
	t.Parallel()
	b := browse(t)
	const password = `open "sesame" & <b>`
	env := map[string]string{
		"RESOUND_DASHBOARD_PASSWORD": password,
		"RESOUND_MONITORING_STORAGE": filepath.Join(t.TempDir(), "history.db"),
	}
	s := startCommanded(t, startOptions{env: env, args: append([]string{"--path", "/ws"}, anyPort...)})
	const page = "dashboard"
	b.do(t, "open", arguments{"client": page, "url": s.url("/reverb")})
	b.fill(t, page, "#password", "wrong")
	b.click(t, page, "button")
	b.text(t, page, `#wrong:has-text("not the password")`)
	b.fill(t, page, "#password", password)
	b.click(t, page, "button")
	b.text(t, page, "#state.good")
	b.expectFocus(t, page, []string{"Tab", "Enter", "Tab", "Tab"}, []string{"a Skip to the figures", "figures", "scope", "range"})

	for i := range 12 {
		c := open(t, s.server)
		c.join(t, "orders."+fmt.Sprint(i%3), "")
		c.join(t, "presence-chat", fmt.Sprintf(`{"user_id":"user-%d"}`, i))
	}
	reader := open(t, s.server)
	reader.join(t, "orders.7", "")
	s.api().post(t, "/metrics", json.RawMessage(`[{"name":"orders_open","value":42},{"name":"orders_paid","value":3,"type":"counter"}]`), `{}`)
	b.text(t, page, `#tiles dd:has-text("13")`)
	b.text(t, page, `#largest td:text-is("presence-chat")`)
	b.text(t, page, `#custom td:text-is("orders_open")`)
	memory := regexp.MustCompile(`Memory +\S+ \S+ (of \S+ \S+)`).FindStringSubmatch(s.run(t, "status"))
	if memory == nil {
		t.Fatal("status shows no memory")
	}
	b.text(t, page, fmt.Sprintf(`#tiles dd:has-text("%s")`, memory[1])) // no other unit than there

	b.click(t, page, "#tail button")
	b.text(t, page, `#tail-note:text-is("watching")`)
	b.fill(t, page, "#send [name=channel]", "orders.7")
	b.fill(t, page, "#send [name=event]", "Shipped<i>")
	b.fill(t, page, "#send [name=data]", `{"id":7}`)
	b.click(t, page, "#send button")
	b.text(t, page, `#sent:has-text("Sent Shipped<i> to orders.7")`)
	reader.expect(t, `{"event":"Shipped<i>","channel":"orders.7","data":"{\"id\":7}"}`)
	b.text(t, page, `#events b:text-is("Shipped<i>")`)
	b.text(t, page, `#busiest td:text-is("orders.7")`)
	b.fill(t, page, "#send [name=channel]", "private-encrypted-x")
	b.click(t, page, "#send button")
	b.text(t, page, `#sent.bad:has-text("encrypted")`)

	b.fill(t, page, "#inspector [name=prefix]", "presence-")
	b.click(t, page, "#inspector button")
	b.click(t, page, `#inspected button:text-is("who")`)
	b.text(t, page, `#members:has-text("12 users")`)

	b.expectAccessible(t, page)
	b.photograph(t, page, "dashboard.png", 1280, 1500, "light")
	b.photograph(t, page, "dashboard-phone.png", 390, 1300, "dark")

	// Figures of the last hour come from the history, which has the first within ten
	// seconds.
	for selector, value := range map[string]string{"#range": "3600", "#scope": "app/" + testApp.id} {
		b.do(t, "choose", arguments{"client": page, "selector": selector, "value": value, "timeout": patience.Milliseconds() / 2})
	}
	for _, label := range []string{"Events triggered a second: ", "Connections: open 13"} {
		b.do(t, "attached", arguments{"client": page, "selector": `svg[aria-label^="` + label + `"]`, "timeout": patience.Milliseconds() - 5000})
	}
	b.click(t, page, "#logout")
	b.text(t, page, `label:text-is("Password")`)
	b.expectAccessible(t, page)
	if n := b.count(page, "page_error", ""); n != 0 {
		t.Errorf("%d errors on the page:\n%s", n, b.history(page))
	}
	b.do(t, "shut", arguments{"client": page})
}

// get asks for a page of the dashboard with a cookie.
func (s *server) get(t *testing.T, method, route, cookie string, headers map[string]string, body string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url(route), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if cookie != "" {
		request.Header.Set("Cookie", cookie)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	client := http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

func TestDashboardLinkWorksOnce(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	printed := c.expectOutput(t, `Dashboard: http://\S+(/reverb\?token=\S+)`)[1]
	if got := c.get(t, "GET", "/reverb", "", nil, "").StatusCode; got != http.StatusUnauthorized {
		t.Errorf("without the link: %d", got)
	}
	_, commanded, _ := strings.Cut(strings.TrimSpace(c.run(t, "dashboard")), c.address())
	for _, link := range []string{printed, commanded} {
		first := c.get(t, "GET", link, "", nil, "")
		cookie := first.Header.Get("Set-Cookie")
		if first.StatusCode != http.StatusSeeOther || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
			t.Errorf("the link answers %d with the cookie %q", first.StatusCode, cookie)
		}
		session, _, _ := strings.Cut(cookie, ";")
		page := c.get(t, "GET", "/reverb", session, nil, "")
		text, _ := io.ReadAll(page.Body)
		if page.StatusCode != http.StatusOK || strings.Contains(string(text), testApp.secret) {
			t.Errorf("the page answers %d", page.StatusCode)
		}
		again := c.get(t, "GET", link, "", nil, "")
		if again.Header.Get("Set-Cookie") != "" {
			t.Error("the link works twice")
		}
	}
}

func TestHistoryCommands(t *testing.T) {
	t.Parallel()
	env := map[string]string{"RESOUND_MONITORING_STORAGE": "kept/history.db"}
	c := startCommanded(t, startOptions{env: env})
	eventually(t, "the first figures are kept", func() bool { return strings.Contains(c.run(t, "export"), `"connections":0`) })
	// An hour earlier than it is: what the other server adds on its own is beside it.
	text := regexp.MustCompile(`"time":\d+`).ReplaceAllStringFunc(c.run(t, "export", "--format", "json"), func(found string) string {
		at, _ := strconv.Atoi(strings.TrimPrefix(found, `"time":`))
		return fmt.Sprintf(`"time":%d`, at-3600)
	})
	if err := os.WriteFile(filepath.Join(c.dir, "export.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	other := startCommanded(t, startOptions{env: env})
	expectSays(t, other.run(t, "import", filepath.Join(c.dir, "export.json")), "Imported")
	var lines int
	got := other.run(t, "export")
	for line := range strings.Lines(text) {
		if lines++; !strings.Contains(got, line) {
			t.Errorf("the export lacks %s", line)
		}
	}
	if lines < 2 {
		t.Errorf("exported are %d lines", lines)
	}
	expectSays(t, c.run(t, "export", "--format=csv", "--since=1h"), "step_seconds,time,series,value\n60,")
	run(t, c.dir, c.env, 2, "export", "--since", "yesterday")
	run(t, c.dir, c.env, 2, "export", "--format", "xml")
	run(t, c.dir, c.env, 1, "import", "missing.json")

	// What is whole of a torn export is in, and the line that is not is named. A disk
	// that is full is an error, not a shorter export.
	torn := filepath.Join(c.dir, "torn.json")
	if err := os.WriteFile(torn, []byte(text[:len(text)-10]), 0o600); err != nil {
		t.Fatal(err)
	}
	expectSays(t, run(t, other.dir, other.env, 1, "import", torn), fmt.Sprintf("line %d", lines), "points before it are in")
	full := command(t, c.dir, c.env, "export")
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close()
	var told strings.Builder
	full.Stdout, full.Stderr = device, &told
	if err := full.Run(); err == nil || !strings.Contains(told.String(), "no space left on device") {
		t.Errorf("an export to a full disk: %v, %s", err, told.String())
	}
}

func TestAnAlertIsTold(t *testing.T) {
	t.Parallel()
	told := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- string(body)
	}))
	t.Cleanup(receiver.Close)
	monitoring := map[string]any{
		"channels": map[string]any{"webhook": map[string]any{"url": receiver.URL + "/hidden"}},
		"alerts": map[string]any{
			"high_connection_count": map[string]any{"threshold": 1, "channels": []string{"webhook"}},
			"no_orders":             map[string]any{"metric": testApp.id + "/custom/orders", "threshold": 5, "below": true, "channels": []string{"webhook"}},
		},
	}
	s := start(t, startOptions{bare: true, args: appsFile(t, map[string]any{"monitoring": monitoring}, testApp.entry(nil))})
	open(t, s)
	open(t, s)
	s.api().post(t, "/metrics", map[string]any{"name": "orders", "value": 4}, `{}`)
	names := map[string]string{}
	for range 2 {
		select {
		case text := <-told:
			var m struct{ Alert, State string }
			if err := json.Unmarshal([]byte(text), &m); err != nil {
				t.Fatalf("the webhook gets %s: %v", text, err)
			}
			names[m.Alert] = m.State
		case <-time.After(patience):
			t.Fatalf("told are only %v", names)
		}
	}
	if names["high_connection_count"] != "firing" || names["no_orders"] != "firing" {
		t.Errorf("told are %v", names)
	}
	answer := request(t, http.MethodGet, s.url("/metrics"), "")
	expectSays(t, answer.body, "resound_alerts_firing 2", `resound_custom{app="`+testApp.id+`",name="orders"} 4`)
	if strings.Contains(s.out.String(), "hidden") {
		t.Error("the log shows the URL of the webhook")
	}
}

func TestAnOpenDashboardDoesNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{env: map[string]string{"APP_ENV": "local"}})
	for _, stream := range []string{"live", "tail"} {
		if got := s.get(t, "GET", "/reverb/"+stream, "", nil, "").StatusCode; got != http.StatusOK {
			t.Fatalf("GET %s: %d", stream, got)
		}
	}
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 || strings.Contains(s.out.String(), "cut off") {
		t.Errorf("exit code %d", code)
	}
}
