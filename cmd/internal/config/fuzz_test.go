package config

import (
	"os"
	"strings"
	"testing"
)

// checkGathered holds what is true of every configuration without an error:
// each value is in its range.
func checkGathered(t *testing.T, c *Config, r *report) {
	t.Helper()
	if r.err() != nil {
		return
	}
	if c.Server.Port < 0 || c.Server.Port > 65535 || c.Server.MaxOutboundBytes < 4096 || len(c.Apps) == 0 {
		t.Fatalf("server %+v, %d apps", c.Server, len(c.Apps))
	}
	for _, a := range c.Apps {
		if a.ID == "" || a.Key == "" || a.Secret == "" || a.ActivityTimeout <= 0 || a.MaxMessageBytes < 1 {
			t.Fatalf("app %+v", a)
		}
	}
}

// FuzzEnv: no .env panics.
func FuzzEnv(f *testing.F) {
	src, err := os.ReadFile("testdata/laravel.env")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Add([]byte("REVERB_SERVER_PORT=99999\nRESOUND_TRUSTED_PROXIES=1.2.3.4/99,fe80::1%eth0\nRESOUND_APP_CACHE_TTL=-9e99"))
	f.Add([]byte("REVERB_APP_ID=\"\nREVERB_APP_KEY='"))
	f.Fuzz(func(t *testing.T, src []byte) {
		r := &report{}
		checkGathered(t, gather(Flags{}, nil, content{".env", src}, content{}, r), r)
	})
}

// FuzzConfigFile: no configuration file panics.
func FuzzConfigFile(f *testing.F) {
	for _, name := range []string{"testdata/reverb.json", "testdata/several.yaml"} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Add([]byte(`{"servers":{"reverb":[]},"apps":{"apps":{"0":{"app_id":1.5,"key":[],"secret":{}}}}}`))
	f.Add([]byte("apps: {apps: [~, 1, {allowed_origins: {'0': {}}}]}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		// The YAML library takes quadratic time for deep nesting.
		if strings.Count(string(src), "[")+strings.Count(string(src), "{") > 200 || len(src) > 8192 {
			t.Skip("only slow")
		}
		r := &report{}
		checkGathered(t, gather(Flags{}, nil, content{}, content{"conf.yaml", src}, r), r)
	})
}
