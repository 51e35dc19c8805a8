package doctor

import (
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// checks are all there are, in the order in which they are shown: what stops a
// node first, then what slows it.
var checks = []func(*examination){
	(*examination).port,
	(*examination).privilegedPort,
	(*examination).ephemeralPort,
	(*examination).unixSocket,
	(*examination).descriptors,
	(*examination).descriptorCeiling,
	(*examination).hostDescriptors,
	(*examination).watches,
	(*examination).memory,
	(*examination).groupMemory,
	(*examination).tracking,
	(*examination).backlog,
	(*examination).queueMemory,
	(*examination).buffers,
	(*examination).portRange,
	(*examination).processors,
	(*examination).hugePages,
	(*examination).overcommit,
	(*examination).mappings,
	(*examination).clock,
	(*examination).clockSource,
}

// Examine looks at everything.
func Examine(h Host, w Wanted) Report {
	e := &examination{host: h, wanted: w, report: Report{Connections: w.Connections}}
	for _, check := range checks {
		check(e)
	}
	return e.report
}

// examination is one run of the checks.
type examination struct {
	host   Host
	wanted Wanted
	report Report

	running int // pid of the node that listens on the port, 0 for none
}

// judge adds a finding: OK without the fix if well, else with status.
func (e *examination) judge(well bool, status Status, f Finding) {
	if well {
		f.Status, f.Fix = OK, ""
	} else {
		f.Status = status
	}
	e.report.Findings = append(e.report.Findings, f)
}

// unreadable adds a warning about a file that a check needs.
func (e *examination) unreadable(check string, err error) {
	e.judge(false, Warning, Finding{
		Check: check, Is: err.Error(), Want: "a readable file",
		Why: "without it this cannot be checked", Fix: "run resound doctor on the host itself, as root",
	})
}

// setting returns the numbers of a kernel setting such as net.core.somaxconn, count
// of them, and adds a warning when they cannot be read.
func (e *examination) setting(name string, count int) ([]int64, bool) {
	values, err := e.readSetting(name, count)
	if err != nil {
		e.unreadable(name, err)
	}
	return values, err == nil
}

func (e *examination) readSetting(name string, count int) ([]int64, error) {
	return e.numbers("proc/sys/"+strings.ReplaceAll(name, ".", "/"), count)
}

// numbers returns the numbers of a file that begins with count of them.
func (e *examination) numbers(file string, count int) ([]int64, error) {
	b, err := fs.ReadFile(e.host.Files, file)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < count {
		return nil, fmt.Errorf("/%s has %d numbers, want %d", file, len(fields), count)
	}
	values := make([]int64, count)
	for i := range values {
		v, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", file, err)
		}
		values[i] = int64(min(v, math.MaxInt64)) // some mean no limit by 2^63 and more
	}
	return values, nil
}

// field returns the value of "name: N kB" in a file of proc, in bytes.
func (e *examination) field(file, name string) (int64, error) {
	b, err := fs.ReadFile(e.host.Files, file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(line, ":")
		if key != name {
			continue
		}
		v, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/%s: %s: %w", file, name, err)
		}
		return v << 10, nil
	}
	return 0, fmt.Errorf("/%s has no line %s", file, name)
}

// word returns a file's text without the spaces around it.
func (e *examination) word(file string) (string, error) {
	b, err := fs.ReadFile(e.host.Files, file)
	return strings.TrimSpace(string(b)), err
}

// sysctl is the fix by a kernel setting.
func sysctl(name string, value any) string {
	return fmt.Sprintf("sysctl -w %s='%v' (for good: a line in /etc/sysctl.d, see scripts/sysctl/99-resound.conf)", name, value)
}
