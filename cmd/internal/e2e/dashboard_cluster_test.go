package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestDashboardOfACluster looks at three nodes from one of them: in the status, by
// its command and on the page, until one of them is killed and Redis is.
func TestDashboardOfACluster(t *testing.T) {
	t.Parallel()
	r := startRedis(t)
	env := r.environment(map[string]string{"APP_ENV": "local", "RESOUND_MONITORING_STORAGE": filepath.Join(t.TempDir(), "history.db")})
	first := startCommanded(t, startOptions{env: env})
	others := nodes(t, r, 2, nil)
	for i, s := range others {
		for range 3 + i {
			open(t, s).join(t, "orders", "")
		}
	}
	open(t, first.server)

	type status struct {
		Nodes []struct {
			ID      string
			Self    bool
			Figures *struct {
				Address, Version, State string
				PID, Connections        int
				Memory                  int `json:"memory_bytes"`
			}
		}
	}
	seen := func() (nodes []string) {
		var s status
		first.runJSON(t, &s, "status")
		for _, n := range s.Nodes {
			if f := n.Figures; f != nil && f.Version != "" && f.PID != 0 && f.Memory > 1<<20 && n.ID != "" {
				nodes = append(nodes, fmt.Sprint(f.Address, " ", n.Self, " ", f.State, " ", f.Connections))
			}
		}
		if len(nodes) > 1 {
			slices.Sort(nodes[1:]) // this one is first
		}
		return nodes
	}
	row := func(s *server, self bool, connections int) string {
		return fmt.Sprint(s.address(), " ", self, " running ", connections)
	}
	want := []string{row(others[0], false, 3), row(others[1], false, 4)}
	slices.Sort(want)
	want = append([]string{row(first.server, true, 1)}, want...)
	eventually(t, "every node is seen with its connections", func() bool { return slices.Equal(seen(), want) })
	expectSays(t, first.run(t, "status"), "NODE ", first.address()+" (this one)", others[1].address(), "3 nodes")

	b := browse(t)
	const page = "dashboard"
	b.do(t, "open", arguments{"client": page, "url": first.url("/reverb")})
	for _, name := range []string{first.address() + " (this one)", others[0].address(), others[1].address(), "all 3"} {
		b.text(t, page, `#nodes td:has-text("`+name+`")`)
	}
	b.text(t, page, `#nodes tr.sum td:text-is("8")`)
	b.expectAccessible(t, page)
	b.photograph(t, page, "dashboard-cluster.png", 1280, 1500, "light")
	b.click(t, page, `#nodes button:text-is("`+others[1].address()+`")`)
	b.do(t, "attached", arguments{"client": page, "selector": `svg[aria-label^="Connections: open 4"]`, "timeout": patience.Milliseconds() / 2})
	b.click(t, page, `#nodes button:text-is("all 3")`)
	b.do(t, "attached", arguments{"client": page, "selector": `svg[aria-label^="Connections: open 8"]`, "timeout": patience.Milliseconds() / 2})

	others[1].signal(t, syscall.SIGKILL)
	eventually(t, "the killed node is gone", func() bool { return len(seen()) == 2 })
	b.text(t, page, `#nodes tr.sum td:text-is("4")`)
	r.kill(t)
	b.text(t, page, `#nodes tr.firing:has-text("out of reach")`)
	eventually(t, "the node knows only itself", func() bool {
		text := first.run(t, "status")
		return strings.Contains(text, "degraded") && !strings.Contains(text, others[0].address())
	})
	if n := b.count(page, "page_error", ""); n != 0 {
		t.Errorf("%d errors on the page:\n%s", n, b.history(page))
	}
}
