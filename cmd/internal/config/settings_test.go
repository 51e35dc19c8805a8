package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadText loads a YAML file with nothing else around.
func loadText(t *testing.T, text string, environ ...string) *Config {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(Flags{ConfigFile: "c.yaml"}, environ, dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSettingsShowEveryValueAndNoSecret(t *testing.T) {
	c := loadText(t, `
servers: {reverb: {port: 9000, monitoring: {metrics: {token: tell-nobody}}, trusted_proxies: [10.0.0.0/8], scaling: {server: {password: tell-nobody}}}}
apps: {apps: [{app_id: "1", key: k, secret: tell-nobody, encryption_master_key: dGVsbC1ub2JvZHktdGVsbC1ub2JvZHktdGVsbC1ub2I=,
  webhooks: [{url: "https://example.com/tell-nobody", headers: {Authorization: tell-nobody}}]}]}
`, "RESOUND_DRAIN_TIMEOUT=3")
	all := c.Settings()
	for _, s := range all {
		if strings.Contains(s.Value, "tell-nobody") {
			t.Errorf("%s shows its secret", s.Key)
		}
	}
	for _, want := range []Setting{
		{"servers.reverb.port", "9000", "c.yaml servers.reverb.port"},
		{"servers.reverb.drain_timeout", "3s", "environment RESOUND_DRAIN_TIMEOUT"},
		{"servers.reverb.trusted_proxies", "10.0.0.0/8", "c.yaml servers.reverb.trusted_proxies"},
		{"servers.reverb.monitoring.metrics.access", "local", "default"},
		{"servers.reverb.monitoring.metrics.token", mask, "c.yaml servers.reverb.monitoring.metrics.token"},
		{"servers.reverb.options.tls.passphrase", "", "default"},
		{"apps.apps[0].key", "k", "c.yaml apps.apps[0].key"},
		{"apps.apps[0].secret", mask, "c.yaml apps.apps[0].secret"},
		{"apps.apps[0].accept_client_events_from", "members", "default"},
		{"apps.apps[0].webhooks[0].headers.Authorization", mask, ""},
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%+v is not among the settings", want)
		}
	}
}

func TestSucceed(t *testing.T) {
	const before = `
servers: {reverb: {port: 9000, drain_timeout: 5}}
apps: {apps: [{app_id: "1", key: k, secret: s}, {app_id: "2", key: k2, secret: s2}, {app_id: "4", key: k4, secret: s4}]}
`
	const after = `
servers: {reverb: {port: 9001, drain_timeout: 6}}
apps: {apps: [{app_id: "1", key: k, secret: s, ping_interval: 20}, {app_id: "3", key: k3, secret: s3}, {app_id: "4", key: k4, secret: s4}]}
`
	old := loadText(t, before)
	if got := loadText(t, before).Succeed(old); fmt.Sprint(got) != fmt.Sprint(Difference{}) {
		t.Errorf("the same configuration differs: %+v", got)
	}
	next := loadText(t, after)
	got := next.Succeed(old)
	want := Difference{
		Added: []string{"3"}, Changed: []string{"1"}, Removed: []string{"2"},
		Live: []string{"servers.reverb.drain_timeout"}, Restart: []string{"servers.reverb.port"},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if next.Server.Port != 9000 || next.Server.DrainTimeout != 6*time.Second {
		t.Errorf("in force are port %d, drain_timeout %v; want that of before, and the new one", next.Server.Port, next.Server.DrainTimeout)
	}
	if again := loadText(t, after).Succeed(next); fmt.Sprint(again.Restart) != fmt.Sprint(want.Restart) || again.Live != nil {
		t.Errorf("the same a second time: %+v, want the port to wait still", again)
	}
}

func TestDevelopmentAppStays(t *testing.T) {
	old, next := loadText(t, ""), loadText(t, "")
	if !old.Development || old.Apps[0].Key == next.Apps[0].Key {
		t.Fatal("two loads do not make two development apps")
	}
	if got := next.Succeed(old); fmt.Sprint(got) != fmt.Sprint(Difference{}) {
		t.Errorf("got %+v", got)
	}
}

func TestLocateWorksWithMistakesElsewhere(t *testing.T) {
	dir := t.TempDir()
	env := "REVERB_SERVER_PORT=9123\nRESOUND_CONTROL=/run/x.sock\nREVERB_APP_KEY=half\nRESOUND_WORKERS=many\n"
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	if port, control := Locate(Flags{}, nil, dir); port != 9123 || control != "/run/x.sock" {
		t.Errorf("got %d %q", port, control)
	}
	if port, control := Locate(Flags{ConfigFile: "missing.yaml"}, []string{"REVERB_SERVER_PORT=1"}, t.TempDir()); port != 1 || control != "" {
		t.Errorf("got %d %q", port, control)
	}
}

func TestKeysOfTheServerAtTheTopAreMisplaced(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "c.yaml"), []byte("monitoring: {metrics: {access: public}}\nmetrics_compat: soketi\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, warnings, err := Load(Flags{ConfigFile: "c.yaml"}, nil, dir)
	if err != nil || len(warnings) != 2 || !strings.Contains(fmt.Sprint(warnings), belongsToServer) {
		t.Errorf("got %v, %v", warnings, err)
	}
}

func TestFormatValue(t *testing.T) {
	seven, none := 7, (*int)(nil)
	some := &seven
	text, flag, long, words := "x", true, 90*time.Second, []string{"a", "b"}
	for _, row := range []struct {
		field any
		want  string
	}{
		{&text, "x"}, {&seven, "7"}, {&flag, "true"}, {&long, "1m30s"}, {&words, "a,b"}, {&some, "7"}, {&none, ""},
	} {
		if got := formatValue(row.field); got != row.want {
			t.Errorf("%T: got %q, want %q", row.field, got, row.want)
		}
	}
}
