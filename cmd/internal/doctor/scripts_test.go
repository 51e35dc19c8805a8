package doctor_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"resound/cmd/internal/doctor"
	"resound/cmd/internal/node"
)

const (
	sysctlFile = "../../../scripts/sysctl/99-resound.conf"
	unitFile   = "../../../scripts/systemd/resound.service"
	limitsFile = "../../../scripts/limits/99-resound.conf"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// sysctls returns the settings of the sysctl file as files below proc.
func sysctls(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	explained := false
	for line := range strings.Lines(read(t, sysctlFile)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			explained = line != ""
			continue
		}
		name, value, found := strings.Cut(strings.TrimPrefix(line, "-"), " = ")
		if !found || !explained {
			t.Errorf("got line %q, want \"name = value\" with its reason above", line)
		}
		files["proc/sys/"+strings.ReplaceAll(name, ".", "/")] = value
		explained = false
	}
	return files
}

// unitLimit returns LimitNOFILE of the unit.
func unitLimit(t *testing.T) uint64 {
	t.Helper()
	found := regexp.MustCompile(`(?m)^LimitNOFILE=(\d+)$`).FindStringSubmatch(read(t, unitFile))
	if found == nil {
		t.Fatal("got a unit without LimitNOFILE, want one")
	}
	limit, err := strconv.ParseUint(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return limit
}

func TestScripts(t *testing.T) {
	million := doctor.Wanted{
		Connections: 1_000_000, Descriptors: node.DescriptorsFor(1_000_000, 8),
		Address: "0.0.0.0", Port: 8080, Reactors: 8,
	}
	// The packet filter is in use, as with Docker or a firewall.
	files := maps.Clone(stock)
	files["proc/sys/net/netfilter/nf_conntrack_max"] = "262144"
	files["proc/sys/net/netfilter/nf_conntrack_count"] = "1000"
	before := host(files, 1024)
	before.CPUs = 8
	t.Run("a stock host cannot hold a million", func(t *testing.T) {
		if r := doctor.Examine(before, million); r.Count(doctor.Fault) < 3 || r.Count(doctor.Warning) < 3 {
			t.Errorf("got %q, want faults and warnings", notOK(r))
		}
	})
	t.Run("with the sysctl file and the unit nothing is wrong", func(t *testing.T) {
		for name, value := range sysctls(t) {
			if name == "proc/sys/fs/file-max" {
				name, value = "proc/sys/fs/file-nr", "1984 0 "+value
			}
			files[name] = value
		}
		after := host(files, unitLimit(t))
		after.CPUs = 8
		if lines := notOK(doctor.Examine(after, million)); len(lines) > 0 {
			t.Errorf("got %q, want all ok", lines)
		}
	})
	t.Run("every setting of the sysctl file concerns a check", func(t *testing.T) {
		healthy := doctor.Examine(host(files, unitLimit(t)), million)
		known := ""
		for _, f := range healthy.Findings {
			known += f.Check + "\n"
		}
		for file := range sysctls(t) {
			name := strings.ReplaceAll(strings.TrimPrefix(file, "proc/sys/"), "/", ".")
			if !strings.Contains(known, name+"\n") {
				t.Errorf("got %s in the sysctl file, which no check of the doctor looks at", name)
			}
		}
	})
	t.Run("the limits of systemd and of PAM are the same, and below the ceiling", func(t *testing.T) {
		limit := strconv.FormatUint(unitLimit(t), 10)
		for _, user := range []string{"*", "root"} {
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(user) + ` +- nofile ` + limit + `$`).MatchString(read(t, limitsFile)) {
				t.Errorf("got no limit of %s for %s, want it", limit, user)
			}
		}
		if got := sysctls(t)["proc/sys/fs/nr_open"]; got != limit {
			t.Errorf("got fs.nr_open %s, want the limit of the unit %s", got, limit)
		}
	})
	t.Run("the unit is told of a successor, and where the control socket is", func(t *testing.T) {
		for _, line := range []string{"Type=notify", "NotifyAccess=all", "ExecReload=/bin/kill -HUP $MAINPID", "RuntimeDirectory=resound", "WatchdogSec=30"} {
			if !strings.Contains(read(t, unitFile), "\n"+line+"\n") {
				t.Errorf("got no line %s in the unit, want it", line)
			}
		}
	})
	t.Run("systemd understands the unit", func(t *testing.T) {
		if _, err := exec.LookPath("systemd-analyze"); err != nil {
			t.Skip("systemd-analyze is not installed")
		}
		// It wants to see the program, which is not installed here.
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		unit := strings.ReplaceAll(read(t, unitFile), "/usr/local/bin/resound", self)
		copied := filepath.Join(t.TempDir(), "resound.service")
		if err := os.WriteFile(copied, []byte(unit), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", copied).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("got %v and %q, want neither error nor warning", err, out)
		}
	})
}
