package e2e

import (
	"archive/tar"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// releaseVersion is one that Debian writes otherwise.
const (
	releaseVersion = "1.2.0-rc.1"
	debVersion     = "1.2.0~rc.1"
)

// releaseDir is where the release that all tests look at lies. TestMain removes it.
var releaseDir = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(binary), "dist")
	cmd := exec.Command(filepath.Join(scripts, "release"))
	cmd.Env = append(os.Environ(), "VERSION=v"+releaseVersion, "ARCHES="+runtime.GOARCH, "OUT="+dir, "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("scripts/release: %w\n%s", err, out)
	}
	return dir, nil
})

// release builds a release for this architecture and returns the files.
func release(t *testing.T) (tarball, deb string) {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		skipWithout(t, []string{"dpkg-deb (of Debian and its relatives)"})
	}
	dir, err := releaseDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "resound-"+releaseVersion+"-linux-"+runtime.GOARCH+".tar.gz"),
		filepath.Join(dir, "resound_"+debVersion+"_"+runtime.GOARCH+".deb")
}

// unpack writes the files of a tarball into a folder and returns its one entry.
func unpack(t *testing.T, tarball string) (folder string) {
	t.Helper()
	f, err := os.Open(tarball)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 1_700_000_000 {
			t.Errorf("%s: got owner %d:%d and time %s, want root and SOURCE_DATE_EPOCH", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		to, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, h.FileInfo().Mode().Perm())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(to, r); err != nil {
			t.Fatal(err)
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "resound-"+releaseVersion+"-linux-"+runtime.GOARCH)
}

// expectStatic wants a program that needs nothing of the host it runs on.
func expectStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("%s: got a program that is linked dynamically, want a static one", path)
		}
	}
}

func TestTarballHasWhatAnOperatorNeeds(t *testing.T) {
	t.Parallel()
	tarball, _ := release(t)
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = filepath.Dir(tarball)
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK\n") != 2 {
		t.Errorf("sha256sum: got %v and %s, want two files that are right", err, out)
	}
	folder := unpack(t, tarball)
	for _, name := range []string{
		"README.md", "CHANGELOG.md", "LICENSE", "systemd/resound.service", "sysctl/99-resound.conf", "limits/99-resound.conf", "supervisor/resound.conf",
		"nginx/resound.conf", "haproxy/resound.cfg", "grafana/resound.json", "prometheus/resound.rules.yml",
		"completion/resound.bash", "completion/_resound", "completion/resound.fish", "man/resound.1",
	} {
		if s, err := os.Stat(filepath.Join(folder, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: got %v, want a file that says something", name, err)
		}
	}
	expectStatic(t, filepath.Join(folder, "resound"))
	expectStatic(t, filepath.Join(folder, "resound-bench"))
	if out, err := exec.Command(filepath.Join(folder, "resound-bench"), "--help").Output(); err != nil || len(out) == 0 {
		t.Errorf("resound-bench --help: got %v and %q", err, out)
	}

	dir := t.TempDir()
	cmd := command(t, dir, testApp.environment(), append([]string{"start"}, anyPort...)...)
	cmd.Path = filepath.Join(folder, "resound")
	s := &server{process: launch(t, cmd)}
	if _, err := fmt.Sscan(s.expectOutput(t, `Starting server on 127\.0\.0\.1:(\d+)`)[1], &s.port); err != nil {
		t.Fatal(err)
	}
	s.expectWorks(t, testApp)
	if got := request(t, http.MethodGet, s.url("/metrics"), "").body; !strings.Contains(got, `resound_build_info{version="`+releaseVersion+`"} 1`) {
		t.Errorf("got no version %s in the metrics, want it", releaseVersion)
	}
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

func TestReleasesOfTheSameCommitAreTheSame(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds another release")
	}
	t.Parallel()
	tarball, _ := release(t)
	dir := t.TempDir()
	cmd := exec.Command(filepath.Join(scripts, "release"))
	cmd.Env = append(os.Environ(), "VERSION=v"+releaseVersion, "ARCHES="+runtime.GOARCH, "OUT="+dir, "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(filepath.Dir(tarball), "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil || string(got) != string(want) {
		t.Errorf("got %v and\n%swant\n%s", err, got, want)
	}
}

func TestReleaseRefusesAVersionThatIsNone(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(filepath.Join(scripts, "release"))
	cmd.Env = append(os.Environ(), "VERSION=1.0; rm -rf x", "OUT="+t.TempDir())
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is no version") {
		t.Errorf("got %v and %s, want it refused", err, out)
	}
}

// told is what dpkg-deb says of a package.
func told(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("dpkg-deb", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dpkg-deb %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestPackageHasItsPlaces(t *testing.T) {
	t.Parallel()
	_, deb := release(t)
	for field, want := range map[string]string{"Package": "resound", "Version": debVersion, "Architecture": runtime.GOARCH} {
		if got := strings.TrimSpace(told(t, "--field", deb, field)); got != want {
			t.Errorf("got %s %q, want %q", field, got, want)
		}
	}
	listing := told(t, "--contents", deb)
	for path, mode := range map[string]string{
		"/usr/bin/resound": "-rwxr-xr-x", "/etc/resound/resound.env": "-rw-r-----", "/etc/resound/resound.yaml": "-rw-r-----",
		"/usr/lib/systemd/system/resound.service": "-rw-r--r--", "/usr/lib/sysctl.d/50-resound.conf": "-rw-r--r--",
		"/usr/share/man/man1/resound.1.gz": "-rw-r--r--", "/usr/share/bash-completion/completions/resound": "-rw-r--r--",
		"/usr/share/zsh/vendor-completions/_resound": "-rw-r--r--", "/usr/share/fish/vendor_completions.d/resound.fish": "-rw-r--r--",
		"/usr/share/doc/resound/copyright": "-rw-r--r--", "/usr/share/doc/resound/examples/nginx/resound.conf": "-rw-r--r--",
	} {
		if !regexp.MustCompile(`(?m)^` + mode + ` root/root .* \.` + regexp.QuoteMeta(path) + `$`).MatchString(listing) {
			t.Errorf("got no %s of mode %s in\n%s", path, mode, listing)
		}
	}

	root := t.TempDir()
	told(t, "--raw-extract", deb, root)
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", filepath.Join(root, "DEBIAN", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/resound.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := string(text)
	const files = " --env-file /etc/resound/resound.env --config /etc/resound/resound.yaml"
	for _, line := range []string{
		"Type=notify", "User=resound", "Group=resound", "WorkingDirectory=/etc/resound",
		"ExecStartPre=/usr/bin/resound config check --credentials" + files, "ExecStart=/usr/bin/resound start" + files,
	} {
		if !slices.Contains(strings.Split(unit, "\n"), line) {
			t.Errorf("got no line %q in the unit, want it", line)
		}
	}
	if strings.Contains(unit, "/usr/local") || strings.Contains(unit, "www-data") || strings.Contains(unit, "/var/www") {
		t.Errorf("got a unit with the paths of the example:\n%s", unit)
	}
	if analyze, err := exec.LookPath("systemd-analyze"); err == nil {
		copied := filepath.Join(write(t, "resound.service", strings.ReplaceAll(unit, "/usr/bin/resound", binary)), "resound.service")
		if out, err := exec.Command(analyze, "verify", copied).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("systemd-analyze: got %v and %q, want neither error nor warning", err, out)
		}
	}
}

// TestPackageInstallsAndGoes is testdata/install-deb, which wants to be root and
// to mount.
func TestPackageInstallsAndGoes(t *testing.T) {
	t.Parallel()
	_, deb := release(t)
	if out, err := exec.Command("unshare", "-mn", "mount", "-t", "tmpfs", "none", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("this test needs root, and the right to mount: %v %s", err, out)
	}
	p := launch(t, exec.Command("unshare", "-mn", "--propagation", "private", "testdata/install-deb", deb, t.TempDir()))
	<-p.done // a busy machine takes a minute for it
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	p.expectOutput(t, `version: resound version `+regexp.QuoteMeta(releaseVersion))
	p.expectOutput(t, "everything went well")
}
