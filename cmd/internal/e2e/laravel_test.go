package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blocks are the examples of docs/LARAVEL.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/LARAVEL.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, found := range regexp.MustCompile("(?s)\n```"+language+"\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, found[1]+"\n")
	}
	if len(all) == 0 {
		t.Fatalf("got no example in %s", language)
	}
	return all
}

// TestLaravelExamplesAreConfigurations checks each example as a user would, and
// wants no warning of it.
func TestLaravelExamplesAreConfigurations(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, dir string, args ...string) {
		t.Helper()
		out := run(t, dir, nil, 0, append([]string{"config", "check", "--credentials"}, args...)...)
		if strings.Contains(out, "WARN") {
			t.Errorf("got %s, want no warning", out)
		}
	}
	for i, text := range blocks(t, "dotenv") {
		t.Run(fmt.Sprintf(".env %d", i+1), func(t *testing.T) { check(t, write(t, ".env", text)) })
	}
	for i, text := range blocks(t, "yaml") {
		t.Run(fmt.Sprintf("yaml %d", i+1), func(t *testing.T) { check(t, write(t, "reverb.yaml", text), "--config", "reverb.yaml") })
	}
}

// TestLaravelNamesAreKnown wants each variable that docs/LARAVEL.md names for this
// server to be in docs/CONFIG.md, or to be Laravel's.
func TestLaravelNamesAreKnown(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/LARAVEL.md")
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../../../docs/CONFIG.md")
	if err != nil {
		t.Fatal(err)
	}
	laravels := map[string]bool{"REVERB_PORT": true, "REVERB_SCHEME": true, "REDIS_HOST": true}
	for _, name := range regexp.MustCompile(`\b(?:VITE_)?(?:RESOUND|REVERB|REDIS)_[A-Z_]*[A-Z]\b`).FindAllString(string(text), -1) {
		if strings.HasPrefix(name, "VITE_") || laravels[name] {
			continue
		}
		if !strings.Contains(string(reference), "`"+name+"`") {
			t.Errorf("%s is named, and docs/CONFIG.md does not know it", name)
		}
	}
}

// TestLaravelLocationOfNginx puts a server behind the lines for the nginx of an
// application.
func TestLaravelLocationOfNginx(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("nginx")
	if err != nil {
		skipWithout(t, []string{"nginx (Debian package nginx)"})
	}
	s := start(t, startOptions{})
	location := strings.ReplaceAll(blocks(t, "nginx")[0], "127.0.0.1:8080", s.address())
	// The kernel chooses a port; should somebody take it before nginx does, it says so.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := &server{port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
	server {
		listen %[2]s;
		location / { return 200 "the application"; }
%[3]s
	}
}
`, dir, front.address(), location)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	front.process = launch(t, exec.Command(path, "-p", dir, "-c", file))
	eventually(t, "nginx answers", func() bool { return front.status("/") == http.StatusOK })
	front.expectWorks(t, testApp)
	if got := request(t, http.MethodGet, front.url("/orders/app"), "").body; got != "the application" {
		t.Errorf("GET /orders/app: got %q, want the application's", got)
	}
	if got := request(t, http.MethodGet, front.url("/reverb"), ""); got.body == "the application" {
		t.Error("GET /reverb: got the application's, want the dashboard")
	}
}
