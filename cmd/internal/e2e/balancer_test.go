package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	scripts           = "../../../scripts"
	dashboardPassword = "dashboard-password"
)

// tryOut runs scripts/cluster and returns the nginx and the nodes.
func tryOut(t *testing.T) (script *process, front *server, nodes []*server) {
	t.Helper()
	var missing []string
	for _, name := range []string{"redis-server", "nginx", "setpriv"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	skipWithout(t, missing)
	env := testApp.environment()
	env["RESOUND"], env["PATH"] = binary, os.Getenv("PATH")
	env["RESOUND_DASHBOARD_PASSWORD"] = dashboardPassword
	cmd := command(t, ".", env)
	cmd.Path, cmd.Args = filepath.Join(scripts, "cluster"), []string{"cluster"}
	script = launch(t, cmd)
	script.expectOutput(t, "Ctrl-C ends everything")
	port := func(pattern string) int {
		n, err := strconv.Atoi(script.expectOutput(t, pattern)[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for n := range 3 {
		nodes = append(nodes, &server{process: script, port: port(fmt.Sprintf(`node%d at 127\.0\.0\.1:(\d+)`, n+1))})
	}
	return script, &server{process: script, port: port(`The cluster is at http://127\.0\.0\.1:(\d+)`)}, nodes
}

// TestClusterBehindNginx is also that of scripts/cluster.
func TestClusterBehindNginx(t *testing.T) {
	t.Parallel()
	needPackages(t)
	script, front, nodes := tryOut(t)
	expectBalanced(t, front, nodes)
	script.signal(t, syscall.SIGTERM)
	if code := script.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	for _, s := range append(nodes, front) {
		if s.status("/up") != 0 {
			t.Errorf("port %d is served still", s.port)
		}
	}
}

func TestScriptThatIsKilledTakesItsClusterWithIt(t *testing.T) {
	t.Parallel()
	script, front, nodes := tryOut(t)
	script.signal(t, syscall.SIGKILL)
	for _, s := range append(nodes, front) {
		eventually(t, "nobody serves the port", func() bool { return s.status("/up") == 0 })
	}
}

func TestClusterBehindHAProxy(t *testing.T) {
	t.Parallel()
	needPackages(t)
	path := needProgram(t, "haproxy")
	all := nodes(t, startRedis(t), 3, map[string]string{"RESOUND_DASHBOARD_PASSWORD": dashboardPassword})
	text, err := os.ReadFile(filepath.Join(scripts, "haproxy", "resound.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	// The kernel chooses a port; should somebody take it before HAProxy does, it says so.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := &server{port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	replaced := []string{"bind :80\n", "bind " + front.address() + "\n", "maxconn 100000", "maxconn 1000"}
	for i, s := range all {
		replaced = append(replaced, fmt.Sprintf("10.0.0.%d:8080", 11+i), s.address())
	}
	dir := write(t, "resound.cfg", strings.NewReplacer(replaced...).Replace(string(text)))
	file := filepath.Join(dir, "resound.cfg")
	if out, err := exec.Command(path, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	front.process = launch(t, exec.Command(path, "-db", "-f", file))
	front.expectUp(t)
	expectBalanced(t, front, all)
}

// expectLoggedIn logs a browser in at the dashboard of a cluster, and wants all of its
// connections to reach the node that knows it.
func expectLoggedIn(t *testing.T, front *server, nodes []*server) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := browser.PostForm(front.url("/reverb/login"), url.Values{"password": {dashboardPassword}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	for range 3 * len(nodes) {
		answer, err := browser.Get(front.url("/reverb/session"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("GET /reverb/session = %d, want 200: the balancer sends a browser to another node than it is logged in at", answer.StatusCode)
		}
	}
}

// expectBalanced uses a cluster by what stands in front of it.
func expectBalanced(t *testing.T, front *server, nodes []*server) {
	t.Helper()
	var sockets []*socket
	for range 2 * len(nodes) {
		k := open(t, front)
		k.join(t, "news", "")
		sockets = append(sockets, k)
	}
	for _, s := range nodes {
		eventually(t, "every node has two of the connections", func() bool {
			return strings.Contains(request(t, http.MethodGet, s.url("/metrics"), "").body, "\nresound_connections{app="+quote(testApp.id)+"} 2\n")
		})
	}
	for i := range nodes {
		mark(t, front, "news", fmt.Sprint("Mark", i), sockets...)
	}
	if status := front.status("/metrics"); status != http.StatusForbidden {
		t.Errorf("GET /metrics = %d, want 403: the balancer passes neither Host nor X-Forwarded-For on", status)
	}

	expectLoggedIn(t, front, nodes)

	// The requests of a client that speaks HTTP all reach the node that knows it.
	a := serveApplication(t, testApp)
	s := &stage{server: front, application: a, auth: a.URL, driver: drive(t, "client.mjs")}
	for _, transport := range fallbacks {
		for i := range len(nodes) {
			client := fmt.Sprint(transport, i)
			s.over(t, client, client, transport)
			s.subscribeRaw(t, client, "presence-room")
		}
	}
	front.api().trigger(t, "presence-room", "Happened", `{"n":1}`)
	for _, transport := range fallbacks {
		for i := range len(nodes) {
			s.expectEvent(t, fmt.Sprint(transport, i), "presence-room", "Happened")
		}
	}
}
