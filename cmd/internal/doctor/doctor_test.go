package doctor_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"resound/cmd/internal/doctor"
	"resound/cmd/internal/node"
)

// stock are the files of a host as a distribution leaves it, with 16 GB.
var stock = map[string]string{
	"proc/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000   999        0 4711 1 0 100 0 0 10 0\n",
	"proc/net/tcp6": "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n",
	"proc/meminfo":                                                    "MemTotal:       16384000 kB\nMemFree:        14000000 kB\nMemAvailable:   15000000 kB\n",
	"proc/self/cgroup":                                                "0::/system.slice/ssh.service\n",
	"proc/self/status":                                                "Name:\tresound\nCapEff:\t0000000000000000\n",
	"proc/sys/fs/nr_open":                                             "1048576\n",
	"proc/sys/fs/file-nr":                                             "1984\t0\t9223372036854775807\n",
	"proc/sys/fs/epoll/max_user_watches":                              "3658752\n",
	"proc/sys/net/core/somaxconn":                                     "4096\n",
	"proc/sys/net/ipv4/tcp_max_syn_backlog":                           "1024\n",
	"proc/sys/net/ipv4/tcp_mem":                                       "188841\t251788\t377682\n",
	"proc/sys/net/ipv4/tcp_rmem":                                      "4096\t131072\t6291456\n",
	"proc/sys/net/ipv4/tcp_wmem":                                      "4096\t16384\t4194304\n",
	"proc/sys/net/ipv4/ip_local_port_range":                           "32768\t60999\n",
	"proc/sys/net/ipv4/ip_local_reserved_ports":                       "\n",
	"proc/sys/net/ipv4/ip_unprivileged_port_start":                    "1024\n",
	"proc/sys/vm/overcommit_memory":                                   "0\n",
	"proc/sys/vm/max_map_count":                                       "65530\n",
	"sys/kernel/mm/transparent_hugepage/enabled":                      "always [madvise] never\n",
	"sys/fs/cgroup/system.slice/memory.max":                           "max\n",
	"sys/fs/cgroup/system.slice/ssh.service/memory.max":               "max\n",
	"sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n",
}

// host returns a host of these files and with this descriptor limit.
func host(files map[string]string, descriptors uint64) doctor.Host {
	tree := fstest.MapFS{}
	for name, text := range files {
		if target, isLink := strings.CutPrefix(text, "-> "); isLink {
			tree[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
			continue
		}
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return doctor.Host{Files: tree, Soft: descriptors, Hard: descriptors, CPUs: 4, PageSize: 4096, Synchronized: true}
}

func wanted(connections int) doctor.Wanted {
	return doctor.Wanted{
		Connections: connections, Descriptors: node.DescriptorsFor(connections, 4),
		Address: "0.0.0.0", Port: 8080, Reactors: 4,
	}
}

// notOK returns the findings that are not ok, a line each.
func notOK(r doctor.Report) (lines []string) {
	for _, f := range r.Findings {
		if f.Status != doctor.OK {
			lines = append(lines, fmt.Sprintf("%s %s: %s; fix: %s", f.Status, f.Check, f.Is, f.Fix))
		}
	}
	return lines
}

const (
	tenThousand = 10_000
	headings    = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	listening   = headings + "   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100 0 0 10 0\n"
	limits      = "Limit                     Soft Limit           Hard Limit           Units\nMax open files            %d               %d               files\n"
)

func TestExamine(t *testing.T) {
	t.Run("a stock host holds ten thousand connections", func(t *testing.T) {
		r := doctor.Examine(host(stock, 20_000), wanted(tenThousand))
		if lines := notOK(r); len(lines) > 0 {
			t.Errorf("got %q, want all ok", lines)
		}
		if len(r.Findings) < 18 {
			t.Errorf("got %d findings, want one for each check", len(r.Findings))
		}
	})
	tests := []struct {
		name  string
		files map[string]string // instead of those of the stock host; "" removes one
		host  func(*doctor.Host)
		want  func(*doctor.Wanted)
		lines []string // how the lines that are not ok begin, up to *, and what they contain
	}{
		{
			name: "few descriptors", host: func(h *doctor.Host) { h.Soft, h.Hard = 1024, 4096 },
			lines: []string{"fault descriptors: 4,096 in this shell (soft 1,024)*LimitNOFILE=10778 "},
		},
		{
			name: "descriptors for the connections but not for HTTP", host: func(h *doctor.Host) { h.Hard = 10_100 },
			lines: []string{"warning descriptors*LimitNOFILE=10778"},
		},
		{
			name: "a low ceiling of descriptors", files: map[string]string{"proc/sys/fs/nr_open": "4096"},
			lines: []string{"fault fs.nr_open: 4,096*fs.nr_open='16384'"},
		},
		{
			name: "a host short of descriptors", files: map[string]string{"proc/sys/fs/file-nr": "9000 0 12000"},
			lines: []string{"fault fs.file-max: 12,000, 9,000 in use*fs.file-max='32768'"},
		},
		{
			name: "few epoll registrations", files: map[string]string{"proc/sys/fs/epoll/max_user_watches": "5000"},
			lines: []string{"fault fs.epoll.max_user_watches*='16384'"},
		},
		{
			name: "hardly any memory", files: map[string]string{"proc/meminfo": "MemTotal: 131072 kB\nMemAvailable: 65536 kB\n"},
			lines: []string{"fault memory: 64 MB available of 128 MB*max_connections 0"},
		},
		{
			name: "memory without room to spare", files: map[string]string{"proc/meminfo": "MemTotal: 131072 kB\nMemAvailable: 125000 kB\n"},
			lines: []string{"warning memory*max_connections 6000"},
		},
		{
			name: "memory without room for TLS", want: func(w *doctor.Wanted) { w.TLS = true },
			files: map[string]string{"proc/meminfo": "MemTotal: 262144 kB\nMemAvailable: 200000 kB\n"},
			lines: []string{"fault memory: 195 MB available of 256 MB*max_connections 6000"},
		},
		{
			name: "a limit on a group above", files: map[string]string{"sys/fs/cgroup/system.slice/memory.max": "50000000"},
			lines: []string{"fault cgroup memory: 47 MB by /sys/fs/cgroup/system.slice/memory.max*MemoryMax=145M"},
		},
		{name: "a limit of a group of version 1", files: map[string]string{
			"proc/self/cgroup": "4:memory:/docker/abc\n0::/\n", "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "50000000",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
		}, lines: []string{"fault cgroup memory: 47 MB by /sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes*"}},
		{name: "a limit that only the root of the container shows", files: map[string]string{
			"proc/self/cgroup": "0::/kubepods/pod1\n", "sys/fs/cgroup/memory.max": "50000000",
		}, lines: []string{"fault cgroup memory: 47 MB by /sys/fs/cgroup/memory.max*"}},
		{name: "a full table of the packet filter", files: map[string]string{
			"proc/sys/net/netfilter/nf_conntrack_max": "65536", "proc/sys/net/netfilter/nf_conntrack_count": "60000",
		}, lines: []string{"fault net.netfilter.nf_conntrack_max: 65,536, 60,000 in use*='32768'"}},
		{
			name: "short queues", files: map[string]string{"proc/sys/net/core/somaxconn": "128", "proc/sys/net/ipv4/tcp_max_syn_backlog": "64"},
			lines: []string{"warning net.core.somaxconn: 128*='65535'", "warning net.ipv4.tcp_max_syn_backlog: 64*='65535'"},
		},
		{
			name: "little memory for queues", files: map[string]string{"proc/sys/net/ipv4/tcp_mem": "1000 2000 4000"},
			lines: []string{"warning net.ipv4.tcp_mem: 2,000 pages*='4096 8192 16384'"},
		},
		{name: "buffers for bulk transfers", files: map[string]string{
			"proc/sys/net/ipv4/tcp_rmem": "4096 16777216 16777216", "proc/sys/net/ipv4/tcp_wmem": "4096 16777216 16777216",
		}, lines: []string{"warning net.ipv4.tcp_rmem: 16,777,216*", "warning net.ipv4.tcp_wmem: 16,777,216*"}},
		{
			name: "few ports for a proxy", files: map[string]string{"proc/sys/net/ipv4/ip_local_port_range": "32768 34000"},
			lines: []string{"warning net.ipv4.ip_local_port_range: 1,233 ports*10240 65535"},
		},
		{
			name: "a port that outgoing connections may take", want: func(w *doctor.Wanted) { w.Port = 40_000 },
			lines: []string{"warning local ports*ip_local_reserved_ports='40000'"},
		},
		{
			name: "the same beside ports reserved already", want: func(w *doctor.Wanted) { w.Port = 40_000 },
			files: map[string]string{"proc/sys/net/ipv4/ip_local_reserved_ports": "39000-39999,50000"},
			lines: []string{"warning local ports*ip_local_reserved_ports='39000-39999,50000,40000'"},
		},
		{
			name: "a reserved port", want: func(w *doctor.Wanted) { w.Port = 40_000 },
			files: map[string]string{"proc/sys/net/ipv4/ip_local_reserved_ports": "80,39999-40001"},
		},
		{name: "a port of the kernel's choice", want: func(w *doctor.Wanted) { w.Port = 0 }},
		{
			name: "a privileged port", want: func(w *doctor.Wanted) { w.Port = 443 },
			lines: []string{"fault net.ipv4.ip_unprivileged_port_start: 1024, and this user may not*CAP_NET_BIND_SERVICE"},
		},
		{
			name: "a privileged port for who may", want: func(w *doctor.Wanted) { w.Port = 443 },
			files: map[string]string{"proc/self/status": "CapEff:\t0000000000000400\n"},
		},
		{name: "a port another program has", files: map[string]string{
			"proc/net/tcp": listening, "proc/7/fd/3": "-> socket:[99]", "proc/7/fd/4": "-> /dev/null", "proc/7/comm": "nginx\n",
		}, lines: []string{"fault port 8080: taken by nginx, pid 7*--port"}},
		{
			name: "a port that somebody has", files: map[string]string{"proc/net/tcp": listening},
			lines: []string{"warning port 8080: taken by a process that this user cannot see*as root"},
		},
		{name: "a port taken on IPv6", files: map[string]string{
			"proc/net/tcp6": headings + "   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0 0 0 0 0 99\n",
			"proc/7/fd/3":   "-> socket:[99]", "proc/7/comm": "node\n",
		}, lines: []string{"fault port 8080: taken by node, pid 7*"}},
		{name: "a port taken at another address", want: func(w *doctor.Wanted) { w.Address, w.Port = "127.0.0.2", 6379 }},
		{name: "a running node", files: map[string]string{
			"proc/net/tcp": listening, "proc/7/fd/3": "-> socket:[99]", "proc/7/comm": "resound\n", "proc/7/limits": fmt.Sprintf(limits, 20000, 20000),
		}},
		{name: "a running node with fewer descriptors than this shell", files: map[string]string{
			"proc/net/tcp": listening, "proc/7/fd/3": "-> socket:[99]", "proc/7/comm": "resound\n", "proc/7/limits": fmt.Sprintf(limits, 1024, 4096),
		}, lines: []string{"fault descriptors: 1,024 in the running node (pid 7)*restart the node"}},
		{name: "a running node in a group with a limit that this shell has not", files: map[string]string{
			"proc/net/tcp": listening, "proc/7/fd/3": "-> socket:[99]", "proc/7/comm": "resound\n", "proc/7/limits": fmt.Sprintf(limits, 20000, 20000),
			"proc/7/cgroup": "0::/system.slice/resound.service\n", "sys/fs/cgroup/system.slice/resound.service/memory.max": "50000000",
		}, lines: []string{"fault cgroup memory: 47 MB by /sys/fs/cgroup/system.slice/resound.service/memory.max*"}},
		{name: "a running node outside of the group of this shell", files: map[string]string{
			"proc/net/tcp": listening, "proc/7/fd/3": "-> socket:[99]", "proc/7/comm": "resound\n", "proc/7/limits": fmt.Sprintf(limits, 20000, 20000),
			"proc/7/cgroup": "0::/system.slice/resound.service\n", "sys/fs/cgroup/system.slice/ssh.service/memory.max": "50000000",
		}},
		{name: "more reactors than CPUs", want: func(w *doctor.Wanted) { w.Reactors = 8 }, lines: []string{"warning CPUs: 4, for 8 reactors*"}},
		{
			name: "huge pages", files: map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
			lines: []string{"warning transparent huge pages*echo madvise"},
		},
		{name: "a kernel without huge pages and control groups", files: map[string]string{
			"sys/kernel/mm/transparent_hugepage/enabled": "", "proc/self/cgroup": "",
		}},
		{name: "strict overcommit", files: map[string]string{"proc/sys/vm/overcommit_memory": "2"}, lines: []string{"warning vm.overcommit_memory: 2*"}},
		{name: "few mappings", files: map[string]string{"proc/sys/vm/max_map_count": "1000"}, lines: []string{"warning vm.max_map_count: 1,000*"}},
		{name: "a wrong clock", host: func(h *doctor.Host) { h.Synchronized = false }, lines: []string{"warning clock: not*chrony"}},
		{
			name: "a slow clock", files: map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"},
			lines: []string{"warning clock source: hpet*tsc"},
		},
		{name: "a file that is missing", files: map[string]string{"proc/sys/net/core/somaxconn": ""}, lines: []string{"warning net.core.somaxconn: open*"}},
		{name: "a file that is no number", files: map[string]string{"proc/sys/net/core/somaxconn": "many"}, lines: []string{"warning net.core.somaxconn: /proc*"}},
		{name: "a file that is too short", files: map[string]string{"proc/sys/net/ipv4/tcp_mem": "1"}, lines: []string{"warning net.ipv4.tcp_mem: /proc*"}},
		{name: "a table of sockets that is garbage", files: map[string]string{"proc/net/tcp": headings + "0: zz:1F90 0 0A 0 0 0 0 0 1\n"}, lines: []string{"warning port 8080: /proc*"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(stock)
			for name, text := range tt.files {
				files[name] = text
				if text == "" {
					delete(files, name)
				}
			}
			h, w := host(files, 20_000), wanted(tenThousand)
			if tt.host != nil {
				tt.host(&h)
			}
			if tt.want != nil {
				tt.want(&w)
			}
			got := notOK(doctor.Examine(h, w))
			if len(got) != len(tt.lines) {
				t.Fatalf("got %q, want %d lines", got, len(tt.lines))
			}
			for i, want := range tt.lines {
				beginning, within, _ := strings.Cut(want, "*")
				if !strings.HasPrefix(got[i], beginning) || !strings.Contains(got[i], within) {
					t.Errorf("got %q, want it to begin with %q and to contain %q", got[i], beginning, within)
				}
			}
		})
	}
	t.Run("a host of which nothing can be read is no crash", func(t *testing.T) {
		r := doctor.Examine(host(nil, 0), doctor.Wanted{Port: 8080})
		if r.Count(doctor.Warning) < 8 {
			t.Errorf("got %q, want a warning for each file", notOK(r))
		}
	})
}

func TestReport(t *testing.T) {
	r := doctor.Report{Connections: 1_234_567, Findings: []doctor.Finding{
		{Check: "a", Status: doctor.OK, Is: "1", Want: "1", Why: "of reasons"},
		{Check: "b", Status: doctor.Fault, Is: "1", Want: "2", Why: "of others", Fix: "add 1"},
	}}
	var text, raw strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1,234,567 connections", "ok       a: 1", "fault    b: 1", "want 2: of others", "fix: add 1", "1 ok, 0 warnings, 1 faults"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got %q, want %q in it", text.String(), want)
		}
	}
	if err := r.WriteJSON(&raw); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Connections int
		Findings    []map[string]string
	}
	if err := json.Unmarshal([]byte(raw.String()), &back); err != nil || back.Connections != 1_234_567 || back.Findings[1]["status"] != "fault" {
		t.Errorf("got %+v %v back from JSON, want the same", back, err)
	}
}

func TestThisHost(t *testing.T) {
	h, err := doctor.ThisHost()
	if err != nil || h.Hard == 0 || h.CPUs < 1 || h.PageSize < 4096 {
		t.Fatalf("got %+v %v, want limits, CPUs and the size of a page", h, err)
	}
	for _, f := range doctor.Examine(h, wanted(100)).Findings {
		if f.Check == "descriptors" && f.Status != doctor.OK || f.Is == "" || f.Want == "" || f.Why == "" || (f.Fix == "") != (f.Status == doctor.OK) {
			t.Errorf("got %+v, want 100 descriptors, every field, and a fix exactly when it is not ok", f)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	for _, row := range []struct{ name, path, want string }{
		{"none", "", ""},
		{"a folder that is there", "/proc/net/resound.sock", ""},
		{"a folder that is not", "/run/none/resound.sock", "fault unix_socket: open run/none: file does not exist"},
		{"a file for a folder", "/proc/meminfo/resound.sock", "fault unix_socket:"},
		{"a file", "/proc/meminfo", "fault unix_socket: ----------"},
		{"a long path", "/" + strings.Repeat("x", 102), "fault unix_socket: a path of 103 bytes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := wanted(tenThousand)
			w.UnixSocket = row.path
			var got string
			for _, line := range notOK(doctor.Examine(host(stock, 100_000), w)) {
				if strings.Contains(line, "unix_socket") {
					got = line
				}
			}
			if row.want == "" && got != "" || !strings.HasPrefix(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
