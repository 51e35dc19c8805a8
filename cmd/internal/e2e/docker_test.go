package e2e

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// instruction is one of a Dockerfile.
type instruction struct{ name, rest string }

// dockerfile returns the stages of the Dockerfile, which begin with FROM.
func dockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(scripts, "docker", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 || strings.HasSuffix(line, `\`) {
			t.Fatalf("got %q, want one instruction a line, behind FROM", line)
		}
		stages[len(stages)-1] = append(stages[len(stages)-1], instruction{name, rest})
	}
	return stages
}

// value returns what the last instruction of this name says.
func value(stage []instruction, name string) (rest string) {
	for _, i := range stage {
		if i.name == name {
			rest = i.rest
		}
	}
	return rest
}

// writable are the folders of the image that the server writes to.
var writable = []string{"/run/resound", "/var/lib/resound"}

// imageEnvironment is that of the image.
func imageEnvironment(t *testing.T) []string {
	t.Helper()
	stages := dockerfile(t)
	return strings.Fields(value(stages[len(stages)-1], "ENV"))
}

func TestDockerfileFollowsTheRules(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	if len(stages) != 2 {
		t.Fatalf("got %d stages, want one that builds and one that is the image", len(stages))
	}
	build, image := stages[0], stages[1]
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goVersion := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(string(mod))[1]
	for _, row := range []struct{ what, got, want string }{
		{"builds with the Go of go.mod", value(build, "FROM"), `^golang:` + regexp.QuoteMeta(goVersion) + ` AS build$`},
		{"the image has nothing else in it", value(image, "FROM"), `^scratch$`},
		{"runs as a user without rights", value(image, "USER"), `^[1-9]\d*:[1-9]\d*$`},
		{"is stopped by the signal that drains", value(image, "STOPSIGNAL"), `^SIGTERM$`},
		{"tells its port", value(image, "EXPOSE"), `^8080$`},
		{"starts without a shell, which is not there", value(image, "ENTRYPOINT"), `^\["/usr/bin/resound"\]$`},
		{"starts the server", value(image, "CMD"), `^\["start"\]$`},
		{"asks for the health without a shell or curl", value(image, "HEALTHCHECK"), `CMD \["/usr/bin/resound", "status"\]$`},
		{"its folders are volumes", value(image, "VOLUME"), `^\["` + strings.Join(writable, `", "`) + `"\]$`},
	} {
		if !regexp.MustCompile(row.want).MatchString(row.got) {
			t.Errorf("%s: got %q, want %s", row.what, row.got, row.want)
		}
	}
	text := ""
	for _, i := range build {
		text += i.rest + "\n"
	}
	for _, want := range []string{
		"CGO_ENABLED=0", "-trimpath", "-X main.version=$VERSION", "/image/etc/ssl/certs/ca-certificates.crt",
		"-o " + strings.Split(value(image, "USER"), ":")[0] + " ", "/image" + writable[0] + " /image" + writable[1],
	} {
		if !strings.Contains(text, want) {
			t.Errorf("got a build without %q, want it", want)
		}
	}
	for _, v := range imageEnvironment(t) {
		_, path, _ := strings.Cut(v, "=")
		if !slices.ContainsFunc(writable, func(dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }) {
			t.Errorf("got %s, want a path in one of %v", v, writable)
		}
	}
}

// TestDockerContextHasWhatTheBuildNeeds builds from a copy of what .dockerignore
// leaves, by git's rules, which are the same for the patterns there.
func TestDockerContextHasWhatTheBuildNeeds(t *testing.T) {
	t.Parallel()
	ignore, err := os.ReadFile("../../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	excluded := strings.Split(string(ignore), "\n")
	for _, want := range []string{"*", "**/node_modules", "**/*_test.go"} {
		if !slices.Contains(excluded, want) {
			t.Errorf("got a .dockerignore without %s, want it", want)
		}
	}
	list := exec.Command("go", "list", "-deps", "-f", `{{if .Module}}{{if .Module.Main}}{{.Dir}}{{end}}{{end}}`, "./cmd/resound")
	list.Dir = "../../.."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for dir := range strings.FieldsSeq(string(out)) {
		relative, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		if top, _, _ := strings.Cut(relative, "/"); !slices.Contains(excluded, "!"+top) {
			t.Errorf("%s is needed and not in the context: add !%s to .dockerignore", relative, top)
		}
	}
}

func TestComposeFileFollowsTheRules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(scripts, "docker", "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Environment map[string]string
			ReadOnly    bool     `yaml:"read_only"`
			CapDrop     []string `yaml:"cap_drop"`
			Grace       string   `yaml:"stop_grace_period"`
		}
	}
	// A key beside a merged one wins, as for Docker.
	if err := yaml.UnmarshalWithOptions(text, &file, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"resound", "resound2"} {
		s := file.Services[name]
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Grace != "60s" {
			t.Errorf("%s: got %+v, want it read-only, without capabilities, and time for the drain", name, s)
		}
		// Each variable means something to the server.
		env := map[string]string{}
		for name, value := range s.Environment {
			env[name] = strings.TrimSuffix(strings.TrimPrefix(value, "${"), ":?}")
		}
		if out := run(t, "", env, 0, "config", "check", "--credentials"); strings.Contains(out, "WARN") {
			t.Errorf("%s: got %s, want no warnings", name, out)
		}
	}
}

// TestImageWorks runs the server in a folder that has what the image has, as the
// user of the image.
func TestImageWorks(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("this test needs root, to change the root folder")
	}
	tarball, _ := release(t)
	stages := dockerfile(t)
	user, err := strconv.ParseUint(strings.Split(value(stages[1], "USER"), ":")[0], 10, 32)
	if err != nil {
		t.Fatal(err)
	}

	// A receiver with a certificate of an authority that only the image knows.
	heard := make(chan string, 16)
	receiver := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- string(body)
	}))
	receiver.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	receiver.StartTLS()
	t.Cleanup(receiver.Close)

	root, err := os.MkdirTemp("", "resound-image-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(name string, text []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, mode); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(filepath.Join(unpack(t, tarball), "resound"))
	if err != nil {
		t.Fatal(err)
	}
	put("usr/bin/resound", program, 0o755)
	put("etc/ssl/certs/ca-certificates.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw}), 0o644)
	put("reverb.json", []byte(`{"apps": {"apps": [{"app_id": "`+testApp.id+`", "key": "`+testApp.key+`", "secret": "`+testApp.secret+`",
		"webhooks": [{"url": "`+receiver.URL+`", "event_types": ["channel_occupied"]}]}]}}`), 0o644)
	for _, dir := range writable {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(root, dir), int(user), int(user)); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command("chroot", append([]string{"--userspec=" + strconv.FormatUint(user, 10) + ":" + strconv.FormatUint(user, 10), root, "/usr/bin/resound"}, args...)...)
		cmd.Env = imageEnvironment(t)
		return cmd
	}

	p := launch(t, inside("start", "--config", "/reverb.json", "--host", "127.0.0.1", "--port", "0"))
	s := &server{process: p}
	if s.port, err = strconv.Atoi(p.expectOutput(t, `Starting server on 127\.0\.0\.1:(\d+)`)[1]); err != nil {
		t.Fatal(err)
	}
	s.expectWorks(t, testApp)
	select {
	case body := <-heard:
		if !strings.Contains(body, "channel_occupied") {
			t.Errorf("the receiver got %s, want a channel_occupied", body)
		}
	case <-time.After(patience):
		t.Error("the receiver got nothing, want a webhook over TLS")
	}
	// The health check looks for the port of the environment.
	health := inside("status")
	health.Env = append(health.Env, "REVERB_SERVER_PORT="+strconv.Itoa(s.port))
	if code := launch(t, health).wait(t); code != 0 {
		t.Errorf("health check: exit code %d of a server that runs, want 0", code)
	}
	if strings.Contains(p.out.String(), `"level":"WARN"`) {
		t.Errorf("got warnings, want none:\n%s", p.out.String())
	}
	s.signal(t, syscall.SIGTERM)
	if code := s.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if code := launch(t, inside("status")).wait(t); code != 3 {
		t.Errorf("health check: exit code %d without a server, want 3", code)
	}
}
