package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"resound/cmd/internal/config"
)

// setup is what one Load starts from.
type setup struct {
	flags   config.Flags
	environ []string
	envFile string // content of .env; empty: no file
	file    string // content of the configuration file; empty: no file
}

// load runs Load in a directory with the files of s.
func (s setup) load(t testing.TB) (*config.Config, []config.Warning, error) {
	t.Helper()
	dir := t.TempDir()
	if s.envFile != "" {
		write(t, filepath.Join(dir, ".env"), s.envFile)
	}
	if s.file != "" {
		s.flags.ConfigFile = "conf.yaml"
		write(t, filepath.Join(dir, "conf.yaml"), s.file)
	}
	return config.Load(s.flags, s.environ, dir)
}

// mustLoad is load for a configuration without errors and warnings.
func (s setup) mustLoad(t testing.TB) *config.Config {
	t.Helper()
	c, warnings, err := s.load(t)
	if err != nil {
		t.Fatalf("Load failed: %v", err)
	}
	if len(warnings) > 0 {
		t.Fatalf("Load warns: %v", warnings)
	}
	return c
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// oneApp are variables of a complete app.
var oneApp = []string{"REVERB_APP_ID=1", "REVERB_APP_KEY=k", "REVERB_APP_SECRET=s"}

func TestDefaults(t *testing.T) {
	c := setup{environ: oneApp}.mustLoad(t)
	s := c.Server
	if s.Host != "0.0.0.0" || s.Port != 8080 || s.Path != "" || s.MaxRequestBytes != 10000 || s.Workers != 0 ||
		s.MaxConnections != 0 || s.MaxOutboundBytes != 65536 || s.MaxPendingPublications != 65536 || s.MaxPendingBytes != 32<<20 ||
		s.HandshakeTimeout != 10*time.Second || s.DrainTimeout != 10*time.Second || !s.VerifyTimestamp || s.ReusePort {
		t.Errorf("server defaults = %+v", s)
	}
	a := c.Apps[0]
	if !a.Enabled || len(a.AllowedOrigins) != 1 || a.AllowedOrigins[0] != "*" || a.PingInterval != time.Minute ||
		a.ActivityTimeout != 30*time.Second || a.MaxConnections != 0 || a.MaxMessageBytes != 10000 || a.CacheTTL != 30*time.Minute ||
		a.AcceptClientEventsFrom != config.ClientEventsFromMembers || !a.ClientEventsPublicChannels || a.EncryptionMasterKey != nil {
		t.Errorf("app defaults = %+v", a)
	}
	if a.MaxPresenceMembers != 0 || a.MaxPresenceMemberBytes != 2048 || a.MaxChannelNameBytes != 200 || a.MaxEventNameBytes != 200 ||
		a.MaxEventChannels != 100 || a.MaxBatchEvents != 10 || a.MaxEventBytes != 0 || a.ClientEventsPerSecond != 0 ||
		a.BackendEventsPerSecond != 0 || a.ReadRequestsPerSecond != 0 || a.MaxSubscriptionsPerConnection != 10_000 || a.MaxCachedBytes != 64<<20 {
		t.Errorf("app limits = %+v", a)
	}
	if want := (config.RateLimiting{MaxAttempts: 60, Decay: time.Minute}); a.RateLimiting != want {
		t.Errorf("rate limiting = %+v, want %+v", a.RateLimiting, want)
	}
	if c.Development || c.ConfigFile != "" || c.EnvFile != "" {
		t.Errorf("development %v, files %q %q", c.Development, c.ConfigFile, c.EnvFile)
	}
}

func TestPrecedence(t *testing.T) {
	host, port, empty := "127.0.0.1", 1, ""
	file := "servers: {reverb: {port: 4, path: /file}}"
	tests := []struct {
		name   string
		setup  setup
		port   int
		path   string
		origin string // of the port
	}{
		{"defaults alone", setup{}, 8080, "", "default"},
		{"the file beats defaults", setup{file: file}, 4, "/file", "conf.yaml servers.reverb.port"},
		{".env beats the file", setup{file: file, envFile: "REVERB_SERVER_PORT=3"}, 3, "/file", ".env REVERB_SERVER_PORT"},
		{
			"the environment beats .env",
			setup{file: file, envFile: "REVERB_SERVER_PORT=3", environ: []string{"REVERB_SERVER_PORT=2"}},
			2, "/file", "environment REVERB_SERVER_PORT",
		},
		{
			"flags beat the environment",
			setup{file: file, environ: []string{"REVERB_SERVER_PORT=2"}, flags: config.Flags{Host: &host, Port: &port}},
			1, "/file", "flag --port",
		},
		{"an empty flag is the default", setup{file: file, flags: config.Flags{Path: &empty}}, 4, "", "conf.yaml servers.reverb.port"},
		{
			"an empty variable hides nothing",
			setup{file: file, envFile: "REVERB_SERVER_PORT=3", environ: []string{"REVERB_SERVER_PORT="}},
			3, "/file", ".env REVERB_SERVER_PORT",
		},
		{
			"null in the environment is the default",
			setup{file: file, environ: []string{"REVERB_SERVER_PORT=(null)", "REVERB_SERVER_PATH=null"}},
			8080, "", "environment REVERB_SERVER_PORT",
		},
		{"null in the file is the default", setup{file: "servers: {reverb: {port: ~}}"}, 8080, "", "conf.yaml servers.reverb.port"},
		{"the first of two equal variables counts", setup{environ: []string{"REVERB_SERVER_PORT=2", "REVERB_SERVER_PORT=9"}}, 2, "", "environment REVERB_SERVER_PORT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.setup.environ = append(tt.setup.environ, oneApp...)
			c := tt.setup.mustLoad(t)
			if c.Server.Port != tt.port || c.Server.Path != tt.path {
				t.Errorf("port %d, path %q; want %d, %q", c.Server.Port, c.Server.Path, tt.port, tt.path)
			}
			if got := c.Origin("servers.reverb.port"); got != tt.origin {
				t.Errorf("origin %q, want %q", got, tt.origin)
			}
		})
	}
}

func TestLaravelEnvFile(t *testing.T) {
	src, err := os.ReadFile("testdata/laravel.env")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"as written":             string(src),
		"with CRLF":              strings.ReplaceAll(string(src), "\n", "\r\n"),
		"with a byte order mark": "\ufeff" + string(src),
	} {
		t.Run(name, func(t *testing.T) {
			c := setup{envFile: content}.mustLoad(t)
			a := c.Apps[0]
			if a.ID != "784312" || a.Key != "qk3hzx7v0ad5tmwy1e9r" || a.Secret != "s3cr$t#784312" {
				t.Errorf("credentials %q %q %q", a.ID, a.Key, a.Secret)
			}
			if c.Server.Hostname != "localhost" || c.Server.Port != 6001 || a.MaxConnections != 0 || !a.RateLimiting.Enabled {
				t.Errorf("server %+v, app %+v", c.Server, a)
			}
			if c.EnvFile != ".env" || c.Origin("apps.apps[0].secret") != ".env REVERB_APP_SECRET" {
				t.Errorf("read %q, secret from %q", c.EnvFile, c.Origin("apps.apps[0].secret"))
			}
		})
	}
}

func TestConfigDump(t *testing.T) {
	c, warnings, err := config.Load(config.Flags{ConfigFile: "testdata/reverb.json"}, nil, ".")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Load: %v, warnings %v", err, warnings)
	}
	a := c.Apps[0]
	if c.Server.Port != 6001 || c.Server.MaxRequestBytes != 20000 || c.Server.Hostname != "ws.example.com" || c.Server.Scaling.Redis.Port != 6379 {
		t.Errorf("server %+v", c.Server)
	}
	if len(c.Apps) != 1 || a.ID != "784312" || a.Secret != "dumped/secret" || a.PingInterval != 25*time.Second || a.RateLimiting.Decay != 90*time.Second ||
		strings.Join(a.AllowedOrigins, " ") != "*.example.com example.com" {
		t.Errorf("apps %+v", c.Apps)
	}
	if got, want := c.Origin("apps.apps[0].key"), "reverb.json apps.apps[0].key"; got != want {
		t.Errorf("origin %q, want %q", got, want)
	}
}

func TestSeveralApps(t *testing.T) {
	c, warnings, err := config.Load(config.Flags{ConfigFile: "testdata/several.yaml"}, nil, ".")
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Load: %v, warnings %v", err, warnings)
	}
	if len(c.Apps) != 2 {
		t.Fatalf("%d apps, want 2", len(c.Apps))
	}
	shop, desk := c.Apps[0], c.Apps[1]
	if shop.ID != "0101" || shop.MaxBatchEvents != 0 || shop.PingInterval != 30*time.Second {
		t.Errorf("first app %+v", shop)
	}
	if desk.ID != "202" || desk.Key != "desk-key" || desk.PingInterval != 30*time.Second || desk.AcceptClientEventsFrom != config.ClientEventsFromNone {
		t.Errorf("second app %+v", desk)
	}
	if c.Server.Path != "/ws" || c.Server.HandshakeTimeout != 5*time.Second || len(c.Server.TrustedProxies) != 2 {
		t.Errorf("server %+v", c.Server)
	}
}

func TestEnvFileFlag(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "prod.env"), strings.Join(oneApp, "\n")+"\nREVERB_SERVER_PORT=7\n")
	write(t, filepath.Join(dir, ".env"), "REVERB_SERVER_PORT=8\n")

	c, _, err := config.Load(config.Flags{EnvFile: "prod.env"}, nil, dir)
	if err != nil || c.Server.Port != 7 || c.EnvFile != "prod.env" {
		t.Errorf("config %+v, error %v", c, err)
	}
	if _, _, err := config.Load(config.Flags{EnvFile: "missing.env"}, nil, dir); err == nil || !strings.Contains(err.Error(), "missing.env") {
		t.Errorf("a missing file gives %v", err)
	}
}

func TestUnreadableConfigFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("#", 1<<20+1))
	for name, want := range map[string]string{
		"missing.yaml": "configuration file: open ",
		"large.yaml":   "larger than 1048576 bytes",
		"":             "",
	} {
		_, _, err := config.Load(config.Flags{ConfigFile: name}, oneApp, dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q gives %v, want %q", name, err, want)
		}
	}
}

func TestDirectoryNamedDotEnvIsNoFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, ".env"), 0o700); err != nil {
		t.Fatal(err)
	}
	if c, _, err := config.Load(config.Flags{}, oneApp, dir); err != nil || c.EnvFile != "" {
		t.Errorf("config %+v, error %v", c, err)
	}
}
