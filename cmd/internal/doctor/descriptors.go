package doctor

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// descriptors looks at the limit of the node that runs, or of what this shell
// could start.
func (e *examination) descriptors() {
	need := int64(e.wanted.Descriptors)
	f := Finding{
		Check: "descriptors",
		Is:    fmt.Sprintf("%s in this shell (soft %s)", group(int64(min(e.host.Hard, 1<<62))), group(int64(min(e.host.Soft, 1<<62)))),
		Want:  group(need) + " or more",
		Why:   "one for each connection, one in sixteen more for HTTP, some for the node itself",
		Fix: fmt.Sprintf("LimitNOFILE=%d in the systemd unit; without systemd a line \"* - nofile %d\" in /etc/security/limits.d and a new login, or ulimit -n %d as root",
			need, need, need),
	}
	limit := e.host.Hard // the node raises the soft limit itself
	if e.running != 0 {
		running, err := e.runningLimit()
		if err != nil {
			e.unreadable("descriptors", err)
			return
		}
		limit = running
		f.Is = fmt.Sprintf("%s in the running node (pid %d)", group(int64(min(limit, 1<<62))), e.running)
		f.Fix += "; then restart the node"
	}
	status := Fault
	if limit >= uint64(e.wanted.Connections) {
		status = Warning // with max_connections set it starts, but HTTP comes off worst
	}
	e.judge(limit >= uint64(need), status, f)
}

// runningLimit returns the limit of the node that runs.
func (e *examination) runningLimit() (uint64, error) {
	file := fmt.Sprintf("proc/%d/limits", e.running)
	b, err := fs.ReadFile(e.host.Files, file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		// Max open files   soft   hard   files
		values, found := strings.CutPrefix(line, "Max open files")
		if fields := strings.Fields(values); found && len(fields) > 0 {
			return strconv.ParseUint(fields[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("/%s has no line Max open files", file)
}

// descriptorCeiling looks at what a limit of descriptors may be raised to.
func (e *examination) descriptorCeiling() {
	const name = "fs.nr_open"
	v, ok := e.setting(name, 1)
	if !ok {
		return
	}
	need := int64(e.wanted.Descriptors)
	e.judge(v[0] >= need, Fault, Finding{
		Check: name, Is: group(v[0]), Want: group(need) + " or more",
		Why: "no process may have a higher limit of descriptors; a unit with one does not start",
		Fix: sysctl(name, roundUp(need)),
	})
}

// hostDescriptors looks at what all processes together may open.
func (e *examination) hostDescriptors() {
	v, ok := e.setting("fs.file-nr", 3)
	if !ok {
		return
	}
	const name = "fs.file-max"
	used, most := v[0], v[2]
	need := used + int64(e.wanted.Descriptors)
	if e.running != 0 {
		need = max(used, int64(e.wanted.Descriptors)) // its own are among those in use
	}
	e.judge(most >= need, Fault, Finding{
		Check: name, Is: fmt.Sprintf("%s, %s in use", group(most), group(used)), Want: group(need) + " or more",
		Why: "the whole host has no more; the node needs its own beside those in use",
		Fix: sysctl(name, roundUp(need)),
	})
}

// watches looks at how many sockets a user's processes may wait for.
func (e *examination) watches() {
	const name = "fs.epoll.max_user_watches"
	v, ok := e.setting(name, 1)
	if !ok {
		return
	}
	need := int64(e.wanted.Descriptors)
	e.judge(v[0] >= need, Fault, Finding{
		Check: name, Is: group(v[0]), Want: group(need) + " or more",
		Why: "every connection is registered with epoll, and the kernel counts by user",
		Fix: sysctl(name, roundUp(need)),
	})
}

// roundUp returns the power of two that is not below n: limits are easier to read.
func roundUp(n int64) int64 {
	p := int64(1)
	for p < n {
		p <<= 1
	}
	return p
}
