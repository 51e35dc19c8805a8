package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// from is a server as somebody with another address of this host sees it.
func (s *server) from(address string) *server {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	other := *s
	other.dial = d.DialContext
	return &other
}

// at is a server as it is seen over its Unix socket.
func (s *server) at(path string) *server {
	other := *s
	other.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &other
}

// remotes returns the addresses that resound connections shows.
func (c *commanded) remotes(t *testing.T) string {
	t.Helper()
	var all []string
	for d := json.NewDecoder(strings.NewReader(c.run(t, "connections", "--json"))); d.More(); {
		var row struct{ Remote string }
		if err := d.Decode(&row); err != nil {
			t.Fatal(err)
		}
		all = append(all, row.Remote)
	}
	return strings.Join(all, " ")
}

// expectRemote wants exactly one connection, of an address and perhaps some port.
func (c *commanded) expectRemote(t *testing.T, want string) {
	t.Helper()
	got := c.remotes(t)
	if host, _, err := net.SplitHostPort(got); got != want && (err != nil || host != want) {
		t.Errorf("the connections are of %q, want one of %s", got, want)
	}
}

// freePort is one that nobody listens on just now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// get asks with more header lines.
func get(t *testing.T, s *server, route string, header http.Header) answer {
	t.Helper()
	message, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url(route), nil)
	if err != nil {
		t.Fatal(err)
	}
	message.Header = header.Clone()
	message.Host = header.Get("Host")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: s.dial}}
	response, err := client.Do(message)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}
}

// startNginx starts nginx with the parts of a configuration, as root or as its user.
func startNginx(t *testing.T, main, http string) *process {
	t.Helper()
	path := needProgram(t, "nginx")
	dir := t.TempDir()
	user := ""
	if os.Getuid() == 0 {
		user = "user root root;\n" // its workers would otherwise not reach the socket
	}
	if http != "" {
		http = "http {\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\nfastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\n" + http + "\n}\n"
	}
	text := main + user + "daemon off;\npid nginx.pid;\nerror_log stderr notice;\nevents { worker_connections 1024; }\n" + http
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := launch(t, exec.Command(path, "-p", dir, "-e", "stderr", "-c", file))
	p.expectOutput(t, "start worker process ")
	return p
}

// TestNginxOnTheUnixSocket is also that of scripts/nginx/one-host.conf.
func TestNginxOnTheUnixSocket(t *testing.T) {
	t.Parallel()
	needProgram(t, "nginx")
	path := socketPath(t)
	path = filepath.Join(filepath.Dir(path), "resound.sock")
	c := startCommanded(t, startOptions{env: map[string]string{"RESOUND_UNIX_SOCKET": path, "RESOUND_MAX_CONNECTIONS_PER_ADDRESS": "2"}})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("the socket is %v, %v, want mode 0660", info, err)
	}
	expectSays(t, c.run(t, "status"), " and "+path)
	text, err := os.ReadFile(filepath.Join(scripts, "nginx", "one-host.conf"))
	if err != nil {
		t.Fatal(err)
	}
	front := &server{port: freePort(t)}
	front.process = startNginx(t, "", strings.NewReplacer("listen 80;", "listen "+front.address()+";", "/run/resound/resound.sock", path).Replace(string(text)))
	front.expectUp(t)

	one := front.from("127.0.0.5")
	k := openApp(t, one, testApp, http.Header{"X-Forwarded-For": {"203.0.113.66"}})
	c.expectRemote(t, "127.0.0.5") // and not what the client said
	k.join(t, "news", "")
	front.api().trigger(t, "news", "Happened", `{"n":1}`)
	if got := decode(t, k.next(t)); got.Event != "Happened" {
		t.Errorf("received %+v", got)
	}
	// The API and then a handshake on the connection that nginx kept.
	second := open(t, one)
	third := dial(t, one, testApp, nil)
	third.expectClose(t, 4100)
	other := open(t, front.from("127.0.0.6"))
	second.close(t)
	eventually(t, "another may come", func() bool {
		k := dial(t, one, testApp, nil)
		defer k.conn.CloseNow()
		text, ok := <-k.messages
		return ok && strings.Contains(text, "connection_established")
	})
	for _, header := range []http.Header{{}, {"Host": {"localhost"}}, {"X-Forwarded-For": {"127.0.0.1"}, "Host": {"127.0.0.1"}}} {
		if got := get(t, front, "/metrics", header); got.status != http.StatusForbidden {
			t.Errorf("GET /metrics with %v through nginx is %d, want 403", header, got.status)
		}
	}
	// The socket itself, as nginx with nothing but proxy_pass would be on it.
	if got := get(t, c.at(path), "/metrics", http.Header{"Host": {"localhost"}}); got.status != http.StatusForbidden {
		t.Errorf("GET /metrics on the socket is %d, want 403", got.status)
	}
	if got := get(t, c.server, "/metrics", http.Header{"Host": {"localhost"}}); got.status != http.StatusOK || !strings.Contains(got.body, "\nresound_client_addresses 2\n") {
		t.Errorf("GET /metrics of this host is %d %.300s, want 200 and two addresses", got.status, got.body)
	}
	k.close(t)
	other.close(t)
	c.expectNobodyHeld(t)
}

// TestAddressOutlivesHTTP: a connection that asked the API first is the same
// client's when it becomes a WebSocket, and counts once.
func TestAddressOutlivesHTTP(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{env: map[string]string{
		"RESOUND_TRUSTED_PROXIES": "127.0.0.9", "RESOUND_PROXY_PROTOCOL": "optional", "RESOUND_MAX_CONNECTIONS_PER_ADDRESS": "1",
	}})
	for _, row := range []struct{ from, header, line, want string }{
		{"127.0.0.5", "", "", "127.0.0.5"},
		{"127.0.0.9", "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n", "", "203.0.113.7:4711"},
		{"127.0.0.9", "", "X-Forwarded-For: 203.0.113.8\r\n", "203.0.113.8"},
	} {
		conn, err := c.from(row.from).dial(t.Context(), "tcp", c.address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(conn)
		ask := func(text string) int {
			_, _ = io.WriteString(conn, text)
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", row.want, err)
			}
			if response.StatusCode == http.StatusOK {
				_, _ = io.Copy(io.Discard, response.Body)
			}
			return response.StatusCode
		}
		if got := ask(row.header + "GET /up HTTP/1.1\r\nHost: a\r\n\r\n"); got != http.StatusOK {
			t.Errorf("%s: GET /up is %d", row.want, got)
		}
		if got := ask("GET /app/" + testApp.key + "?protocol=7 HTTP/1.1\r\nHost: a\r\n" + row.line + "Upgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"); got != http.StatusSwitchingProtocols {
			t.Errorf("%s: the handshake is answered with %d", row.want, got)
		}
		if text, err := in.Peek(45); err != nil || !strings.Contains(string(text), "established") {
			t.Errorf("%s: got %q, %v", row.want, text, err)
		}
		c.expectRemote(t, row.want)
		if row.line != "" {
			dial(t, c.from("127.0.0.9"), testApp, http.Header{"X-Forwarded-For": {"203.0.113.8"}}).expectClose(t, 4100)
		}
		_ = conn.Close()
		c.expectNobodyHeld(t)
		eventually(t, "it is gone", func() bool { return c.remotes(t) == "" })
	}
}

// expectNobodyHeld wants that the last connection of an address takes the address
// with it: one that is kept would be shut out in the end.
func (c *commanded) expectNobodyHeld(t *testing.T) {
	t.Helper()
	eventually(t, "no address is counted for", func() bool {
		var status struct{ Connections struct{ Addresses int } }
		c.runJSON(t, &status, "status")
		return status.Connections.Addresses == 0
	})
}

// TestHAProxyPassesTLSThrough is also that of scripts/haproxy/passthrough.cfg.
func TestHAProxyPassesTLSThrough(t *testing.T) {
	t.Parallel()
	haproxy := needProgram(t, "haproxy")
	certFile, keyFile, pool := issue(t, t.TempDir(), 1)
	c := startCommanded(t, startOptions{secure: pool, env: map[string]string{
		"RESOUND_OPTIONS_TLS_LOCAL_CERT": certFile, "RESOUND_OPTIONS_TLS_LOCAL_PK": keyFile,
		// HAProxy comes from an address of its own here, so that others of this host
		// are none of its kind.
		"RESOUND_TRUSTED_PROXIES": "127.0.0.2", "RESOUND_PROXY_PROTOCOL": "true", "RESOUND_MAX_CONNECTIONS_PER_ADDRESS": "2",
	}})
	text, err := os.ReadFile(filepath.Join(scripts, "haproxy", "passthrough.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	front := &server{port: freePort(t), secure: pool}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	conf := strings.NewReplacer("bind :443\n", "bind "+front.address()+"\n", "maxconn 100000", "maxconn 1000",
		"10.0.0.11:8080", c.address()+" source 127.0.0.2", "	server node2 10.0.0.12:8080\n", "", "	server node3 10.0.0.13:8080\n", "").Replace(string(text))
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	front.process = launch(t, exec.Command(haproxy, "-db", "-f", file))
	front.expectUp(t)

	one := front.from("127.0.0.5")
	k := open(t, one)
	if got := c.remotes(t); !strings.HasPrefix(got, "127.0.0.5:") {
		t.Errorf("the connection is of %q, want 127.0.0.5", got)
	}
	if got := front.status("/metrics"); got != http.StatusForbidden {
		t.Errorf("GET /metrics through HAProxy is %d, want 403", got)
	}
	k.close(t)
	// Beyond twice the limit, and before TLS, a connection is closed.
	for range 2 {
		open(t, one)
	}
	if got := one.status("/up"); got != 0 {
		t.Errorf("a third connection gets %d, want none", got)
	}
	if got := front.from("127.0.0.6").status("/up"); got != http.StatusOK {
		t.Errorf("another address gets %d", got)
	}
	// Who is no proxy sends none; who sends one is refused.
	if got := c.from("127.0.0.7").status("/up"); got != http.StatusOK {
		t.Errorf("a direct client gets %d", got)
	}
	conn, err := c.from("127.0.0.7").dial(t.Context(), "tcp", c.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n")
	if got, err := io.ReadAll(conn); len(got) > 0 || err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a forged PROXY header is answered with %q, %v", got, err)
	}
	expectSays(t, c.run(t, "status"), "refused for their address", "1 for their PROXY header")
	front.signal(t, syscall.SIGKILL)
	c.expectNobodyHeld(t)
}

// TestNginxSendsPROXY has version 1 of the protocol, in front of plain HTTP.
func TestNginxSendsPROXY(t *testing.T) {
	t.Parallel()
	const module = "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err != nil {
		skipWithout(t, []string{"nginx's stream module (Debian package libnginx-mod-stream)"})
	}
	c := startCommanded(t, startOptions{env: map[string]string{"RESOUND_TRUSTED_PROXIES": "loopback", "RESOUND_PROXY_PROTOCOL": "true"}, proxied: true})
	front := &server{port: freePort(t)}
	front.process = startNginx(t, "load_module "+module+";\nstream { server { listen "+front.address()+"; proxy_pass "+c.address()+"; proxy_protocol on; } }\n", "")
	front.expectUp(t)
	open(t, front.from("127.0.0.5"))
	c.expectRemote(t, "127.0.0.5")
	front.api().trigger(t, "news", "Happened", `{"n":1}`)
	if got := front.status("/metrics"); got != http.StatusForbidden {
		t.Errorf("GET /metrics of 127.0.0.1 through nginx is %d, want 403: it is not direct", got)
	}
	if got := c.status("/up"); got != 0 {
		t.Errorf("without a header GET /up is %d, want nothing", got)
	}
}

func TestSpoofedAddressesMeanNothing(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{
		args: append([]string{"--debug"}, anyPort...),
		env:  map[string]string{"RESOUND_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.9"},
	})
	forged := http.Header{"X-Forwarded-For": {"203.0.113.66"}, "Forwarded": {"for=203.0.113.66"}, "X-Real-Ip": {"203.0.113.66"}}
	k := openApp(t, c.from("127.0.0.5"), testApp, forged)
	c.expectRemote(t, "127.0.0.5")
	k.close(t)
	eventually(t, "it is gone", func() bool { return c.remotes(t) == "" })
	k = openApp(t, c.from("127.0.0.9"), testApp, http.Header{"X-Forwarded-For": {"127.0.0.1, 203.0.113.66", "10.1.2.3"}})
	c.expectRemote(t, "203.0.113.66")
	c.expectOutput(t, `(?s)Connection Established +[0-9.]+ from 127\.0\.0\.5:\d+\s.*Connection Established +[0-9.]+ from 203\.0\.113\.66\s`)
	k.close(t)
	conn, err := net.Dial("tcp", c.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, "PROXY TCP4 203.0.113.66 127.0.0.1 1 2\r\nGET /up HTTP/1.1\r\nHost: a\r\n\r\n")
	if got, _ := io.ReadAll(conn); strings.Contains(string(got), "200 OK") {
		t.Errorf("a PROXY header that nobody asked for is taken: %q", got)
	}
}

// TestFloodFromOneAddress: what one address does is not felt at another.
func TestFloodFromOneAddress(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{env: map[string]string{
		"RESOUND_MAX_CONNECTIONS_PER_ADDRESS": "20", "RESOUND_MAX_HANDSHAKES_PER_SECOND_PER_ADDRESS": "50",
	}})
	stop := make(chan struct{})
	var attackers sync.WaitGroup
	var tried atomic.Int64
	end := sync.OnceFunc(func() { close(stop); attackers.Wait() })
	defer end()
	bad := c.from("127.0.0.5")
	for range 4 {
		attackers.Go(func() {
			var kept []net.Conn
			defer func() {
				for _, c := range kept {
					_ = c.Close()
				}
			}()
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := bad.dial(context.Background(), "tcp", bad.address())
				if err != nil {
					continue
				}
				tried.Add(1)
				_, _ = fmt.Fprintf(conn, "GET /app/%s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", testApp.key)
				if kept = append(kept, conn); len(kept) > 200 {
					_ = kept[0].Close()
					kept = kept[1:]
				}
			}
		})
	}
	eventually(t, "a flood", func() bool { return tried.Load() > 2000 })
	good := c.from("127.0.0.6")
	var all []*socket
	for range 20 {
		k := open(t, good)
		k.join(t, "news", "")
		all = append(all, k)
	}
	if n := strings.Count(c.remotes(t)+" ", "127.0.0.5:"); n > 20 {
		t.Errorf("the attacker has %d connections, want at most 20", n)
	}
	if n := strings.Count(c.remotes(t)+" ", "127.0.0.6:"); n != 20 {
		t.Errorf("the others have %d connections, want 20", n)
	}
	c.api().trigger(t, "news", "Happened", `{"n":1}`) // 127.0.0.1 has no limit
	expectSays(t, c.run(t, "status"), "connections refused for their address")
	end()
	for _, k := range all {
		_ = k.conn.CloseNow()
	}
	c.expectNobodyHeld(t)
}

// TestFallbackCountsForItsAddress: a client without WebSocket is limited alike.
func TestFallbackCountsForItsAddress(t *testing.T) {
	t.Parallel()
	c := startCommanded(t, startOptions{env: map[string]string{"RESOUND_TRUSTED_PROXIES": "127.0.0.1", "RESOUND_MAX_CONNECTIONS_PER_ADDRESS": "1"}})
	receive := func(session string) string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			c.url("/pusher/app/"+testApp.key+"/1/"+session+"/xhr?protocol=7&client=js&version=8.4.0"), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", "203.0.113.7")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return string(text)
	}
	if got := receive("one"); !strings.Contains(got, "connection_established") {
		t.Errorf("the first is told %q", got)
	}
	c.expectRemote(t, "203.0.113.7")
	defer c.expectNobodyHeld(t) // its session ends when nobody receives
	got := receive("two")
	if !strings.Contains(got, "c[4100,") || strings.Contains(got, "established") {
		t.Errorf("the second is told %q, want a close with 4100", got)
	}
}

func TestReloadOfLimitsPerAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set := func(extra string) {
		text := `{"servers": {"reverb": {` + extra + `"drain_timeout": 1}}, "apps": {"apps": [{"app_id": "` + testApp.id + `", "key": "` + testApp.key + `", "secret": "` + testApp.secret + `"}]}}`
		if err := os.WriteFile(filepath.Join(dir, "reverb.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("")
	c := startCommanded(t, startOptions{dir: dir, bare: true, args: append([]string{"--config", "reverb.json"}, anyPort...)})
	one := c.from("127.0.0.5")
	before := open(t, one)
	set(`"max_connections_per_address": 2, "trusted_proxies": ["127.0.0.9"],`)
	expectSays(t, c.run(t, "reload"), "max_connections_per_address", "trusted_proxies")
	for range 2 {
		open(t, one) // the one before is not counted
	}
	dial(t, one, testApp, nil).expectClose(t, 4100)
	before.close(t)
	dial(t, one, testApp, nil).expectClose(t, 4100)
	openApp(t, c.from("127.0.0.9"), testApp, http.Header{"X-Forwarded-For": {"203.0.113.7"}})
	if got := c.remotes(t); !strings.Contains(got, "203.0.113.7") {
		t.Errorf("the connections are of %q", got)
	}
	set(`"proxy_protocol": true,`)
	expectSays(t, run(t, c.dir, c.env, 1, "reload"), "needs trusted_proxies")
	set("")
	c.run(t, "reload")
	open(t, one)
}

// TestRestartOnTheUnixSocket: nobody who connects there is refused either.
func TestRestartOnTheUnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filepath.Dir(socketPath(t)), "resound.sock")
	c := startCommanded(t, startOptions{restarts: true, env: map[string]string{"RESOUND_DRAIN_TIMEOUT": "1", "RESOUND_UNIX_SOCKET": path}})
	k := knock(t, path, nil)
	k.more(t, 100)
	pid := c.cmd.Process.Pid
	for i := range 2 {
		var done struct{ PID int }
		c.runJSON(t, &done, "restart")
		eventually(t, "the old process ends", func() bool { return !runs(pid) })
		k.more(t, 100)
		c.expectOutput(t, `(?s)(the process before has ended.*){`+strconv.Itoa(i+1)+`}`)
		pid = done.PID
	}
	open(t, c.at(path))
	left, _ := filepath.Glob(path + "*")
	if len(left) != 1 {
		t.Errorf("%v are there, want the socket alone", left)
	}
}

func TestUnixSocketOfOthers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(filepath.Dir(socketPath(t)), "resound.sock")
	env := map[string]string{"RESOUND_UNIX_SOCKET": path, "RESOUND_UNIX_SOCKET_MODE": "0600"}
	c := startCommanded(t, startOptions{env: env})
	again := testApp.environment()
	for name, value := range env {
		again[name] = value
	}
	expectSays(t, run(t, "", again, 1, append([]string{"start"}, anyPort...)...), "unix_socket "+path, "another server uses this socket")
	open(t, c.at(path))
	c.signal(t, syscall.SIGKILL)
	c.wait(t)
	if _, err := os.Stat(path); err != nil {
		t.Fatal("there is no socket of a dead process:", err)
	}
	next := startCommanded(t, startOptions{env: env})
	open(t, next.at(path))
	next.signal(t, syscall.SIGTERM)
	if code := next.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	expectSays(t, run(t, "", again, 1, append([]string{"start"}, anyPort...)...), "not a socket")
}
