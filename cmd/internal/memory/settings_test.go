package memory_test

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"resound/cmd/internal/memory"
)

func TestChoose(t *testing.T) {
	const mb = 1 << 20
	host := map[string]string{"proc/meminfo": "MemFree:  12 kB\nMemTotal:       4096000 kB\nBuffers: 1 kB\n"}
	for _, c := range []struct {
		name   string
		files  map[string]string
		env    map[string]string
		of     int64
		source string
		limit  int64
		gc     int
	}{
		{
			name: "nothing is known",
			gc:   200,
		},
		{
			name:   "a host without control groups",
			files:  host,
			of:     4_096_000 << 10,
			source: "host",
			limit:  3_774_873_600,
			gc:     200,
		},
		{
			name:   "a container of version 2 sees its own group as the top",
			files:  map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "104857600\n"},
			of:     100 * mb,
			source: "/sys/fs/cgroup/memory.max",
			limit:  94_371_840,
			gc:     200,
		},
		{
			name: "a unit of version 2 in a slice with a lower limit",
			files: map[string]string{
				"proc/self/cgroup": "0::/system.slice/resound.service\n",
				"sys/fs/cgroup/system.slice/resound.service/memory.max": "max\n",
				"sys/fs/cgroup/system.slice/memory.max":                 "209715200\n",
			},
			of:     200 * mb,
			source: "/sys/fs/cgroup/system.slice/memory.max",
			limit:  188_743_680,
			gc:     200,
		},
		{
			name: "memory.high slows a process down before memory.max ends it",
			files: map[string]string{
				"proc/self/cgroup":            "0::/a\n",
				"sys/fs/cgroup/a/memory.max":  "209715200\n",
				"sys/fs/cgroup/a/memory.high": "104857600\n",
			},
			of:     100 * mb,
			source: "/sys/fs/cgroup/a/memory.high",
			limit:  94_371_840,
			gc:     200,
		},
		{
			name: "version 1 in a container names the group as the host does",
			files: map[string]string{
				"proc/self/cgroup":                           "3:cpu,cpuacct:/docker/0123\n2:memory:/docker/0123\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "104857600\n",
			},
			of:     100 * mb,
			source: "/sys/fs/cgroup/memory/memory.limit_in_bytes",
			limit:  94_371_840,
			gc:     200,
		},
		{
			name: "version 1 says no limit by a huge number",
			files: map[string]string{
				"proc/self/cgroup":                           "2:memory:/\n0::/\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
				"proc/meminfo":                               host["proc/meminfo"],
			},
			of:     4_096_000 << 10,
			source: "host",
			limit:  3_774_873_600,
			gc:     200,
		},
		{
			name: "a group may not have more than the host",
			files: map[string]string{
				"proc/self/cgroup":         "0::/\n",
				"sys/fs/cgroup/memory.max": "1099511627776\n",
				"proc/meminfo":             host["proc/meminfo"],
			},
			of:     4_096_000 << 10,
			source: "host",
			limit:  3_774_873_600,
			gc:     200,
		},
		{
			name: "files that hold something else say nothing",
			files: map[string]string{
				"proc/self/cgroup":         "0\nnonsense\n0::../..\n",
				"sys/fs/cgroup/memory.max": "-1\n",
				"proc/meminfo":             "MemTotal: many kB\n",
			},
			gc: 200,
		},
		{
			name:  "the environment wins",
			files: host,
			env:   map[string]string{"GOMEMLIMIT": "1GiB", "GOGC": "50"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := fstest.MapFS{}
			for name, content := range c.files {
				root[name] = &fstest.MapFile{Data: []byte(content)}
			}
			got := memory.Choose(root, func(name string) string { return c.env[name] })
			want := memory.Settings{LimitBytes: c.limit, Of: c.of, Source: c.source, GCPercent: c.gc}
			if c.of == 0 {
				want.Source = ""
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
	memory.Settings{}.Apply()
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("got a limit of %d, want it left at %d", got, limit)
	}
	memory.Settings{LimitBytes: math.MaxInt32, GCPercent: 150}.Apply()
	if got, want := debug.SetMemoryLimit(-1), int64(math.MaxInt32); got != want {
		t.Errorf("got a limit of %d, want %d", got, want)
	}
	if got, want := debug.SetGCPercent(100), 150; got != want {
		t.Errorf("got a percentage of %d, want %d", got, want)
	}
}
