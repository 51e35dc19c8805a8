package config

import "time"

// clusterKeys declares `servers.reverb.scaling`.
//
// Reverb: config/reverb.php, "scaling"; on_outage, tls, prefix, cluster and
// sentinel are ours.
var clusterKeys = []key[Server]{
	{
		spec{
			path: "scaling.enabled", env: "REVERB_SCALING_ENABLED", fallback: "false",
			meaning: "Join other nodes through Redis.",
		},
		func(s *Server) any { return &s.Scaling.Enabled },
	},
	{
		spec{
			path: "scaling.channel", env: "REVERB_SCALING_CHANNEL", fallback: "reverb", refine: redisPrefix,
			meaning: "Begins every key and topic in Redis, behind `scaling.server.prefix`. Nodes with the same one are a cluster.",
			danger:  "Installations that share a Redis and this value see each other's events.",
		},
		func(s *Server) any { return &s.Scaling.Channel },
	},
	{
		spec{
			path: "scaling.on_outage", fallback: "serve", refine: oneOf("serve", "refuse"),
			meaning: "What a node does while Redis is out of reach. `serve` delivers on this node at once and on the others when Redis is back; `refuse` answers triggers and `/ready` with 503.",
			danger:  "With `refuse` a load balancer takes every node out at once.",
		},
		func(s *Server) any { return (*string)(&s.Scaling.OnOutage) },
	},
	{
		spec{
			path: "scaling.server.url", env: "REDIS_URL", secret: true,
			meaning: "URL of Redis, `redis://USER:PASSWORD@HOST:PORT/DATABASE`; `rediss://` and `tls://` mean TLS. What it says overrides the other `scaling.server` keys.",
		},
		func(s *Server) any { return &s.Scaling.Redis.URL },
	},
	{
		spec{
			path: "scaling.server.host", env: "REDIS_HOST", fallback: "127.0.0.1",
			meaning: "Host of Redis; `tls://HOST` means TLS.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Host },
	},
	{
		spec{
			path: "scaling.server.port", env: "REDIS_PORT", fallback: "6379", min: 1, max: 65535,
			meaning: "Port of Redis.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Port },
	},
	{
		spec{
			path: "scaling.server.username", env: "REDIS_USERNAME",
			meaning: "User of Redis.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Username },
	},
	{
		spec{
			path: "scaling.server.password", env: "REDIS_PASSWORD", secret: true,
			meaning: "Password of Redis.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Password },
	},
	{
		spec{
			path: "scaling.server.database", env: "REDIS_DB", fallback: "0", max: 65535,
			meaning: "Database number of Redis. A Redis Cluster has only 0.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Database },
	},
	{
		// Departs: in Reverb it is how long to go on trying before the server ends.
		spec{
			path: "scaling.server.timeout", env: "REDIS_TIMEOUT", fallback: "60s", min: int64(100 * time.Millisecond), max: int64(time.Hour),
			meaning: "Time for one request to Redis, after which Redis counts as lost; more than 2 s counts as 2 s. A node never stops trying to reach it.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Timeout },
	},
	{
		spec{
			path: "scaling.server.scheme", refine: oneOf("tcp", "redis", "tls", "rediss"),
			meaning: "As in Laravel: `tls` and `rediss` mean TLS, `tcp` and `redis` nothing.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Scheme },
	},
	{
		spec{
			path: "scaling.server.tls", fallback: "false",
			meaning: "Speak TLS to Redis, with the certificates the system trusts.",
		},
		func(s *Server) any { return &s.Scaling.Redis.TLS },
	},
	{
		spec{
			path: "scaling.server.prefix", refine: redisPrefix,
			meaning: "Begins every key and topic in Redis, for a Redis that gives each user a prefix.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Prefix },
	},
	{
		spec{
			path:    "scaling.server.cluster",
			meaning: "`HOST:PORT` of some nodes of a Redis Cluster. Host and port above do not count then.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Cluster },
	},
	{
		spec{
			path:    "scaling.server.sentinel.addresses",
			meaning: "`HOST:PORT` of sentinels that know the server. Host and port above do not count then.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Sentinel.Addresses },
	},
	{
		spec{
			path: "scaling.server.sentinel.master", fallback: "mymaster",
			meaning: "Name of the master set that the sentinels watch.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Sentinel.Master },
	},
	{
		spec{
			path:    "scaling.server.sentinel.username",
			meaning: "User of the sentinels themselves.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Sentinel.Username },
	},
	{
		spec{
			path: "scaling.server.sentinel.password", secret: true,
			meaning: "Password of the sentinels themselves.",
		},
		func(s *Server) any { return &s.Scaling.Redis.Sentinel.Password },
	},
}
