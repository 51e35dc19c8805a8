package memory

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// available is the memory that the process can have, in bytes, and what says so.
// 0 means that nothing does.
func available(root fs.FS) (limit int64, source string) {
	limit, source = controlGroup(root)
	if total := hostMemory(root); total > 0 && (limit == 0 || total < limit) {
		return total, "host"
	}
	return limit, source
}

// controlGroup is the lowest limit of the process's control group and those above
// it, 0 when there is none.
//
//	proc/self/cgroup   0::/system.slice/resound.service    version 2
//	                   9:memory:/docker/0123               version 1
func controlGroup(root fs.FS) (limit int64, source string) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, ""
	}
	lowest := func(mount, group string, files ...string) {
		for _, dir := range upwards(group) {
			for _, file := range files {
				name := path.Join(mount, dir, file)
				if n := number(root, name); n > 0 && (limit == 0 || n < limit) {
					limit, source = n, "/"+name
				}
			}
		}
	}
	for line := range strings.Lines(string(groups)) {
		_, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case controllers == "":
			lowest("sys/fs/cgroup", group, "memory.max", "memory.high")
		case strings.Contains(","+controllers+",", ",memory,"):
			lowest("sys/fs/cgroup/memory", group, "memory.limit_in_bytes")
		}
	}
	return limit, source
}

// upwards is a group and all above it. In a container the group may be a path of
// the host, which does not exist here; the container's own is then the topmost.
func upwards(group string) (dirs []string) {
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == "/" {
			return dirs
		}
	}
}

// number reads a file that holds one. It is 0 for "max", for the huge numbers by
// which version 1 says the same, and when there is no such file.
func number(root fs.FS, name string) int64 {
	b, err := fs.ReadFile(root, name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
	if err != nil || n >= math.MaxInt64/2 {
		return 0
	}
	return n
}

// hostMemory is the memory of the host in bytes, 0 when it is not known.
func hostMemory(root fs.FS) int64 {
	b, err := fs.ReadFile(root, "proc/meminfo")
	if err != nil {
		return 0
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "MemTotal:" && f[2] == "kB" {
			kilobytes, _ := strconv.ParseInt(f[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}
