package config

import (
	"slices"
	"time"
)

// root is the part of the file around the two sections.
type root struct {
	server   string
	provider string
}

// rootKeys declares the keys above the sections. They choose what Reverb calls
// drivers; there is one of each.
var rootKeys = []key[root]{
	{
		spec{
			path: "default", env: "REVERB_SERVER", fallback: "reverb", refine: only("reverb"),
			meaning: "The server to run. Only `reverb` is known.",
		},
		func(r *root) any { return &r.server },
	},
	{
		spec{
			path: "apps.provider", fallback: "config", refine: only("config"),
			meaning: "Where apps come from. Only `config`, this configuration, is known.",
		},
		func(r *root) any { return &r.provider },
	},
}

// serverKeys is all of `servers.reverb`.
var serverKeys = slices.Concat(nodeKeys, monitoringKeys, clusterKeys)

// nodeKeys declares `servers.reverb` without `scaling`.
//
// Reverb: config/reverb.php, "servers".
var nodeKeys = []key[Server]{
	{
		spec{
			path: "host", env: "REVERB_SERVER_HOST", flag: "host", fallback: "0.0.0.0", refine: listenHost,
			meaning: "IP address or host name to listen on. `::` listens on IPv4 and IPv6.",
		},
		func(s *Server) any { return &s.Host },
	},
	{
		spec{
			path: "port", env: "REVERB_SERVER_PORT", flag: "port", fallback: "8080", max: 65535,
			meaning: "TCP port for WebSocket and HTTP alike. 0 lets the kernel choose.",
		},
		func(s *Server) any { return &s.Port },
	},
	{
		spec{
			path: "path", env: "REVERB_SERVER_PATH", flag: "path", refine: pathPrefix,
			meaning: "Prefix of every route, such as `/ws`. `ws`, `/ws` and `/ws/` mean the same; empty and `/` mean none.",
		},
		func(s *Server) any { return &s.Path },
	},
	{
		spec{
			path: "hostname", live: true, env: "REVERB_HOST", flag: "hostname",
			meaning: "Public name of the server, for messages only.",
		},
		func(s *Server) any { return &s.Hostname },
	},
	{
		// Departs: Reverb counts the request line and the headers too; this is the body alone.
		spec{
			path: "max_request_size", env: "REVERB_MAX_REQUEST_SIZE", unit: "bytes", fallback: "10000", min: 1, max: 100 << 20,
			meaning: "Largest body of an HTTP request; above it the answer is 413.",
			danger:  "Requests in flight may take this much memory each.",
		},
		func(s *Server) any { return &s.MaxRequestBytes },
	},
	{
		spec{
			path: "workers", flag: "workers", unit: "reactors", fallback: "0", max: 64,
			meaning: "Event loops. 0 means one per CPU.",
			danger:  "More than CPUs makes everything slower.",
		},
		func(s *Server) any { return &s.Workers },
	},
	{
		spec{
			path: "max_connections", live: true, unit: "connections", null: "from the file-descriptor limit", min: 1, max: 10_000_000,
			meaning: "Connections of the whole node; the next one is refused.",
		},
		func(s *Server) any { return &s.MaxConnections },
	},
	{
		spec{
			path: "max_outbound_bytes", unit: "bytes", fallback: "65536", min: 4096, max: 1 << 30,
			meaning: "Bytes that may wait for one connection that does not read; beyond it the connection is closed with 4100.",
			danger:  "In the worst case every connection costs this much memory.",
		},
		func(s *Server) any { return &s.MaxOutboundBytes },
	},
	{
		spec{
			path: "max_pending_publications", live: true, unit: "publications", fallback: "65536", min: 1, max: 1 << 24,
			meaning: "Publications that may wait for one reactor; beyond it a trigger is answered with 503, and events of other nodes are dropped and counted.",
			danger:  "Each one keeps its frame in memory.",
		},
		func(s *Server) any { return &s.MaxPendingPublications },
	},
	{
		spec{
			path: "max_pending_bytes", live: true, unit: "bytes", fallback: "33554432", min: 65536, max: 1 << 34,
			meaning: "Memory of the publications that wait for one reactor, until they are written; beyond it a trigger is answered with 503, and events of other nodes are dropped and counted.",
			danger:  "Each reactor may take this much.",
		},
		func(s *Server) any { return &s.MaxPendingBytes },
	},
	{
		spec{
			path: "handshake_timeout", fallback: "10s", min: int64(100 * time.Millisecond), max: int64(time.Hour),
			meaning: "Time for the whole request of a new connection.",
			danger:  "Long timeouts let idle strangers hold descriptors.",
		},
		func(s *Server) any { return &s.HandshakeTimeout },
	},
	{
		spec{
			path: "max_lag", fallback: "5s", max: int64(time.Hour),
			meaning: "Age of the oldest event that a reactor has yet to deliver beyond which new WebSocket connections are closed with 4100, but for 20 a second; clients come back after a second. 0 never does so.",
			danger:  "Low values turn clients away during short peaks.",
		},
		func(s *Server) any { return &s.MaxLag },
	},
	{
		spec{
			path: "drain_timeout", live: true, fallback: "10s", max: int64(time.Hour),
			meaning: "Time over which connections are closed, evenly, when the node stops. 0 closes all at once.",
			danger:  "A supervisor that kills sooner cuts the drain short; a short drain makes all clients come back together.",
		},
		func(s *Server) any { return &s.DrainTimeout },
	},
	{
		spec{
			path: "compression", fallback: "false",
			meaning: "Compress events of 128 bytes and more for clients that can read it (permessage-deflate, without context takeover).",
			danger:  "Every event is compressed once, on the reactor that delivers it first; secrets beside text that others choose can be guessed from its length.",
		},
		func(s *Server) any { return &s.Compression },
	},
	{
		// Departs: Reverb never looks at auth_timestamp.
		spec{
			path: "verify_timestamp", fallback: "true",
			meaning: "Refuse signed HTTP requests whose `auth_timestamp` is more than 600 s off.",
			danger:  "Off, a recorded request can be sent again for ever.",
		},
		func(s *Server) any { return &s.VerifyTimestamp },
	},
	{
		spec{
			path: "trusted_proxies", live: true,
			meaning: "Proxies that are believed when they say for whom they speak, in `X-Forwarded-For` or a PROXY header: IP addresses, CIDR ranges, `loopback`, `private` (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7), or `*` for whoever connects. The client is the right-most address of `X-Forwarded-For` that is none of them. From others the header means nothing.",
			danger:  "Whoever is in the list can claim any client address, and no limit per address holds for it as long as it claims none. `*` is for a port that only the proxy reaches.",
		},
		func(s *Server) any { return &s.TrustedProxies },
	},
	{
		spec{
			path: "proxy_protocol", live: true, fallback: "false",
			meaning: "Connections of `trusted_proxies` begin with a PROXY header, version 1 or 2, before TLS too. `true`: they must; `optional`: they may. Others never may, and need none.",
			danger:  "With `true`, an application among `trusted_proxies` cannot connect directly, nor can `resound trigger` from there. With `optional`, a client of a trusted proxy that sends no header itself can send one in its place.",
		},
		func(s *Server) any { return &s.ProxyProtocol },
	},
	{
		spec{
			path: "unix_socket", null: "no such socket",
			meaning: "Path of a Unix socket on which the node listens besides its port, without TLS: for a proxy on the same host. Its folder must exist. Whoever may connect there is one of `trusted_proxies`, and is never a program of this host to `/metrics`; with `proxy_protocol: true` it must send a PROXY header, which nginx for HTTP does not.",
			danger:  "The rights of the file are all that keeps others out.",
		},
		func(s *Server) any { return &s.UnixSocket },
	},
	{
		spec{
			path: "unix_socket_mode", fallback: "0660", refine: fileMode,
			meaning: "Rights of the Unix socket, in octal as text. Its group is that of the process, or of its folder when that has the set-group-ID bit.",
		},
		func(s *Server) any { return &s.UnixSocketMode },
	},
	{
		spec{
			path: "max_connections_per_address", live: true, unit: "connections", null: "no limit", min: 1, max: 10_000_000,
			meaning: "Connections of one client address, an IPv4 address or the /64 of an IPv6 address: WebSockets, HTTP connections that it makes itself, and what stands for a WebSocket over HTTP. Further WebSockets are closed with 4100, HTTP is answered with 429; beyond twice as many, and before TLS, the connection is just closed. `trusted_proxies` that speak for nobody, the Unix socket, 127.0.0.1 and ::1 have no limit. A good value is 200; large offices and schools behind one address may need more. Each connection then takes 18 bytes more, each address that has one 23 to 38.",
			danger:  "Behind a proxy that is not in `trusted_proxies`, or a network address translation such as that of Docker, all clients have one address; behind such a proxy on the same host none has a limit.",
		},
		func(s *Server) any { return &s.MaxConnectionsPerAddress },
	},
	{
		spec{
			path: "max_handshakes_per_second_per_address", live: true, unit: "connections", null: "no limit", min: 1, max: 1_000_000,
			meaning: "New connections of one client address in a second; what exceeds it is refused as above. For a client that a proxy speaks for in `X-Forwarded-For`, WebSockets and their substitute over HTTP count. A good value is 50.",
			danger:  "An application that is not among `trusted_proxies` may open a connection for each request: put it there.",
		},
		func(s *Server) any { return &s.MaxHandshakesPerAddress },
	},
	{
		spec{
			path: "reuse_port", fallback: "false",
			meaning: "Let several node processes listen on the same port (`SO_REUSEPORT`).",
			danger:  "A node that was forgotten goes on taking its share of the connections.",
		},
		func(s *Server) any { return &s.ReusePort },
	},
	{
		spec{
			path:    "options.tls.local_cert",
			meaning: "File with the certificate and its chain (PEM). With it, or with `local_pk`, the port speaks TLS (wss and https). It is read again when it changes. Without it a certificate that Herd or Valet made for `hostname` is used, if there is one.",
		},
		func(s *Server) any { return &s.TLS.CertFile },
	},
	{
		spec{
			path:    "options.tls.local_pk",
			meaning: "File with the private key (PEM). Empty: it is in `local_cert`.",
		},
		func(s *Server) any { return &s.TLS.KeyFile },
	},
	{
		spec{
			path: "options.tls.passphrase", secret: true,
			meaning: "Passphrase of the private key.",
		},
		func(s *Server) any { return &s.TLS.Passphrase },
	},
	{
		spec{
			path: "plain_port", null: "no such port", min: 1, max: 65535,
			meaning: "Second port, without TLS, of a node whose port speaks TLS: for an application or a load balancer on the same network.",
			danger:  "Whoever reaches it speaks in the clear.",
		},
		func(s *Server) any { return &s.PlainPort },
	},
	{
		spec{
			path: "webhooks.deny_private_addresses", fallback: "false",
			meaning: "Refuse webhook receivers outside the public internet, by the address that is dialled.",
			danger:  "Off, whoever may set a webhook's URL can make the node send requests into its own network.",
		},
		func(s *Server) any { return &s.DenyPrivateWebhooks },
	},
	{
		spec{
			path: "control", null: "one for each port, see docs/MONITORING.md",
			meaning: "Path of the Unix socket on which `resound status`, `stop`, `reload` and the like find the node. Its folder must exist.",
			danger:  "Whoever may connect to it may stop the node; it is made for its user alone.",
		},
		func(s *Server) any { return &s.Control },
	},
	{
		spec{
			path: "webhooks.store", null: "`storage/framework` of a Laravel project, else the user's cache directory",
			meaning: "File in which webhooks that a stop leaves unsent wait for the next start. It holds events, no secrets.",
		},
		func(s *Server) any { return &s.WebhookStore },
	},
}
