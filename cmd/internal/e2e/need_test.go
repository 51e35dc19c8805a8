package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needPackages makes sure that node and the locked npm packages are there.
func needPackages(t *testing.T) {
	t.Helper()
	var missing []string
	if _, err := exec.LookPath("node"); err != nil {
		missing = append(missing, "node (Debian package nodejs, 20 or later)")
	}
	for _, name := range []string{"axe-core", "laravel-echo", "playwright-core", "pusher", "pusher-js"} {
		if _, err := os.Stat(filepath.Join("js", "node_modules", name, "package.json")); err != nil {
			missing = append(missing, "npm package "+name+" (run npm ci in cmd/internal/e2e/js)")
		}
	}
	skipWithout(t, missing)
}

// needProgram returns the path of a program of the package of its name.
func needProgram(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skipWithout(t, []string{name + " (Debian package " + name + ")"})
	}
	return path
}

// needChromium returns the path of Chromium.
func needChromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	skipWithout(t, []string{"chromium (Debian package chromium, or its path in CHROMIUM)"})
	return ""
}

// skipWithout ends a test that cannot run: as failed in CI, where everything has
// to be there, and as skipped elsewhere.
func skipWithout(t *testing.T, missing []string) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	text := "this test needs " + strings.Join(missing, ", ")
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	t.Skip(text)
}
