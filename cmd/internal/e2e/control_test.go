package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// commanded is a server with a control socket that the test knows.
type commanded struct {
	*server
	dir string // working directory of the server and the commands
	env map[string]string
}

// startCommanded starts a server in dir, which may be empty for one of its own.
func startCommanded(t *testing.T, o startOptions) *commanded {
	t.Helper()
	c := &commanded{dir: o.dir, env: map[string]string{"RESOUND_CONTROL": socketPath(t)}}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	if !o.bare {
		maps.Copy(c.env, testApp.environment())
	}
	maps.Copy(c.env, o.env)
	o.dir, o.env = c.dir, c.env
	c.server = start(t, o)
	return c
}

// socketPath is a path that is short enough for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "resound-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "c.sock")
}

// run runs a command to its end and returns what it printed.
func run(t *testing.T, dir string, env map[string]string, wantCode int, args ...string) string {
	t.Helper()
	p := launch(t, command(t, dir, env, args...))
	if code := p.wait(t); code != wantCode {
		t.Fatalf("resound %s: exit code %d, want %d; output:\n%s", strings.Join(args, " "), code, wantCode, p.out.String())
	}
	return p.out.String()
}

func (c *commanded) run(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, c.dir, c.env, 0, args...)
}

// runJSON decodes what a command prints.
func (c *commanded) runJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	text := c.run(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("resound %v printed %s: %v", args, text, err)
	}
}

// expectSays fails unless a text has all of the parts.
func expectSays(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("it prints\n%s\nwant it to say %q", text, part)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	open(t, c.server).join(t, "news", "")
	expectSays(t, c.run(t, "status"), "running", c.address(), "pid "+strconv.Itoa(c.cmd.Process.Pid), "1 of", "workers")
	var s struct {
		Version, State string
		PID            int
		Connections    struct{ Open int }
		Channels       int
		Totals         map[string]uint64
		Process        map[string]float64
	}
	c.runJSON(t, &s, "status")
	if s.State != "running" || s.PID != c.cmd.Process.Pid || s.Version == "" || s.Connections.Open != 1 || s.Channels != 1 ||
		s.Totals["messages_received"] != 1 || s.Totals["messages_sent"] != 2 || s.Process["memory_bytes"] < 1<<20 {
		t.Errorf("status is %+v", s)
	}
}

func TestConnectionsCommand(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	member, other := open(t, c.server), open(t, c.server)
	member.join(t, "presence-chat", `{"user_id":"ada"}`)
	member.join(t, "news", "")
	gone := open(t, c.server)
	gone.close(t)
	type row struct {
		ID      string   `json:"socket_id"`
		App     string   `json:"app"`
		User    string   `json:"user"`
		Remote  string   `json:"remote"`
		Age     *int     `json:"age_seconds"`
		Idle    *float64 `json:"idle_seconds"`
		Subs    int      `json:"subscriptions"`
		Queued  *int     `json:"queued_bytes"`
		RTT     *float64 `json:"rtt_ms"`
		Carried string   `json:"transport"`
	}
	rows := func(args ...string) map[string]row {
		t.Helper()
		found := map[string]row{}
		for line := range strings.Lines(c.run(t, append([]string{"connections", "--json"}, args...)...)) {
			var r row
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("line %q: %v", line, err)
			}
			found[r.ID] = r
		}
		return found
	}
	eventually(t, "the closed connection is gone", func() bool { return len(rows()) == 2 })
	got, ok := rows()[member.id]
	if !ok || got.App != testApp.id || got.User != "ada" || !strings.HasPrefix(got.Remote, "127.0.0.1:") || got.Subs != 2 ||
		got.Age == nil || got.Idle == nil || got.RTT == nil || got.Queued == nil || got.Carried != "websocket" {
		t.Errorf("the member's connection is %+v", got)
	}
	if got := rows("--channel", "presence-chat", "--app", testApp.id); len(got) != 1 || got[member.id].ID == "" {
		t.Errorf("connections of presence-chat are %v", got)
	}
	text := c.run(t, "connections")
	expectSays(t, text, "SOCKET ID", "RTT", member.id, other.id, "ada", "2 connections", "CLOSED WITH", "1000", "closed by the peer")
	expectSays(t, c.run(t, "connections", "--limit", "1"), "… and 1 more")
	expectSays(t, run(t, c.dir, c.env, 1, "connections", "--app", "nobody"), "no app has this id")
	run(t, c.dir, c.env, 2, "connections", "--limit", "-1")
	run(t, c.dir, c.env, 2, "connections", "--sort", "beauty")
	sorted := c.run(t, "connections", "--sort", "subs")
	if strings.Index(sorted, member.id) > strings.Index(sorted, other.id) {
		t.Errorf("by subscriptions they are\n%s", sorted)
	}
}

func TestWatchedConnections(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	p := launch(t, command(t, c.dir, c.env, "connections", "--watch"))
	p.expectOutput(t, `(?s)0 connections.*0 connections`)
	open(t, c.server)
	p.expectOutput(t, `1 connection\n`)
	p.signal(t, syscall.SIGINT)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C, want 0", code)
	}
}

func TestChannelsCommand(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	for i := range 3 {
		k := open(t, c.server)
		k.join(t, "news", "")
		k.join(t, "presence-chat", fmt.Sprintf(`{"user_id":"u%d"}`, i/2))
	}
	expectSays(t, c.run(t, "channels"), "CHANNEL", "news", "presence-chat", "2 channels")
	expectSays(t, c.run(t, "channels", "--limit", "1"), "… and 1 more", "2 channels")
	got := c.run(t, "channels", "--prefix", "presence-", "--app", testApp.id, "--json")
	want := fmt.Sprintf(`{"app":%q,"channel":"presence-chat","subscriptions":3,"users":2}`+"\n", testApp.id)
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	text := launch(t, command(t, c.dir, c.env, "tail", "--channel", "private-*"))
	lines := launch(t, command(t, c.dir, c.env, "tail", "--event", "client-*", "--json"))
	text.expectOutput(t, "Following")
	k, other := open(t, c.server), open(t, c.server)
	k.join(t, "private-x", "")
	other.join(t, "private-x", "")
	// Nothing says that the second has begun: it is told again until it has.
	for n := 0; lines.out.String() == "" && n < 1000; n++ {
		k.send(t, `{"event":"client-typing","channel":"private-x","data":{"a":1}}`)
		other.next(t)
	}
	c.api().trigger(t, "private-x", "Hap\u001bpened", `{"b":2}`)
	c.api().trigger(t, "news", "NotShown", `{}`)
	text.expectOutput(t, `api\s+`+testApp.id+`\s+private-x\s+"Hap\\x1bpened"\s+\{"b":2\}`)
	text.expectOutput(t, `client\s+`+testApp.id+`\s+private-x\s+client-typing\s+\{"a":1\}`)
	found := lines.expectOutput(t, `(\{.*\})\n`)
	var e map[string]any
	if err := json.Unmarshal([]byte(found[1]), &e); err != nil {
		t.Fatal(err)
	}
	if e["source"] != "client" || e["event"] != "client-typing" || e["socket_id"] != k.id || fmt.Sprint(e["data"]) != "map[a:1]" {
		t.Errorf("the event is %v", e)
	}
	text.signal(t, syscall.SIGINT)
	if code := text.wait(t); code != 0 || strings.Contains(text.out.String(), "NotShown") {
		t.Errorf("exit code %d; output:\n%s", code, text.out.String())
	}
	c.signal(t, syscall.SIGTERM)
	if code := lines.wait(t); code != 1 {
		t.Errorf("exit code %d after the server ended, want 1", code)
	}
	expectSays(t, lines.out.String(), "the server has ended")
}

func TestTriggerCommand(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{})
	k := open(t, c.server)
	k.join(t, "news", "")
	expectSays(t, c.run(t, "trigger", "news", `App\Events\E`, `{"a":"ü"}`, "--port", strconv.Itoa(c.port)), "Sent", "subscriptions: 1")
	k.expect(t, `{"event":"App\\Events\\E","data":"{\"a\":\"ü\"}","channel":"news"}`)
	k.join(t, "presence-x", `{"user_id":1}`)
	expectSays(t, c.run(t, "trigger", "presence-x", "e", "plain text", "--url", c.url("")), "users: 1")
	k.expect(t, `{"event":"e","data":"plain text","channel":"presence-x"}`)

	wrong := maps.Clone(c.env)
	wrong["REVERB_APP_SECRET"] = "wrong"
	text := run(t, c.dir, wrong, 1, "trigger", "news", "e", "{}", "--url", c.url(""))
	expectSays(t, text, "401")
	if strings.Contains(text, "auth_signature=") {
		t.Errorf("it prints the signature: %s", text)
	}
	expectSays(t, run(t, c.dir, c.env, 2, "trigger", "news"), "CHANNEL, EVENT, DATA")
	expectSays(t, run(t, c.dir, c.env, 2, "trigger", "news", "e", "{}", "--app", "nobody", "--url", c.url("")), testApp.id)
}

func TestTriggerFindsADevelopmentApp(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{bare: true})
	expectSays(t, c.run(t, "trigger", "news", "e", "{}"), "Sent e to news")
}

func TestStopCommand(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1"}})
	k := open(t, c.server)
	expectSays(t, c.run(t, "stop"), "has stopped")
	select {
	case <-c.done:
	default:
		t.Error("stop returned before the process had ended")
	}
	if code := c.wait(t); code != 0 {
		t.Errorf("the server's exit code is %d, want 0", code)
	}
	k.expectClose(t, 4200)
	expectSays(t, run(t, c.dir, c.env, 3, "stop"), "no server is running")
	if _, err := os.Lstat(c.env["RESOUND_CONTROL"]); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestReloadCommand(t *testing.T) {
	t.Parallel()
	second := credentials{"2", "second-key", "second-secret"}
	file := func(apps ...map[string]any) string {
		text, err := json.Marshal(map[string]any{
			"servers": map[string]any{"reverb": map[string]any{"host": "127.0.0.1", "port": 0}},
			"apps":    map[string]any{"apps": apps},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	dir := write(t, "reverb.json", file(testApp.entry(nil)))
	replace := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "reverb.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := startCommanded(t, startOptions{dir: dir, bare: true, args: []string{"--config", "reverb.json"}})
	k := open(t, c.server)
	k.join(t, "news", "")

	replace(file(testApp.entry(map[string]any{"allowed_origins": []string{"example.com"}}), second.entry(nil)))
	expectSays(t, c.run(t, "reload"), "apps added: 2", "apps changed: "+testApp.id)
	c.expectWorks(t, second)
	refused := dial(t, c.server, testApp, http.Header{"Origin": {"https://elsewhere.com"}})
	refused.expectError(t, 4009, "Origin not allowed")

	replace(strings.Replace(file(second.entry(nil)), `"port":0`, `"port":99999`, 1))
	expectSays(t, run(t, c.dir, c.env, 1, "reload"), "99999", "the old configuration stays")
	c.expectWorks(t, second)

	// The signal does the same, and the log says so.
	replace(file(testApp.entry(nil), second.entry(map[string]any{"enabled": false})))
	c.signal(t, syscall.SIGHUP)
	c.expectOutput(t, `configuration reloaded.*"changed":\["`+testApp.id+`","2"\]`)
	dial(t, c.server, second, nil).expectError(t, 4003, "Application is disabled")

	c.api().trigger(t, "news", "StillHere", `{}`)
	k.expect(t, `{"event":"StillHere","data":"{}","channel":"news"}`)
}

func TestNoServerIsRunning(t *testing.T) {
	t.Parallel()
	left := socketPath(t)
	l, err := net.Listen("unix", left)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for _, args := range [][]string{{"status"}, {"connections"}, {"channels"}, {"tail"}, {"reload"}, {"stop"}, {"trigger", "a", "b", "c"}} {
		expectSays(t, run(t, "", map[string]string{"RESOUND_CONTROL": left}, 3, args...), "no server is running")
		expectSays(t, run(t, "", nil, 3, args...), "no server is running on port 8080")
	}
}

// TestControlSockets is about who gets which socket.
func TestControlSockets(t *testing.T) {
	t.Parallel()
	run3 := func(env map[string]string, code int, args ...string) string {
		t.Helper()
		return run(t, "", env, code, args...)
	}
	home := filepath.Dir(socketPath(t))
	env := func(more map[string]string) map[string]string {
		all := maps.Clone(testApp.environment())
		all["XDG_RUNTIME_DIR"] = home
		maps.Copy(all, more)
		return all
	}
	one := start(t, startOptions{env: env(nil)})
	two := start(t, startOptions{env: env(nil)})
	expectSays(t, run3(env(nil), 0, "status", "--port", strconv.Itoa(one.port)), one.address())
	expectSays(t, run3(env(nil), 0, "status", "--port", strconv.Itoa(two.port)), two.address())
	expectSays(t, run3(env(nil), 3, "status"), "port 8080", fmt.Sprintf("--port %d", one.port))
	expectSays(t, run3(env(map[string]string{"REVERB_SERVER_PORT": "0"}), 2, "status"), "several servers")

	path := filepath.Join(home, "own.sock")
	own := env(map[string]string{"RESOUND_CONTROL": path})
	three := start(t, startOptions{env: own})
	p := launch(t, command(t, "", own, append([]string{"start"}, anyPort...)...))
	if code := p.wait(t); code != 1 {
		t.Errorf("a second server with the socket ended with %d, want 1", code)
	}
	expectSays(t, p.out.String(), path, "another server")
	expectSays(t, run3(own, 0, "status"), three.address())

	// What a killed server leaves behind is replaced.
	three.signal(t, syscall.SIGKILL)
	three.wait(t)
	four := start(t, startOptions{env: own})
	expectSays(t, run3(own, 0, "status"), four.address())
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v, %v, want 0600", info.Mode(), err)
	}
}

func TestKeysCommand(t *testing.T) {
	t.Parallel()
	text := run(t, "", nil, 0, "keys")
	expectSays(t, text, "REVERB_APP_ID=", "REVERB_APP_KEY=", "REVERB_APP_SECRET=")
	if again := run(t, "", nil, 0, "keys"); again == text {
		t.Error("twice the same keys")
	}
	var k map[string]string
	if err := json.Unmarshal([]byte(run(t, "", nil, 0, "keys", "--json")), &k); err != nil || len(k["key"]) != 20 || len(k["secret"]) != 20 || len(k["app_id"]) != 6 {
		t.Errorf("got %v, %v", k, err)
	}
}

func TestInstallCommand(t *testing.T) {
	t.Parallel()
	dir := write(t, ".env", "APP_NAME=Laravel\nBROADCAST_CONNECTION=log\nREVERB_APP_ID=7\n")
	read := func() string {
		text, err := os.ReadFile(filepath.Join(dir, ".env"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	expectSays(t, run(t, dir, nil, 0, "install"), "Added", "Left as they are", "REVERB_APP_ID", "Set BROADCAST_CONNECTION=reverb")
	first := read()
	expectSays(t, first, "REVERB_APP_ID=7\n", "REVERB_APP_KEY=", "VITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"\n", "BROADCAST_CONNECTION=log\n")
	run(t, dir, nil, 0, "install")
	if read() != first {
		t.Errorf("a second install changed the file to\n%s", read())
	}
	expectSays(t, run(t, dir, nil, 0, "install", "--force"), "Replaced")
	if second := read(); strings.Contains(second, "REVERB_APP_ID=7\n") || !strings.Contains(second, "BROADCAST_CONNECTION=reverb\n") || !strings.Contains(second, "APP_NAME=Laravel\n") {
		t.Errorf("the file is\n%s", second)
	}
	expectSays(t, run(t, "", nil, 1, "install"), ".env.example")

	// What install wrote starts a server.
	s := start(t, startOptions{dir: dir, bare: true})
	if strings.Contains(s.out.String(), "WARN") {
		t.Errorf("the server warns:\n%s", s.out.String())
	}
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	env := testApp.environment()
	env["RESOUND_DRAIN_TIMEOUT"] = "7"
	expectSays(t, run(t, "", env, 0, "config", "check"), "fine", "1 apps")
	text := run(t, "", env, 0, "config", "print")
	expectSays(t, text, "KEY", "ORIGIN", "servers.reverb.drain_timeout", "7s", "environment RESOUND_DRAIN_TIMEOUT", "********")
	if strings.Contains(text, testApp.secret) {
		t.Error("it prints the secret")
	}
	var settings []struct{ Key, Value, Origin string }
	if err := json.Unmarshal([]byte(run(t, "", env, 0, "config", "print", "--json")), &settings); err != nil || len(settings) < 50 {
		t.Errorf("%d settings, %v", len(settings), err)
	}
	env["RESOUND_DRAIN_TIMEOUT"] = "soon"
	env["REVERB_SERVER_PORT"] = "99999"
	expectSays(t, run(t, "", env, 1, "config", "check"), "soon", "99999")
	expectSays(t, run(t, "", nil, 2, "config"), "check or print")
	expectSays(t, run(t, "", nil, 2, "config", "prnt"), "prnt")
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	expectSays(t, run(t, "", nil, 0, "--help"), "status", "connections", "channels", "tail", "trigger", "reload", "stop", "config", "keys", "install", "completion")
	for _, name := range []string{"status", "connections", "channels", "tail", "trigger", "reload", "stop", "keys", "install"} {
		expectSays(t, run(t, "", nil, 0, name, "--help"), "Usage:", "Examples:", "resound "+name)
		run(t, "", nil, 2, name, "--bogus")
	}
	expectSays(t, run(t, "", nil, 2, "status", "now"), "takes no argument")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		expectSays(t, run(t, "", nil, 0, "completion", shell), "resound")
	}
	c := startCommanded(t, startOptions{})
	expectSays(t, c.run(t, "__complete", "connections", "--app", ""), testApp.id)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{env: map[string]string{"RESOUND_METRICS_COMPAT": "soketi"}})
	open(t, s).join(t, "news", "")
	s.api().trigger(t, "news", "e", "{}")
	got := request(t, http.MethodGet, s.url("/metrics"), "")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("GET /metrics = %d %s", got.status, got.header.Get("Content-Type"))
	}
	expectSays(t, got.body, "# HELP resound_connections ", `resound_connections{app="`+testApp.id+`"} 1`, `resound_events_triggered_total{app="`+testApp.id+`"} 1`,
		fmt.Sprintf(`soketi_connected{app_id=%q,port="%d"} 1`, testApp.id, s.port), `resound_reactor_mailbox_items{reactor="0"}`, "process_resident_memory_bytes", "go_goroutines")
	if status := s.status("/accept-traffic"); status != http.StatusOK {
		t.Errorf("GET /accept-traffic = %d, want 200", status)
	}

	guarded := start(t, startOptions{env: map[string]string{"RESOUND_MONITORING_METRICS_TOKEN": "sesame"}})
	if got := request(t, http.MethodGet, guarded.url("/metrics"), ""); got.status != http.StatusUnauthorized {
		t.Errorf("GET /metrics without the token = %d, want 401", got.status)
	}
	q, err := http.NewRequest(http.MethodGet, guarded.url("/metrics"), nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer sesame")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("GET /metrics with the token = %d, %v", response.StatusCode, err)
	}
}
