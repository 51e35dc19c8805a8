package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write puts a file into a directory of its own and returns the directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// expectWorks subscribes and triggers with an app's credentials.
func (s *server) expectWorks(t *testing.T, app credentials) {
	t.Helper()
	k := openApp(t, s, app, nil)
	k.join(t, "private-check", "")
	rest{s, app}.trigger(t, "private-check", "Checked", `{}`)
	k.expect(t, `{"event":"Checked","data":"{}","channel":"private-check"}`)
}

func TestStartReadsTheEnvFileOfALaravelProject(t *testing.T) {
	t.Parallel()
	dir := write(t, ".env", `APP_NAME=Laravel
APP_ENV=local
APP_URL=http://localhost

BROADCAST_CONNECTION=reverb

REVERB_APP_ID=256983
REVERB_APP_KEY="laravel-key"
REVERB_APP_SECRET='laravel-secret'
REVERB_HOST="localhost"
REVERB_PORT=8080
REVERB_SCHEME=http
REVERB_SERVER_HOST=127.0.0.1
REVERB_SERVER_PORT=0

VITE_REVERB_APP_KEY="${REVERB_APP_KEY}"
VITE_REVERB_HOST="${REVERB_HOST}"
`)
	s := start(t, startOptions{args: []string{}, dir: dir, bare: true})
	s.expectWorks(t, credentials{"256983", "laravel-key", "laravel-secret"})
}

func TestStartServesTheAppsOfAConfigFile(t *testing.T) {
	t.Parallel()
	// The shape of json_encode(config('reverb')).
	dir := write(t, "reverb.json", `{
  "default": "reverb",
  "servers": {"reverb": {
    "host": "127.0.0.1", "port": 0, "path": "", "hostname": null, "options": {"tls": []}, "max_request_size": 10000,
    "scaling": {"enabled": false, "channel": "reverb", "server": {"url": null, "host": "127.0.0.1", "port": "6379", "username": null, "password": null, "database": "0", "timeout": 60}},
    "pulse_ingest_interval": 15, "telescope_ingest_interval": 15}},
  "apps": {"provider": "config", "apps": [
    {"key": "first-key", "secret": "first-secret", "app_id": "1", "options": {"host": null, "port": 443, "scheme": "https", "useTLS": true},
     "allowed_origins": ["*"], "ping_interval": 60, "activity_timeout": 30, "max_connections": null, "max_message_size": 10000,
     "accept_client_events_from": "members", "rate_limiting": {"enabled": false, "max_attempts": 60, "decay_seconds": 60, "terminate_on_limit": false}},
    {"key": "second-key", "secret": "second-secret", "app_id": "2", "options": {"host": null, "port": 443, "scheme": "https", "useTLS": true},
     "allowed_origins": ["*"], "ping_interval": 60, "activity_timeout": 45, "max_message_size": 10000}]}}`)
	s := start(t, startOptions{args: []string{"--config", "reverb.json"}, dir: dir, bare: true})
	first := credentials{"1", "first-key", "first-secret"}
	second := credentials{"2", "second-key", "second-secret"}
	s.expectWorks(t, first)
	s.expectWorks(t, second)

	t.Run("apps do not see each other's channels", func(t *testing.T) {
		one, two := openApp(t, s, first, nil), openApp(t, s, second, nil)
		one.join(t, "news", "")
		two.join(t, "news", "")
		rest{s, first}.trigger(t, "news", "Happened", `"of the first"`)
		rest{s, second}.trigger(t, "news", "Happened", `"of the second"`)
		one.expect(t, `{"event":"Happened","data":"\"of the first\"","channel":"news"}`)
		two.expect(t, `{"event":"Happened","data":"\"of the second\"","channel":"news"}`)
		rest{s, first}.expect(t, "/channels/news", "subscription_count", `{"occupied":true,"subscription_count":1}`)
	})
	t.Run("an app's secret does not open another app", func(t *testing.T) {
		mixed := rest{s, credentials{first.id, second.key, second.secret}}
		if got := mixed.get(t, "/channels", ""); got.status != 401 {
			t.Errorf("GET /channels = %d %s, want 401", got.status, got.body)
		}
	})
	t.Run("each app has its own settings", func(t *testing.T) {
		k := dial(t, s, second, nil)
		if got := k.next(t); !strings.Contains(got, `\"activity_timeout\":45`) {
			t.Errorf("received %s, want activity_timeout 45", got)
		}
	})
}

func TestStartMakesDevelopmentCredentials(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{bare: true})
	found := s.expectOutput(t, `REVERB_APP_ID=(\S+)\s+REVERB_APP_KEY=(\S+)\s+REVERB_APP_SECRET=(\S+)\s`)
	s.expectWorks(t, credentials{found[1], found[2], found[3]})
	s.expectOutput(t, `(?i)not\s+for\s+production`)
}

func TestStartRefusesAWrongConfiguration(t *testing.T) {
	t.Parallel()
	app := testApp.environment()
	with := func(name, value string) map[string]string {
		env := map[string]string{name: value}
		for k, v := range app {
			if _, set := env[k]; !set {
				env[k] = v
			}
		}
		return env
	}
	tests := []struct {
		name string
		args []string
		env  map[string]string
		code int
		says []string
	}{
		{"an unknown flag", []string{"start", "--bogus"}, app, 2, []string{"--bogus"}},
		{"a port that is no number", []string{"start", "--port", "http"}, app, 2, []string{"port", "http"}},
		{"an argument too many", []string{"start", "now"}, app, 2, []string{"now"}},
		{"an unknown command", []string{"begin"}, app, 2, []string{"begin"}},
		{"a port out of range", []string{"start", "--port", "70000"}, app, 1, []string{"port", "70000", "65535"}},
		{"a key without its secret", append([]string{"start"}, anyPort...), map[string]string{"REVERB_APP_KEY": "k", "REVERB_APP_ID": "1"}, 1, []string{"REVERB_APP_SECRET"}},
		{"a setting of the wrong type", append([]string{"start"}, anyPort...), with("REVERB_APP_MAX_MESSAGE_SIZE", "plenty"), 1, []string{"REVERB_APP_MAX_MESSAGE_SIZE", "plenty"}},
		{"a setting out of range", append([]string{"start"}, anyPort...), with("REVERB_APP_ACTIVITY_TIMEOUT", "0"), 1, []string{"REVERB_APP_ACTIVITY_TIMEOUT"}},
		{"a config file that is not there", []string{"start", "--config", "missing.json"}, app, 1, []string{"missing.json"}},
		{"an env file that is not there", []string{"start", "--env-file", "missing.env"}, app, 1, []string{"missing.env"}},
		{"a host that is not of this machine", []string{"start", "--host", "192.0.2.1", "--port", "0"}, app, 1, []string{"192.0.2.1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := launch(t, command(t, "", tt.env, tt.args...))
			if code := p.wait(t); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			text := p.out.String()
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("printed %q, want it to name %q", text, want)
				}
			}
			if strings.Contains(text, "goroutine ") || strings.Contains(text, testApp.secret) {
				t.Errorf("printed %q, want neither a stack trace nor a secret", text)
			}
		})
	}
}

func TestStartReportsEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	dir := write(t, "reverb.yaml", `
servers: {reverb: {host: 127.0.0.1, port: 99999, max_request_size: -1}}
apps: {apps: [{app_id: "1", key: k, secret: s, ping_interval: soon, alowed_origins: ["*"]}]}
`)
	p := launch(t, command(t, dir, nil, "start", "--config", "reverb.yaml"))
	if code := p.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	for _, want := range []string{"99999", "max_request_size", "ping_interval", "alowed_origins", `did you mean`} {
		if !strings.Contains(p.out.String(), want) {
			t.Errorf("printed %q, want it to name %q", p.out.String(), want)
		}
	}
}

func TestStartRefusesAPortInUse(t *testing.T) {
	t.Parallel()
	s := start(t, startOptions{})
	p := launch(t, command(t, "", testApp.environment(), append([]string{"start"}, s.samePort()...)...))
	if code := p.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(p.out.String(), "in use") {
		t.Errorf("printed %q, want it to say that the address is in use", p.out.String())
	}
}
