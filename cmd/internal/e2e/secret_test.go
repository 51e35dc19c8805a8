package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// secret is what no page, answer, command or log may show.
const secret = "Zq7-secret-"

// TestNoSecretIsShown gives a server every secret it can have, looks at everything
// that it tells, and finds none.
func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	app := credentials{"7", "the-key", secret + "app"}
	masterKey := base64.StdEncoding.EncodeToString([]byte(secret + "twenty-one-bytes-more")[:32])
	hook := map[string]any{
		"url": "http://127.0.0.1:1/hook?token=" + secret + "hook", "headers": map[string]string{"X-Token": secret + "header"},
		"event_types": []string{"channel_occupied"},
	}
	server := map[string]any{
		"monitoring": map[string]any{
			"storage":   filepath.Join(t.TempDir(), "history.db"),
			"dashboard": map[string]any{"password": secret + "dashboard"},
			"metrics":   map[string]any{"token": secret + "metrics"},
			"channels": map[string]any{
				"slack":   map[string]any{"url": "http://127.0.0.1:1/" + secret + "slack"},
				"webhook": map[string]any{"url": "http://127.0.0.1:1/" + secret + "webhook"},
				"email":   map[string]any{"smtp": "smtp://me:" + secret + "smtp@127.0.0.1:1", "from": "a@example.com", "to": []string{"b@example.com"}},
			},
			"alerts": map[string]any{"high_connection_count": map[string]any{"threshold": 1, "channels": []string{"slack", "webhook", "email"}}},
		},
	}
	args := appsFile(t, server, app.entry(map[string]any{"webhooks": []any{hook}, "encryption_master_key": masterKey}))
	c := startCommanded(t, startOptions{bare: true, args: args})
	k := openApp(t, c.server, app, nil)
	k.join(t, "news", "")
	openApp(t, c.server, app, nil).send(t, `{"event":"pusher:subscribe","data":{"channel":"private-x","auth":"the-key:wrong"}}`)

	clean := func(what, text string) {
		t.Helper()
		for _, hidden := range []string{secret, masterKey} {
			if i := strings.Index(text, hidden); i >= 0 {
				t.Errorf("%s shows %q", what, text[max(0, i-80):min(len(text), i+40)])
			}
		}
		if text == "" {
			t.Errorf("%s is empty", what)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: patience, Jar: jar}
	answer, err := client.PostForm(c.url("/reverb/login"), url.Values{"password": {secret + "dashboard"}})
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("login: %v %v", answer, err)
	}
	answer.Body.Close()
	for _, path := range []string{
		"/reverb", "/reverb/app.js", "/reverb/session", "/reverb/channels", "/reverb/channels?app=7", "/reverb/users?app=7&channel=news",
		"/reverb/history?seconds=3600&series=connections", "/up", "/ready", "/accept-traffic", "/apps/7/channels", "/metrics", "/reverb/login",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		if path == "/metrics" {
			request.Header.Set("Authorization", "Bearer "+secret+"metrics")
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		clean(path, string(text))
		if path == "/metrics" && answer.StatusCode != http.StatusOK {
			t.Errorf("GET /metrics: %d", answer.StatusCode)
		}
	}
	live, err := client.Get(c.url("/reverb/live"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Body.Close()
	line, err := bufio.NewReader(live.Body).ReadString('\n')
	var frame struct{ Snapshot struct{ PID int } }
	if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &frame) != nil || frame.Snapshot.PID != c.cmd.Process.Pid {
		t.Errorf("live tells %.200q, %v", line, err)
	}
	clean("live", line)
	for _, args := range [][]string{
		{"status"},
		{"status", "--json"},
		{"connections"},
		{"connections", "--json"},
		{"channels", "--json"},
		append([]string{"config", "print"}, args[:2]...), append([]string{"config", "print", "--json"}, args[:2]...), append([]string{"config", "check"}, args[:2]...),
		{"reload"},
		{"dashboard"},
	} {
		clean(strings.Join(args, " "), c.run(t, args...))
	}
	// The alert is told nobody: the log says so, by ten seconds.
	eventually(t, "the log tells of the alert", func() bool { return strings.Contains(c.out.String(), "high_connection_count") })
	clean("the log", c.out.String())
}

// TestPathsLeadNowhere asks the port for files that are not its own.
func TestPathsLeadNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "history.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, startOptions{dir: dir, env: map[string]string{"APP_ENV": "local"}})
	for _, path := range []string{
		"/reverb/../../../../etc/passwd", "/reverb/..%2f..%2f..%2fetc%2fpasswd", "/reverb/%2e%2e/%2e%2e/etc/passwd", "/reverb/....//....//etc/passwd",
		"/reverb/..\\..\\etc\\passwd", "/reverb/assets/index.html", "/reverb/index.html", "/reverb/app.js%00.html", "//etc/passwd", "/../.env", "/.env", "/reverb/history.db",
	} {
		conn := s.connect(t)
		send(t, conn, "GET "+path+" HTTP/1.1\r\nHost: "+s.address()+"\r\nConnection: close\r\n\r\n")
		text, err := io.ReadAll(conn)
		answer := string(text)
		status, _, _ := strings.Cut(strings.TrimPrefix(answer, "HTTP/1.1 "), " ")
		if err != nil || status != "404" && status != "400" || strings.Contains(answer, "root:") {
			t.Errorf("GET %s: %.200q, %v", path, answer, err)
		}
	}
}
