package config_test

import (
	"fmt"
	"strings"
	"testing"

	"resound/cmd/internal/config"
)

// reader returns the field that a table row is about.
type reader func(*config.Config) any

func TestValues(t *testing.T) {
	port := func(c *config.Config) any { return c.Server.Port }
	path := func(c *config.Config) any { return c.Server.Path }
	host := func(c *config.Config) any { return c.Server.Host }
	proxyProtocol := func(c *config.Config) any { return c.Server.ProxyProtocol }
	proxies := func(c *config.Config) any { return c.Server.TrustedProxies }
	verify := func(c *config.Config) any { return c.Server.VerifyTimestamp }
	drain := func(c *config.Config) any { return c.Server.DrainTimeout }
	origins := func(c *config.Config) any { return c.Apps[0].AllowedOrigins }
	from := func(c *config.Config) any { return c.Apps[0].AcceptClientEventsFrom }
	batch := func(c *config.Config) any { return c.Apps[0].MaxBatchEvents }
	auth := func(c *config.Config) any { return c.Apps[0].Auth }
	clientEvents := func(c *config.Config) any { return c.Apps[0].ClientEventsPerSecond }
	strict := func(c *config.Config) any { return c.Apps[0].StrictInfo }

	server := func(text string) string { return "servers: {reverb: {" + text + "}}" }
	app := func(text string) string { return "apps: {apps: [{" + text + "}]}" }
	tests := []struct {
		name string
		file string
		env  string
		read reader
		want string
	}{
		{"a number", server("port: 80"), "", port, "80"},
		{"a number as text", server(`port: "80"`), "", port, "80"},
		{"a float without fraction", server("port: 80.0"), "", port, "80"},
		{"port zero lets the kernel choose", server("port: 0"), "", port, "0"},
		{"an empty text is the default", server(`port: ""`), "", port, "8080"},
		{"PHP's spelling of true", server("verify_timestamp: (true)"), "", verify, "true"},
		{"PHP's spelling of false", server(`verify_timestamp: "(false)"`), "", verify, "false"},
		{"a boolean as a number", server("verify_timestamp: 0"), "", verify, "false"},
		{"a boolean as text", "", "RESOUND_VERIFY_TIMESTAMP=0", verify, "false"},
		{"a boolean in capitals", "", "RESOUND_VERIFY_TIMESTAMP=FALSE", verify, "false"},
		{"quotes that a container left in place", "", "RESOUND_VERIFY_TIMESTAMP='false'", verify, "false"},
		{"seconds", server("drain_timeout: 3"), "", drain, "3s"},
		{"seconds as text", "", "RESOUND_DRAIN_TIMEOUT=3", drain, "3s"},
		{"a fraction of seconds", server("drain_timeout: 0.25"), "", drain, "250ms"},
		{"a duration with unit", server("drain_timeout: 2m"), "", drain, "2m0s"},
		{"no drain", server("drain_timeout: 0"), "", drain, "0s"},
		{"a limit that is on", app("max_client_events_per_second: true"), "", clientEvents, "10"},
		{"a limit that is on in the environment", "", "RESOUND_APP_MAX_CLIENT_EVENTS_PER_SECOND=true", clientEvents, "10"},
		{"a limit that is off", app("max_client_events_per_second: false"), "", clientEvents, "0"},
		{"a limit of one", app("max_client_events_per_second: 1"), "", clientEvents, "1"},
		{"a path without slash", server("path: ws"), "", path, "/ws"},
		{"a path with slashes", server("path: /a/b/"), "", path, "/a/b"},
		{"a path that is the root", server("path: /"), "", path, ""},
		{"an IPv6 address in brackets", server(`host: "[::1]"`), "", host, "::1"},
		{"a host name", server("host: localhost"), "", host, "localhost"},
		{"proxies as a list", server("trusted_proxies: [10.1.2.3/8, 192.168.0.1]"), "", proxies, "[10.0.0.0/8 192.168.0.1/32]"},
		{"proxies by words", server("trusted_proxies: [loopback, Private]"), "", proxies, "[127.0.0.0/8 ::1/128 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7]"},
		{"everybody a proxy", "", "RESOUND_TRUSTED_PROXIES=*", proxies, "[0.0.0.0/0 ::/0]"},
		{"proxies of IPv4 in IPv6", server("trusted_proxies: ['::ffff:10.1.2.3', '::ffff:10.0.0.0/104', '::/0']"), "", proxies, "[10.1.2.3/32 10.0.0.0/8 ::/0]"},
		{"the PROXY protocol on", server("trusted_proxies: 10.0.0.1, proxy_protocol: true"), "", proxyProtocol, "true"},
		{"the PROXY protocol on the Unix socket", server("unix_socket: /run/x.sock, proxy_protocol: optional"), "", proxyProtocol, "optional"},
		{"the PROXY protocol in PHP's words", "", "RESOUND_PROXY_PROTOCOL=(false)", proxyProtocol, "false"},
		{"rights of the Unix socket", server("unix_socket_mode: 666"), "", func(c *config.Config) any { return c.Server.UnixSocketMode }, "0666"},
		{"limits per address", server("max_connections_per_address: 200"), "RESOUND_MAX_HANDSHAKES_PER_SECOND_PER_ADDRESS=50", func(c *config.Config) any {
			return fmt.Sprint(c.Server.MaxConnectionsPerAddress, c.Server.MaxHandshakesPerAddress)
		}, "200 50"},
		{"no limits per address", server("max_connections_per_address: null"), "", func(c *config.Config) any { return c.Server.MaxConnectionsPerAddress }, "0"},
		{"proxies as text", "", "RESOUND_TRUSTED_PROXIES=10.0.0.0/8, ::1", proxies, "[10.0.0.0/8 ::1/128]"},
		{"origins as a list", app("allowed_origins: [a.test, '*.b.test']"), "", origins, "[a.test *.b.test]"},
		{"origins as text", "", "RESOUND_APP_ALLOWED_ORIGINS=a.test, b.test,", origins, "[a.test b.test]"},
		{"origins as a PHP array", app(`allowed_origins: {"1": b.test, "0": a.test}`), "", origins, "[a.test b.test]"},
		{"client events from all", app("accept_client_events_from: all"), "", from, "all"},
		{"client events false", app("accept_client_events_from: false"), "", from, "none"},
		{"client events null", app("accept_client_events_from: null"), "", from, "members"},
		{"client events in capitals", "", "REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=None", from, "none"},
		{"a limit", app("max_batch_size: 5"), "", batch, "5"},
		{"no limit", app("max_batch_size: null"), "", batch, "0"},
		{"no shield", "", "", auth, "{ 0s 5s 64}"},
		{"an empty shield", app("auth: []"), "", auth, "{ 0s 5s 64}"},
		{
			"a shield", app("auth: {upstream: 'http://127.0.0.1:8000/broadcasting/auth', cache_ttl: 1.5, timeout: 2s, max_in_flight: 8}"), "",
			auth, "{http://127.0.0.1:8000/broadcasting/auth 1.5s 2s 8}",
		},
		{"a shield in the environment", "", "RESOUND_APP_AUTH_UPSTREAM=https://app.test/auth?x=1", auth, "{https://app.test/auth?x=1 0s 5s 64}"},
		{"strict info", app("strict_info: true"), "", strict, "true"},
		{"lax info", "", "", strict, "false"},
		{"no limit in the environment", "", "RESOUND_APP_MAX_BATCH_SIZE=null", batch, "0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := setup{file: tt.file, environ: append([]string{tt.env}, oneApp...)}.mustLoad(t)
			if got := fmt.Sprint(tt.read(c)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	server := func(text string) string { return "servers: {reverb: {" + text + "}}" }
	app := func(text string) string { return "apps: {apps: [{" + text + "}]}" }
	tests := []struct {
		name string
		file string
		env  string
		want string
	}{
		{"not a number", server("port: abc"), "", `conf.yaml: servers.reverb.port: "abc" is not a whole number, 0 to 65535`},
		{"the environment is named", "", "REVERB_SERVER_PORT=abc", `servers.reverb.port (environment REVERB_SERVER_PORT): "abc" is not a whole number, 0 to 65535`},
		{"out of range", server("port: 65536"), "", "65536 is not a whole number, 0 to 65535"},
		{"negative", server("workers: -1"), "", "-1 is not a whole number, 0 to 64"},
		{"too large for any number", server("port: 99999999999999999999"), "", "servers.reverb.port"},
		{"a fraction", server("workers: 1.5"), "", "1.5 is not a whole number"},
		{"a boolean for a number", server("port: true"), "", "true is not a whole number"},
		{"a list for a number", server("port: [1]"), "", "a list is not a whole number"},
		{"zero connections", server("max_connections: 0"), "", "0 is not a whole number, 1 to 10000000, or null"},
		{"not a boolean", server("reuse_port: maybe"), "", `"maybe" is not true or false`},
		{"not a duration", server("drain_timeout: soon"), "", `"soon" is not a duration, 0 s to 3600 s`},
		{"a duration out of range", server("handshake_timeout: 10h"), "", `"10h" is not a duration, 0.1 s to 3600 s`},
		{"no duration at all", "", "RESOUND_DRAIN_TIMEOUT=NaN", `"NaN" is not a duration`},
		{"an endless duration", "", "RESOUND_DRAIN_TIMEOUT=1e300", `"1e300" is not a duration`},
		{"a host with a port", server("host: 'localhost:80'"), "", `"localhost:80" is not an IP address or a host name`},
		{"a path with a query", server("path: '/a?b'"), "", `"/a?b" is not a path`},
		{"a path upwards", server("path: /a/../b"), "", `"/a/../b" is not a path`},
		{"a proxy by name", server("trusted_proxies: [proxy.test]"), "", `entry "proxy.test" is not an IP address or CIDR range, nor loopback, private or *`},
		{"PROXY headers from nobody", server("proxy_protocol: optional"), "", "proxy_protocol (conf.yaml servers.reverb.proxy_protocol): optional needs trusted_proxies"},
		{"PROXY headers by another word", server("proxy_protocol: v2"), "", `"v2" is not true, false or "optional"`},
		{"rights that are none", server("unix_socket_mode: rw"), "", `"rw" is not rights in octal`},
		{"no connections for an address", server("max_connections_per_address: 0"), "", "0 is not a whole number, 1 to 10000000, or null"},
		{"an unknown server", "", "REVERB_SERVER=other", `"other" is not "reverb", the only one there is`},
		{"an unknown provider", "apps: {provider: database}", "", `"database" is not "config"`},
		{"one port for both", server("port: 443, plain_port: 443"), "", "servers.reverb.plain_port (conf.yaml servers.reverb.plain_port): 443 is the port with TLS already"},
		{"a second port out of range", server("plain_port: 65536"), "", "servers.reverb.plain_port: 65536 is not"},
		{"a Redis URL of something else", server("scaling: {enabled: true}"), "REDIS_URL=http://localhost", "servers.reverb.scaling.server.url (environment REDIS_URL): the scheme of the URL is not redis, rediss, tcp or tls"},
		{"a Redis URL without a host", server("scaling: {enabled: true}"), "REDIS_URL=localhost:6379", "server.url (environment REDIS_URL): the value (not shown) is not a URL with a host"},
		{"a Redis URL with a wrong port", server("scaling: {enabled: true}"), "REDIS_URL=redis://localhost:70000", "the port of the URL is not a number from 1 to 65,535"},
		{"a Redis URL with a wrong database", server("scaling: {enabled: true}"), "REDIS_URL=redis://localhost/one", "the database of the URL is not a number from 0 to 65,535"},
		{"a Redis host with a path", server("scaling: {enabled: true}"), "REDIS_HOST=/run/redis.sock", "server.host (environment REDIS_HOST): \"/run/redis.sock\" is not a host name or an IP address"},
		{"cluster and sentinel", server("scaling: {enabled: true, server: {cluster: ['a:1'], sentinel: {addresses: ['b:2']}}}"), "", "not both"},
		{"a database of a cluster", server("scaling: {enabled: true, server: {cluster: ['a:1'], database: 2}}"), "", "2 is not 0, the only database of a Redis Cluster"},
		{"an address without a port", server("scaling: {enabled: true, server: {cluster: ['a']}}"), "", "server.cluster (conf.yaml servers.reverb.scaling.server.cluster): \"a\" is not HOST:PORT"},
		{"an unknown way to take outages", server("scaling: {on_outage: hide, enabled: true}"), "", "servers.reverb.scaling.on_outage: \"hide\" is not one of serve, refuse"},
		{"a prefix with braces", server("scaling: {channel: 'a{b', enabled: true}"), "", "servers.reverb.scaling.channel: \"a{b\" is not a text of at most 200 bytes without braces"},
		{"a wrong Redis port with scaling", server("scaling: {enabled: true, server: {port: 0}}"), "", "servers.reverb.scaling.server.port: 0 is not"},
		{"a number where a section belongs", "servers: {reverb: 5}", "", "servers.reverb: not a map of keys"},
		{"a list where a section belongs", "servers: {reverb: {scaling: [1]}}", "", "servers.reverb.scaling: not a map of keys"},
		{"an activity timeout of zero", app("activity_timeout: 0"), "", "apps.apps[0].activity_timeout: 0 is not whole seconds: a duration, 1 s to 86400 s"},
		{"half a second of activity timeout", app("activity_timeout: 1.5"), "", "1.5 is not whole seconds"},
		{"unknown senders of client events", app("accept_client_events_from: admins"), "", `"admins" is not "members", "all" or "none"`},
		{"client events true", app("accept_client_events_from: true"), "", `true is not "members", "all" or "none"`},
		{"an id without quotes behind an anchor", app("app_id: &id 0123"), "", "apps.apps[0].app_id: 83 is not text; put it in quotes"},
		{"an id without quotes in a merged app", "x: &x {app_id: 0123}\napps: {apps: [{<<: *x, key: a, secret: b}]}", "", "apps.apps[0].app_id: 83 is not text; put it in quotes"},
		{"an upstream with a password", app("auth: {upstream: 'http://user:hunter2@h/x'}"), "", `apps.apps[0].auth.upstream: "http://…@h/x" is not an http:// or https:// URL`},
		{"a short master key", app("encryption_master_key: c2hvcnQ="), "", "apps.apps[0].encryption_master_key: the value (not shown) is not base64 of 32 bytes"},
		{"an upstream without scheme", app("auth: {upstream: 'localhost:8000/auth'}"), "", `apps.apps[0].auth.upstream: "localhost:8000/auth" is not an http:// or https:// URL with a host`},
		{"an upstream without host", app("auth: {upstream: 'http:///auth'}"), "", "is not an http:// or https:// URL with a host"},
		{"an upstream of another kind", app("auth: {upstream: 'ftp://a.test/auth'}"), "", "is not an http:// or https:// URL with a host"},
		{"an upstream with a user", app("auth: {upstream: 'http://a:b@a.test/auth'}"), "", "without user and fragment"},
		{"an upstream with a port out of range", app("auth: {upstream: 'http://a.test:99999/auth'}"), "", "is not a URL with a port from 1 to 65535"},
		{"an upstream that is a list", app("auth: {upstream: [a]}"), "", "a list is not text"},
		{"no time for a question", app("auth: {timeout: 0}"), "", "apps.apps[0].auth.timeout: 0 is not a duration, 0.1 s to 60 s"},
		{"grants that are kept too long", app("auth: {cache_ttl: 2h}"), "", `"2h" is not a duration, 0 s to 3600 s`},
		{"no questions in flight", app("auth: {max_in_flight: 0}"), "", "0 is not a whole number, 1 to 10000"},
		{"a shield as text", app("auth: 'http://a.test/auth'"), "", "apps.apps[0].auth: not a map of keys"},
		{"an empty origin", app("allowed_origins: ['']"), "", `entry "" is not a text`},
		{"a key with a colon", "", "REVERB_APP_KEY=a:b", `"a:b" is not visible ASCII without / ? # % \ :`},
		{"a secret that is a list", app("secret: [a]"), "", "apps.apps[0].secret: a list is not text"},
		{"one app without a list", "apps: {apps: {app_id: a, key: b, secret: c}}", "", "apps.apps: one app where a list of apps belongs"},
		{"apps as text", "apps: {apps: x}", "", "apps.apps: not a list of apps"},
		{"an app as text", "apps: {apps: [x]}", "", "apps.apps[0]: not a map with the keys of an app"},
		{"two apps with one id", "apps: {apps: [{app_id: a, key: b, secret: c}, {app_id: a, key: d, secret: c}]}", "", `apps.apps[1].app_id: "a" is already the app_id of apps.apps[0]`},
		{"two apps with one key", "apps: {apps: [{app_id: a, key: b, secret: c}, {app_id: d, key: b, secret: c}]}", "", `apps.apps[1].key: "b" is already the key of apps.apps[0]`},
		{"an app without key", "apps: {apps: [{app_id: a, key: b, secret: c}, {app_id: d, secret: c}]}", "", "apps.apps[1].key: missing: an app needs app_id, key and secret; set it in conf.yaml"},
		{"a file that is a list", "- a", "", "configuration file: conf.yaml: not a map"},
		{"broken YAML", "a: b\nc: [d", "", "configuration file: conf.yaml:2:4: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			if tt.env != "" {
				environ = append(environ, tt.env)
			}
			if !strings.Contains(tt.file, "apps:") {
				environ = append(environ, oneApp...)
			}
			c, _, err := setup{file: tt.file, environ: environ}.load(t)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
			if c != nil {
				t.Errorf("got a configuration beside the error: %+v", c)
			}
		})
	}
}

func TestPartialCredentials(t *testing.T) {
	tests := []struct {
		name    string
		environ []string
		want    string
	}{
		{"no secret", []string{"REVERB_APP_ID=1", "REVERB_APP_KEY=k"}, "apps.apps[0].secret: missing: an app needs app_id, key and secret; set REVERB_APP_SECRET"},
		{"only a key of pusher", []string{"PUSHER_APP_KEY=k"}, "apps.apps[0].app_id: missing: an app needs app_id, key and secret; set PUSHER_APP_ID"},
		{"reverb's are not completed by pusher's", []string{"REVERB_APP_ID=1", "PUSHER_APP_ID=1", "PUSHER_APP_KEY=k", "PUSHER_APP_SECRET=s"}, "apps.apps[0].key: missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := setup{environ: tt.environ}.load(t)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want %s", err, tt.want)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	workers := 99
	_, _, err := setup{
		flags:   config.Flags{Workers: &workers},
		environ: []string{"REVERB_SERVER_PORT=x"},
		envFile: "APP_NAME=two words\nREVERB_APP_PING_INTERVAL=never",
		file:    "servers: {reverb: {max_outbound_bytes: 1}}\napps: {apps: [{app_id: a, key: b, secret: c}, {app_id: a}]}",
	}.load(t)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		".env: line 1: APP_NAME", "(environment REVERB_SERVER_PORT)", "(flag --workers): 99", "max_outbound_bytes: 1 is not",
		"apps.apps[1].key: missing", "apps.apps[1].secret: missing", "apps.apps[1].app_id: \"a\" is already",
	} {
		if n := strings.Count(err.Error(), want); n != 1 {
			t.Errorf("%q is reported %d times in:\n%v", want, n, err)
		}
	}
	if len(lines) != 7 {
		t.Errorf("%d errors, want 7:\n%v", len(lines), err)
	}
}
